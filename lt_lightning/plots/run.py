"""All charts of a run, from the files in its folder alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lt_lightning.errors import LtError
from lt_lightning.plots.chart import Chart
from lt_lightning.plots.classes import per_class
from lt_lightning.plots.confusion import confused_pairs, confusion
from lt_lightning.plots.curves import agreement, curves, diversity, training
from lt_lightning.plots.distribution import class_distribution
from lt_lightning.plots.frequency import acc_vs_frequency, members
from lt_lightning.plots.groups import shot_bars
from lt_lightning.plots.reliability import reliability
from lt_lightning.plots.tables import (
    FIX,
    read_bins,
    read_classes,
    read_epochs,
    read_losses,
    read_pairs,
)
from lt_lightning.plots.top_losses import read_strip, top_losses
from lt_lightning.summary import MEASURED, read_described


def charts(folder: Path) -> list[Chart]:
    """All charts that a run's files allow: those of its training, then those of each split it was measured on.

    Raises:
        LtError: A file is damaged.
    """
    return [*training_charts(folder), *(chart for split in MEASURED for chart in split_charts(folder, split))]


def training_charts(folder: Path) -> list[Chart]:
    """Charts of the training set and of what training logged.

    Raises:
        LtError: A file is damaged.
    """
    epochs, summary = read_epochs(folder), read_described(folder)
    classes = next(filter(None, (read_classes(folder, split) for split in MEASURED)), [])
    distribution = []
    if classes:
        try:
            many, few = summary["thresholds"]["many"], summary["thresholds"]["few"]
        except (KeyError, TypeError) as error:
            raise LtError(f"this summary lacks {error}", str(folder / "summary.json"), FIX) from error
        distribution = [class_distribution([(c.name, c.train_images) for c in classes], many, few)]
    return [*distribution, *(chart for make in (curves, diversity, agreement, training) for chart in make(epochs))]


def split_charts(folder: Path, split: str) -> list[Chart]:
    """Charts of one split, of :data:`MEASURED`; none where the run was not measured on it.

    Raises:
        LtError: A file is damaged.
    """
    summary, classes = read_described(folder), read_classes(folder, split)
    if split not in summary or not classes:
        return []
    try:
        predictors, figures = predictor_names(summary), summary[split]["last"]
        bars = shot_bars(figures, predictors, split, sum(c.images for c in classes))
    except (KeyError, TypeError) as error:
        raise LtError(f"this summary lacks {error}", str(folder / "summary.json"), FIX) from error
    if len(classes[0].acc) != len(predictors):
        raise LtError(f"accuracy of {len(classes[0].acc)} predictors, not of {len(predictors)}", str(folder), FIX)
    pairs, losses = read_pairs(folder, split, len(classes)), read_losses(folder, split)
    pixels = read_strip(folder / "plots" / f"top_losses_{split}.ppm", len(losses))
    return [
        *bars,
        *acc_vs_frequency(classes, predictors, split),
        *members(classes, predictors, split),
        *per_class(classes, split),
        *reliability(read_bins(folder, split), split),
        *confusion(classes, pairs, split),
        *confused_pairs(classes, pairs, split),
        *top_losses(losses, pixels, split),
    ]


def predictor_names(summary: dict[str, Any]) -> list[str]:
    """What the ensemble and its members are called: by number and loss; a single model by its loss."""
    losses: list[str] = summary["losses"]
    if len(losses) == 1:
        return losses
    return ["ensemble", *(f"expert {m}: {loss}" for m, loss in enumerate(losses, start=1))]
