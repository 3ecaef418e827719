"""What W&B shows of a run beside its curves: its data, its classes, its charts and the checkpoints it left."""

import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only

from lt_lightning.callbacks.plots import or_warn
from lt_lightning.callbacks.report import Report, class_figures
from lt_lightning.callbacks.screen import ClassFigure
from lt_lightning.checkpoints import read_facts
from lt_lightning.data.base import LongTailDataModule
from lt_lightning.loggers import RunWandbLogger
from lt_lightning.plots.chart import Cell, Chart
from lt_lightning.plots.distribution import class_distribution
from lt_lightning.plots.run import charts
from lt_lightning.plots.top_losses import read_strip
from lt_lightning.tail import GROUPS, gini, group, imbalance_factor

NATIVE = {
    "class_distribution": ("wandb/bar/v0", {"label": "class", "value": "train_images"}),
    "shot_bars": ("wandb/bar/v0", {"label": "predictor", "value": "bal_acc"}),
    "per_class": ("wandb/bar/v0", {"label": "class", "value": "acc"}),
    "acc_vs_frequency": ("wandb/scatter/v0", {"x": "train_images", "y": "acc"}),
    "reliability": ("wandb/lineseries/v0", {"step": "confidence", "lineKey": "group", "lineVal": "accuracy"}),
    "confusion": (
        "wandb/confusion_matrix/v1",
        {"Actual": "target", "Predicted": "predicted", "nPredictions": "images"},
    ),
}
"""Charts that W&B can draw itself from their tables, so that they answer to the mouse: its preset and its fields."""
CLASSES = ("class", "train_images", "group", "acc", "change")
"""Columns of the table of classes; the last one is the change of accuracy since that table was logged before."""
EVERY = 10
"""Validations from one table of classes to the next; the last one has one, too."""
CHECKPOINTS = ("best.ckpt", "last.ckpt")
REPORT = ("summary.json", "per_class.csv", "config.yaml", "env.json", "report.html", "card.md")
"""Files of a run that are kept beside its checkpoints, where they are there."""


class Dashboard(Callback):
    """Logs tables, charts and checkpoints to W&B: when a run begins, every tenth validation, and at its end.

    Charts are made from the files in the run's folder, with the pictures there; those that W&B can draw from a table
    itself, it draws. What W&B needs until it is sent stays in that folder, too. What fails is left out with a
    warning.

    Args:
        logger: The run at W&B.
        report: What is known of validations.
    """

    def __init__(self, logger: RunWandbLogger, report: Report) -> None:
        self.logger, self.report = logger, report
        self._validations, self._before = 0, list[float]()

    @rank_zero_only
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the data, of a new run, and what it is run with."""
        folder = Path(trainer.default_root_dir)
        if (file := folder / "env.json").is_file():
            self.logger.experiment.config.update({"env": json.loads(file.read_text())}, allow_val_change=True)
        if trainer.ckpt_path is None:
            data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
            counts = zip(data.class_names, data.class_counts, strict=True)
            with or_warn("the tables of the data at W&B"):
                chart = shown(class_distribution(counts, data.many, data.few), folder)
                self._log(folder, {"data/report": table(*data_report(data)), **chart}, 0)

    @rank_zero_only
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the table of classes."""
        if trainer.sanity_checking:
            return
        self._validations += 1
        if self._validations % EVERY == 0 or trainer.current_epoch + 1 == trainer.max_epochs:
            data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
            found = class_figures(trainer)
            rows = class_rows(found, self._before or [math.nan] * len(found), data.many, data.few)
            self._before = [c.accuracy for c in found]
            with or_warn("the table of classes at W&B"):
                self._log(Path(trainer.default_root_dir), {"val/classes": table(CLASSES, rows)}, trainer.global_step)

    @rank_zero_only
    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Log what the run has in its folder by now; its best validation becomes part of the runs table."""
        folder, run = Path(trainer.default_root_dir), self.logger.experiment
        run.summary.update({f"best/{name}": value for name, value in self.report.best.items() if "/" not in name})
        with or_warn("the charts at W&B"):
            drawn = [item for chart in charts(folder) for item in shown(chart, folder).items()]
            self._log(folder, dict(drawn), trainer.global_step)
        with or_warn("the artifacts at W&B"), staged_in(folder):
            for file in (folder / name for name in CHECKPOINTS):
                if file.is_file():
                    log_checkpoint(run, file, self.logger.upload_checkpoints)
            log_report(run, folder)

    def _log(self, folder: Path, values: dict[str, Any], step: int) -> None:
        with staged_in(folder):
            self.logger.log_metrics(values, step)


def data_report(data: LongTailDataModule) -> tuple[tuple[str, ...], list[tuple[Cell, ...]]]:
    """Columns and the one row of what there is to say of a training set."""
    counts = data.class_counts
    of_group = [group(count, data.many, data.few) for count in counts]
    figures: dict[str, Cell] = {
        "data": type(data).__name__,
        "classes": len(counts),
        "train_images": sum(counts),
        "largest_class": max(counts),
        "smallest_class": min(counts),
        "imbalance": imbalance_factor(counts),
        "gini": gini(counts),
        **{f"{name}_classes": of_group.count(name) for name in GROUPS},
        "many_above": data.many,
        "few_below": data.few,
    }
    return tuple(figures), [tuple(figures.values())]


def class_rows(classes: Sequence[ClassFigure], before: Sequence[float], many: int, few: int) -> list[tuple[Cell, ...]]:
    """Rows of the table of classes; those without images to measure on have none.

    Args:
        classes: What was measured of each class, in label order.
        before: Accuracies when the table was logged before; NaN where there is none.
        many: A class with more training images than this is a many-shot class.
        few: A class with fewer training images than this is a few-shot class.
    """
    return [
        (c.name, c.train_images, group(c.train_images, many, few), c.accuracy,
         None if math.isnan(was) else c.accuracy - was)
        for c, was in zip(classes, before, strict=True) if not math.isnan(c.accuracy)
    ]  # fmt: skip


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Any:
    """A table of W&B's; a column holds numbers, texts or pictures, each or none in a row."""
    import wandb

    return wandb.Table([*columns], [[_utf8(cell) for cell in row] for row in rows])


def shown(chart: Chart, folder: Path) -> dict[str, Any]:
    """What W&B gets of a chart, by key: its table, drawn by W&B where it can, and its picture.

    Args:
        chart: The chart.
        folder: That of the run; pictures are taken from its folder ``plots``.
    """
    import wandb

    columns = [*chart.columns]
    rows: list[list[Any]] = [[*row] for row in chart.rows]
    strip = read_strip(folder / "plots" / f"{chart.name}.ppm", len(rows))
    if strip is not None:
        columns, rows = ["picture", *columns], [[wandb.Image(p), *row] for p, row in zip(strip, rows, strict=True)]
    values = {f"charts/{chart.name}": table(columns, rows)}
    for name, (preset, fields) in NATIVE.items():
        if chart.name.startswith(name):
            values = {
                f"charts/{chart.name}": wandb.plot_table(preset, table(columns, rows), fields, {"title": chart.title})
            }
    if (picture := folder / "plots" / f"{chart.name}.png").is_file():
        values[f"pictures/{chart.name}"] = wandb.Image(str(picture), caption=chart.title)
    return values


def log_checkpoint(run: Any, file: Path, upload: bool) -> None:
    """Log a checkpoint as a version of the run's model: ``best`` or ``last``, and ``epoch-12``.

    Args:
        run: That of W&B.
        file: The checkpoint.
        upload: Whether W&B gets the file; else its name, place, size and hash.
    """
    import wandb

    artifact = wandb.Artifact(f"model-{run.id}", "model")
    if upload:
        artifact.add_file(str(file), file.name)
    else:
        artifact.add_reference(file.resolve().as_uri(), file.name)
    run.log_artifact(artifact, aliases=[file.stem, f"epoch-{read_facts(str(file))['epoch'] + 1}"])


def log_report(run: Any, folder: Path) -> None:
    """Log the files that say what a run was and found."""
    import wandb

    artifact = wandb.Artifact(f"report-{run.id}", "report")
    for file in (folder / name for name in REPORT):
        if file.is_file():
            artifact.add_file(str(file), file.name)
    run.log_artifact(artifact)


@contextmanager
def staged_in(folder: Path) -> Iterator[None]:
    """Have W&B keep what it has not sent within a run's folder, not in the user's, so that the folder is whole."""
    name, before = "WANDB_DATA_DIR", os.environ.get("WANDB_DATA_DIR")
    os.environ[name] = before or str((folder / "wandb").resolve())
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]


def _utf8(cell: Any) -> Any:
    """A name of a file may hold bytes that are no UTF-8."""
    return cell.encode("utf-8", "backslashreplace").decode() if isinstance(cell, str) else cell
