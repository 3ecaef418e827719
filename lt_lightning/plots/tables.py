"""What charts are made from: the tables in a run's folder, read as what they are, files of anybody."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from lt_lightning.errors import LtError
from lt_lightning.plots.chart import COLOURS
from lt_lightning.regular import check_regular
from lt_lightning.run_folder import DIGITS

T = TypeVar("T")
Row = dict[str, str]
FIX = "measure the run again by `lt test --ckpt_path RUN/last.ckpt`, which writes it anew"


class ClassFigures(NamedTuple):
    """What was measured of a class on one split.

    Attributes:
        name: Of the class.
        train_images: Its training images.
        group: Its shot group.
        images: Its images in the split.
        acc: Accuracy of the ensemble, then of each member, in [0, 1]; None where there is no image.
    """

    name: str
    train_images: int
    group: str
    images: int
    acc: tuple[float | None, ...]


class Bin(NamedTuple):
    """A bin of confidence: of all images or a group's, from ``low`` to ``high``; means are None where it is empty."""

    group: str
    low: float
    high: float
    images: int
    confidence: float | None
    accuracy: float | None


class Pair(NamedTuple):
    """Images of one class that were predicted as one class; both by number."""

    target: int
    predicted: int
    images: int


class Loss(NamedTuple):
    """An image and its loss in nats: its name, its class, the predicted class and that class's probability."""

    image: str
    target: str
    predicted: str
    probability: float
    loss: float


def read_table(file: Path, parse: Callable[[Row], T]) -> list[T]:
    """Rows of a CSV file; none where there is no such file.

    Args:
        file: The file.
        parse: Makes what a row is of its cells by column.

    Raises:
        LtError: The file is damaged.
    """
    check_regular(file)
    if not file.exists():
        return []
    try:
        with file.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
            return [parse(row) for row in csv.DictReader(stream)]
    except (OSError, csv.Error, ValueError, KeyError, TypeError, AttributeError) as error:  # None where a cell lacks
        raise LtError(f"this table cannot be read ({error!r})", str(file), FIX) from error


def read_classes(folder: Path, split: str) -> list[ClassFigures]:
    """Classes of a run, in label order, as ``per_class.csv`` has them of one split."""

    def parse(row: Row) -> ClassFigures | None:
        if row["split"] != split:
            return None
        acc = tuple(_number(row[column]) for column in row if column == "acc" or column.endswith("/acc"))
        return ClassFigures(row["name"], _count(row["train_images"]), _group(row["group"]), _count(row["images"]), acc)

    return [c for c in read_table(folder / "per_class.csv", parse) if c is not None]


def read_bins(folder: Path, split: str) -> list[Bin]:
    """Bins of confidence of one split."""

    def parse(row: Row) -> Bin:
        low, high, images = float(row["low"]), float(row["high"]), _count(row["images"])
        return Bin(_group(row["group"]), low, high, images, _number(row["confidence"]), _number(row["accuracy"]))

    return read_table(folder / "plots" / f"reliability_{split}.csv", parse)


def read_pairs(folder: Path, split: str, num_classes: int) -> list[Pair]:
    """Pairs of so many classes of one split."""

    def parse(row: Row) -> Pair:
        pair = Pair(_count(row["target"]), _count(row["predicted"]), _count(row["images"]))
        if max(pair.target, pair.predicted) >= num_classes:
            raise ValueError(f"class {max(pair.target, pair.predicted)} of {num_classes}")
        return pair

    return read_table(folder / "plots" / f"pairs_{split}.csv", parse)


def read_losses(folder: Path, split: str) -> list[Loss]:
    """Images of the largest losses of one split."""

    def parse(row: Row) -> Loss:
        return Loss(row["image"], row["target"], row["predicted"], float(row["probability"]), float(row["loss"]))

    return read_table(folder / "plots" / f"top_losses_{split}.csv", parse)


def read_epochs(folder: Path) -> dict[int, dict[str, float]]:
    """What training logged, by epoch, counted from 1, and by name."""
    epochs: dict[int, dict[str, float]] = {}

    def parse(row: Row) -> None:
        figures = {name: number for name, text in row.items() if (number := _number(text)) is not None}
        epochs.setdefault(int(row["epoch"]) + 1, {}).update(figures)

    read_table(folder / "metrics.csv", parse)
    return dict(sorted(epochs.items()))


def _count(text: str) -> int:
    """A number of images or of a class."""
    if not text.isdecimal() or len(text) > DIGITS:
        raise ValueError(f"{text!r} is no count")
    return int(text)


def _group(text: str) -> str:
    """The name of a group."""
    if text not in COLOURS:
        raise ValueError(f"{text!r} is no group")
    return text


def _number(text: str) -> float | None:
    """A number; None where there is none, or one that no chart can show."""
    return value if text and math.isfinite(value := float(text)) else None
