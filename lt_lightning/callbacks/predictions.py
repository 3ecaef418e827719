"""What ``lt predict`` leaves behind."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, distributed

from lt_lightning.calibration import (
    Temperatures,
    measured_temperatures,
    read_out,
    say_what_is_doubtful,
    target_log_prior,
)
from lt_lightning.callbacks.gathering import of_all_processes
from lt_lightning.data.base import Batch, LongTailDataModule
from lt_lightning.errors import LtError
from lt_lightning.metrics import shot_groups
from lt_lightning.rows import Cell, write_rows


class Predictions(Callback):
    """Writes a table of predictions, a row an image, in the order of the images, on any number of processes.

    Columns: ``path`` (or the image's number in its set), ``target`` where it is known, ``predicted``, the class with
    the largest logit, its ``label`` and ``probability``, the ``entropy`` in nats of all probabilities, the shot
    ``group`` of the predicted class, ``label_2``, ``probability_2`` and so on of the next classes, ``error`` of an
    image that could not be read, and, if asked for, ``p_NAME``, the probability of each class.

    Args:
        file: Ends in ``.csv``, ``.json`` or ``.parquet``; by default ``predictions.csv`` in the run's folder.
        top_k: Classes of which label and probability are written.
        all_probabilities: Whether those of all classes are written, too.
        calibrated: Whether logits are divided by the temperature that was measured in validation.
        target_prior: The prior of the images: ``uniform``, ``train`` or a file; by default nothing is corrected. See
            :func:`~lt_lightning.calibration.target_log_prior`.

    Raises:
        LtError: The temperature was not measured, the prior is none, or no image could be read.
    """

    def __init__(
        self,
        file: Path | None = None,
        top_k: int = 5,
        all_probabilities: bool = False,
        calibrated: bool = False,
        target_prior: str | None = None,
    ) -> None:
        self.file, self.top_k, self.all_probabilities = file, top_k, all_probabilities
        self.calibrated, self.target_prior = calibrated, target_prior
        self._parts: list[tuple[Tensor, ...]] = []
        self._errors: dict[int, str] = {}

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin anew."""
        data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
        temperatures, target = Temperatures(), None
        if self.calibrated:
            temperatures = measured_temperatures(str(trainer.ckpt_path))
        if self.target_prior is not None:
            target = target_log_prior(self.target_prior, data.class_names, data.class_counts)
        if trainer.is_global_zero:
            say_what_is_doubtful(pl_module, temperatures, target)
        self.read_out = read_out(pl_module, temperatures, target)
        none = torch.zeros(0, dtype=torch.int64)  # a process may get no image
        self._parts, self._errors = [self._columns(torch.zeros(0, len(data.class_counts)), none, none)], {}

    def on_predict_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *_: int
    ) -> None:
        """Keep what is written of one batch, of its logits ``(E, B, C)``."""
        self._parts.append(self._columns(self.read_out(outputs), batch["index"], batch["target"]))
        self._errors |= batch.get("errors", {})

    def _columns(self, logits: Tensor, index: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        """Of logits ``(B, C)``: places, targets and entropy ``(B,)``, classes and probabilities ``(B, K)``."""
        logits = logits.float().cpu()
        order = logits.sort(descending=True, stable=True).indices  # equal ones as argmax has them
        order = order[:, : self.top_k].clone()  # a view would keep those of all classes
        log_p = logits.double().log_softmax(-1)
        p = log_p.exp()
        written = p.float() if self.all_probabilities else p[:, :0].float()
        return index.cpu(), target.cpu(), -(p * log_p).sum(-1), order, p.gather(-1, order).float(), written

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the file.

        Raises:
            LtError: No image could be read; the file says why.
        """
        columns = [of_all_processes(torch.cat(part), trainer) for part in zip(*self._parts, strict=True)]
        errors = _errors_of_all(self._errors, trainer)
        self._parts = []
        if not trainer.is_global_zero:
            return
        data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
        file = Path(trainer.default_root_dir) / "predictions.csv" if self.file is None else self.file
        file.parent.mkdir(parents=True, exist_ok=True)
        write_rows(file, self._header(data), self._rows(data, columns, errors))
        number = len(columns[0])
        if not number:
            raise LtError(f"none of {len(errors)} images could be read", str(file), "its column `error` says why")
        unread = f", {len(errors)} images could not be read (column `error`)" if errors else ""
        print(f"lt: {number} predictions in {file}{unread}")

    def _header(self, data: LongTailDataModule) -> dict[str, type]:
        header: dict[str, type] = {"path": str, "target": int, "predicted": int, "label": str, "probability": float}
        header |= {"entropy": float, "group": str}
        for k in range(2, min(self.top_k, len(data.class_counts)) + 1):
            header |= {_nth("label", k): str, _nth("probability", k): float}
        header["error"] = str
        return header | ({f"p_{name}": float for name in data.class_names} if self.all_probabilities else {})

    def _rows(self, data: LongTailDataModule, columns: list[Tensor], errors: dict[int, str]) -> Iterator[list[Cell]]:
        names, blank = data.class_names, dict.fromkeys(self._header(data))
        masks = shot_groups(torch.tensor(data.class_counts), data.many, data.few)
        group = {c: name for name, mask in masks.items() for c in mask.nonzero()[:, 0].tolist()}
        place = {i: row for row, i in enumerate(columns[0].tolist())}
        for i in sorted({*place, *errors}):
            row: dict[str, Cell] = {**blank, "path": data.image_name("test", i), "error": errors.get(i)}
            if i in place:
                _, target, entropy, order, top, written = (column[place[i]] for column in columns)
                classes = order.tolist()
                row |= {"target": int(target) if target >= 0 else None, "predicted": classes[0]}
                row |= {"entropy": float(entropy), "group": group[classes[0]]}
                for k, (c, p) in enumerate(zip(classes, top.tolist(), strict=True), 1):
                    row |= {_nth("label", k): names[c], _nth("probability", k): p}
                row |= {f"p_{name}": p for name, p in zip(names, written.tolist(), strict=False)}
            yield list(row.values())


def _nth(name: str, k: int) -> str:
    return name if k == 1 else f"{name}_{k}"


def _errors_of_all(part: dict[int, str], trainer: Trainer) -> dict[int, str]:
    if trainer.world_size == 1:
        return part
    parts: list[dict[int, str]] = [{} for _ in range(trainer.world_size)]
    distributed.all_gather_object(parts, part)
    return {i: what for errors in parts for i, what in errors.items()}
