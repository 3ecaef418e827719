"""What was gathered of a split for its charts, on its way into files."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from lt_lightning.plots.chart import Cell, as_csv
from lt_lightning.plots.tables import Bin, Loss, Pair
from lt_lightning.whole_files import write_whole


class Gathered(NamedTuple):
    """What is known of a split beside its figures.

    Attributes:
        pairs: Class, predicted class and number of images of each pair that occurs.
        bins: Of all images and of each group, three sums a bin: images, their confidence, those that are right.
        losses: Place, class, predicted class, its probability and loss of each image of the largest losses.
    """

    pairs: list[list[int]]
    bins: dict[str, list[list[float]]]
    losses: list[list[float]]

    def write(self, folder: Path, split: str, classes: list[str], images: list[str]) -> None:
        """Write ``pairs_<split>.csv``, ``reliability_<split>.csv`` and ``top_losses_<split>.csv``.

        Args:
            folder: Where they go; it is made if it is not there.
            split: What they are of.
            classes: Names of the classes, in label order.
            images: Names of the images of the largest losses.

        Raises:
            OSError: They cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        losses: list[tuple[Cell, ...]] = [
            Loss(image, classes[int(target)], classes[int(predicted)], probability, loss)
            for image, (_, target, predicted, probability, loss) in zip(images, self.losses, strict=True)
        ]
        pairs: list[tuple[Cell, ...]] = [(*row,) for row in self.pairs]
        write_whole(folder / f"pairs_{split}.csv", as_csv(Pair._fields, pairs))
        write_whole(folder / f"reliability_{split}.csv", as_csv(Bin._fields, [*self._bins()]))
        write_whole(folder / f"top_losses_{split}.csv", as_csv(Loss._fields, losses))

    def _bins(self) -> list[Bin]:
        rows = []
        for name, (images, sure, right) in self.bins.items():
            for b, n in enumerate(images):
                means = (sure[b] / n, right[b] / n) if n else (None, None)
                rows.append(Bin(name, b / len(images), (b + 1) / len(images), int(n), *means))
        return rows
