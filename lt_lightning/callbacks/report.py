"""What a run leaves behind: a table on the screen, ``summary.json`` and ``per_class.csv``."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_only

from lt_lightning.callbacks.evaluation import Evaluation
from lt_lightning.callbacks.finite import DIVERGED
from lt_lightning.callbacks.per_image import digest_of_images
from lt_lightning.callbacks.screen import ClassFigure, Figures, show_report
from lt_lightning.callbacks.training_time import TrainingTime
from lt_lightning.checkpoints import read_facts
from lt_lightning.data.base import LongTailDataModule, Split
from lt_lightning.data.sampling import Fetch
from lt_lightning.errors import LtError
from lt_lightning.metrics import shot_groups
from lt_lightning.models.cost import model_cost
from lt_lightning.run_folder import is_finished, read_summary
from lt_lightning.whole_files import write_whole

NOT_SELECTED = ("last.ckpt", DIVERGED)
"""Checkpoints that a run writes whatever validation says."""


class Report(Callback):
    """Writes the figures that the loggers got to the run's folder, and shows them when a command ends.

    ``summary.json`` holds the model, its parameters and multiply-accumulates, the figures of the last and of the best
    validation (and whether that was on the test set), the seconds of training, and the figures of ``lt validate`` and
    ``lt test``. Each class's accuracy is in ``per_class.csv``. The table shows the teacher too where the run trained
    one.
    """

    def __init__(self) -> None:
        self.last: dict[str, Any] = {}
        self.best: dict[str, Any] = {}

    def state_dict(self) -> dict[str, Any]:
        """The figures so far, so that a resumed run knows its best."""
        return {"last": self.last, "best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.last, self.best = state_dict["last"], state_dict["best"]
        if self.best and not isinstance(self.best["acc"], float):
            raise TypeError("the best accuracy is no number")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remember the figures, and whether they are the best; after ``lt validate``, report them."""
        if trainer.sanity_checking:
            return
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._write(trainer, pl_module, "validate", _measured(trainer, "val"))
            return
        self.last = {"epoch": trainer.current_epoch, **_figures(trainer, "val")}
        if not self.best or self.last["acc"] > self.best["acc"]:
            self.best = self.last

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report on validation, where there was one; a run that trained to its end before may have been reported."""
        if self.last and not _evaluation(trainer).predictors and is_finished(Path(trainer.default_root_dir)):
            return
        data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
        selected_on = "test" if data.selected_on_test else "validation"
        time = next(callback for callback in trainer.callbacks if isinstance(callback, TrainingTime))  # type: ignore[attr-defined]
        figures = {"last": self.last, "best": self.best, "selected_on": selected_on}
        self._write(trainer, pl_module, "val", {**figures, "train_seconds": time.time_elapsed()})

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report on the test set."""
        self._write(trainer, pl_module, "test", _measured(trainer, "test"))

    @rank_zero_only
    def _write(self, trainer: Trainer, pl_module: LightningModule, split: str, figures: dict[str, Any]) -> None:
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        folder = Path(trainer.default_root_dir)
        file = folder / "summary.json"
        summary = read_summary(file)
        summary |= {**_describe(trainer, pl_module, split), split: figures}
        measured = _evaluation(trainer).predictors  # none where nothing was left to do: classes are not known then
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if measured:
                _write_per_class(folder / "per_class.csv", trainer, split)
            write_whole(file, json.dumps(summary, indent=2) + "\n")  # last: with it a run is finished
        except OSError as error:
            fix = "make room, or allow it, and give the command again: nothing is trained twice"
            raise LtError(f"the report cannot be written ({error.strerror})", str(folder), fix) from error
        if figures["last"]:
            show_report(folder, summary, split, class_figures(trainer) if measured else [])


def _figures(trainer: Trainer, split: str) -> Figures:
    start = f"{split}/"
    return {
        name.removeprefix(start): float(v) for name, v in trainer.callback_metrics.items() if name.startswith(start)
    }


def _measured(trainer: Trainer, split: Split) -> dict[str, Any]:
    """What ``lt validate`` or ``lt test`` found of a checkpoint, and whether that was selected on these images.

    All but those of :data:`NOT_SELECTED` count as selected: the best one has the name that ``checkpoint.filename`` or a
    copy gives it, and what is in it does not tell it from the last one where the last epoch is the best.
    """
    data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
    checkpoint = str(trainer.ckpt_path)
    selected = data.selected_on_test and trainer.ckpt_path is not None and Path(checkpoint).name not in NOT_SELECTED
    return {
        "checkpoint": checkpoint,
        "step": read_facts(checkpoint).get("global_step") if trainer.ckpt_path is not None else None,
        "selected_on": "test" if selected else None,
        "images": digest_of_images(data, split),
        "last": _figures(trainer, split),
    }


def _describe(trainer: Trainer, pl_module: LightningModule, split: str) -> dict[str, Any]:
    data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
    image = data.dataset("test" if split == "test" else "val")[Fetch(torch.tensor([0]), 0)]["image"]
    params, macs = model_cost(pl_module.net, (3, *image.shape[1:3]))  # type: ignore[arg-type]
    groups = shot_groups(torch.tensor(data.class_counts), data.many, data.few)
    return {
        "model": type(pl_module).__name__,
        "losses": [type(loss).__name__ for loss in pl_module.losses],  # type: ignore[union-attr]
        "data": data.title,
        "seed": data.seed,
        "train_images": sum(data.class_counts),
        "thresholds": {"many": data.many, "few": data.few},
        "groups": {name: int(mask.sum()) for name, mask in groups.items()},
        "params": params,
        "macs": macs,
    }


def class_figures(trainer: Trainer) -> list[ClassFigure]:
    """What was measured of each class, of the ensemble."""
    data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
    accuracy = _evaluation(trainer).predictors[0].accuracy.class_accuracy.tolist()
    return [ClassFigure(*of_class) for of_class in zip(data.class_names, data.class_counts, accuracy, strict=True)]


def _evaluation(trainer: Trainer) -> Evaluation:
    return next(callback for callback in trainer.callbacks if isinstance(callback, Evaluation))  # type: ignore[attr-defined]


def _write_per_class(file: Path, trainer: Trainer, split: str) -> None:
    data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
    counts = data.class_counts
    groups = shot_groups(torch.tensor(counts), data.many, data.few)
    columns: dict[str, list[float]] = {}
    for p in _evaluation(trainer).predictors:
        columns |= {"images": p.accuracy.class_images.tolist(), f"{p.prefix}acc": p.accuracy.class_accuracy.tolist()}
    rows = list[dict[str, Any]]()
    if file.is_file():
        with file.open(encoding="utf-8", errors="surrogateescape", newline="") as old:  # as write_whole writes names
            rows = [row for row in csv.DictReader(old) if row.get("split") != split]
    for c, name in enumerate(data.class_names):
        group = next(group for group, mask in groups.items() if mask[c])
        row = {"split": split, "class": c, "name": name, "train_images": counts[c], "group": group}
        rows.append({**row, **{column: values[c] for column, values in columns.items()}})
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[-1]), extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(file, text.getvalue())
