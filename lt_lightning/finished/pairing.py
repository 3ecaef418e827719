"""Predictions of several methods for the same images."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lt_lightning.errors import LtError
from lt_lightning.finished.bootstrap import Interval, paired_interval
from lt_lightning.finished.groups import Group
from lt_lightning.run_folder import PER_IMAGE

MOST_CLASSES = 1_000_000
"""More are a damage, or a prank, for which no memory is spent."""


def differences_of(reference: Group, other: Group) -> dict[str, Interval]:
    """Differences in accuracy on the test images, of all and of few-shot classes; none where a run lacks predictions.

    As in all tables, few-shot accuracy is the mean over classes.

    Raises:
        LtError: Their images differ, or a file is damaged.
    """
    tables = [[read_per_image(run.folder / PER_IMAGE) for run in group.runs] for group in (reference, other)]
    ours, theirs = ([table for table in of_group if table is not None] for of_group in tables)
    if len(ours) < len(reference.runs) or len(theirs) < len(other.runs):
        return {}
    target = ours[0][0]
    for run, (classes, _) in zip([*reference.runs, *other.runs], [*ours, *theirs], strict=True):
        if not np.array_equal(classes, target):
            what = f"its test images are not those of {reference.runs[0].folder}"
            raise LtError(what, str(run.folder / PER_IMAGE), "compare runs that were tested on the same images")
    few = [int(row["class"]) for row in reference.runs[0].classes_of("test") if row["group"] == "few"]
    weights = {"acc": np.ones(len(target)), "acc_few": np.isin(target, few) / np.bincount(target)[target]}
    right = [np.stack([predicted for _, predicted in of_group]) == target for of_group in (ours, theirs)]
    return {
        name: paired_interval(right[0][:, weight > 0], right[1][:, weight > 0], weight[weight > 0])
        for name, weight in weights.items()
        if weight.any()
    }


def read_per_image(file: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Classes and predicted classes ``(N,)`` of the images of a test; None where there is no such file.

    Raises:
        LtError: It is damaged.
    """
    if not file.is_file():
        return None
    try:
        with file.open(newline="") as lines:
            header, *rows = csv.reader(lines)
        table = np.array([[int(cell) for cell in row] for row in rows], dtype=np.int64).reshape(-1, 2)
        if header != ["target", "predicted"] or not len(table):
            raise ValueError("it has other columns, or no images")
        if table.min() < 0 or table.max() >= MOST_CLASSES:
            raise ValueError("it has numbers that are no classes")
    except (ValueError, OverflowError, csv.Error) as error:
        raise LtError(f"this table of images is damaged ({error})", str(file), "`lt test` writes it anew") from error
    return table[:, 0], table[:, 1]
