"""Sets whose images are files: each batch is read, decoded and cropped to uint8 by one process.

Everything else (flips, colours, normalisation) is batched tensor code on the device.
"""

from abc import abstractmethod
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from lt_lightning.data.augment import Augmentation, RandomHorizontalFlip
from lt_lightning.data.base import Batch, LongTailDataModule, Split
from lt_lightning.data.crops import EVALUATED, central_crop, random_crop
from lt_lightning.data.images import open_image
from lt_lightning.data.index import ImageIndex
from lt_lightning.data.sampling import Fetch, derive_seed
from lt_lightning.errors import LtError
from lt_lightning.regular import check_regular


class ImageFiles(Dataset[Batch]):
    """Images of a folder, the middle of each.

    Args:
        root: The folder.
        index: Paths, within the folder, and classes.
        size: Side of the square that an image becomes.
        smallest: Shorter side down to which a JPEG may be decoded smaller than it is; None decodes in full.
    """

    def __init__(self, root: Path, index: ImageIndex, size: int, smallest: int | None) -> None:
        self.root, self.index, self.size, self.smallest = root, index, size, smallest

    def __len__(self) -> int:
        return len(self.index)

    @property
    def target(self) -> Tensor:
        """Classes, ``(N,)``."""
        return torch.from_numpy(self.index.target)

    def __getitem__(self, fetch: Fetch) -> Batch:
        squares = [self.squares(i, derive_seed(fetch.seed, place)) for place, i in enumerate(fetch.indices.tolist())]
        none = np.zeros((0, self.size, self.size, 3), np.uint8)  # a rank may have no image to evaluate
        image, *views = map(torch.from_numpy, [np.stack(column) for column in zip(*squares, strict=True)] or [none])
        return {
            "image": image,
            "target": self.target[fetch.indices].long(),
            "index": fetch.indices,
            "seed": fetch.seed,
            "step_seed": fetch.step_seed,
            "views": views,
        }

    def squares(self, i: int, seed: int) -> list[NDArray[np.uint8]]:
        """What a batch has of image i: squares ``(size, size, 3)``, of which the first is its image, others views."""
        return [central_crop(self.open(i), self.size)]

    def open(self, i: int) -> Image.Image:
        """Image i, 8-bit RGB."""
        return open_image(self.root / self.index.path(i), self.smallest)


class CroppedFiles(ImageFiles):
    """Images of a folder, random windows of each: for training.

    Args:
        root: The folder.
        index: Paths, within the folder, and classes.
        size: Side of the square that a window becomes.
        smallest: As for :class:`ImageFiles`.
        scale: Smallest and largest part of an image's area that a window has.
        num_views: Further windows of each image.
    """

    def __init__(
        self,
        root: Path,
        index: ImageIndex,
        size: int,
        smallest: int | None,
        scale: tuple[float, float],
        num_views: int,
    ) -> None:
        super().__init__(root, index, size, smallest)
        self.scale, self.num_views = scale, num_views

    def squares(self, i: int, seed: int) -> list[NDArray[np.uint8]]:
        """Random windows of image i."""
        image, draw = self.open(i), Random(seed)
        return [random_crop(image, self.size, self.scale, draw) for _ in range(1 + self.num_views)]


class FileDataModule(LongTailDataModule):
    """A long-tailed set whose images are files.

    Args:
        root: Folder of the images; nothing is ever written into it.
        size: Side of the square, in pixels, that an image becomes.
        scale: Smallest and largest part of an image's area that a training window has.
        skip: A file that lists images to leave out, a path in each line, such as ``lt data check`` writes.
        batch_size: Training images of a batch, on each device.
        eval_batch_size: Validation and test images of a batch, on each device.
        num_workers: Processes that read images.
        class_order: Names of all classes, in the order that labels have; by default that of the set.
        **kwargs: Arguments of :class:`~lt_lightning.data.base.LongTailDataModule`.

    Raises:
        ValueError: ``size`` or ``scale`` make no sense.
        LtError: Classes and images do not fit together.
    """

    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    selected_on_test = False
    part = EVALUATED

    def __init__(
        self,
        root: str,
        size: int = 224,
        scale: tuple[float, float] = (0.08, 1.0),
        skip: str | None = None,
        batch_size: int = 64,
        eval_batch_size: int = 128,
        num_workers: int = 4,
        class_order: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, num_workers=num_workers, **kwargs)
        if size < 1 or not 0 < scale[0] <= scale[1] <= 1:
            raise ValueError(f"size must be positive and scale two parts of an image, in order, got {size} and {scale}")
        self.root, self.size, self.scale, self.skip = Path(root), size, scale, skip
        self.class_order = class_order

    @abstractmethod
    def find(self) -> tuple[list[str], dict[Split, ImageIndex]]:
        """Names of the classes, in label order, and the images of each split that are kept; reads no image.

        Raises:
            LtError: Something is missing or wrong.
        """

    @cached_property
    def found(self) -> tuple[list[str], dict[Split, ImageIndex]]:
        """What :meth:`find` finds; each class has a training image."""
        names, splits = self.find()
        counts = np.bincount(splits["train"].target, minlength=len(names))
        if not counts.all():
            what = f"the class {names[counts.argmin()]} has no training image"
            raise LtError(what, str(self.root), f"add one or leave it out; `lt data check {self.root}` tells more")
        if self.class_order is None:
            return names, splits
        if sorted(self.class_order) != sorted(names):
            fix = "name each class once, as it is called in the set"
            raise LtError("class_order names other classes than the set has", str(self.root), fix)
        label = np.array([self.class_order.index(name) for name in names], np.int32)
        return self.class_order, {split: replace(index, target=label[index.target]) for split, index in splits.items()}

    def kept(self, splits: dict[Split, ImageIndex]) -> dict[Split, ImageIndex]:
        """All images but those that are to be left out.

        Raises:
            LtError: The file that lists them cannot be read, or lists what is not there.
        """
        return splits if self.skip is None else without(splits, Path(self.skip))

    @property
    def class_counts(self) -> list[int]:
        """Training images of each class."""
        names, splits = self.found
        counts: list[int] = np.bincount(splits["train"].target, minlength=len(names)).tolist()
        return counts

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in label order."""
        return self.found[0]

    def image_name(self, split: Split, i: int) -> str:
        """Path of image i of a split, within ``root``."""
        return self.found[1][split].path(i)

    def default_augment(self) -> list[Augmentation]:
        """Flips; windows are cut as images are read."""
        return [RandomHorizontalFlip()]

    def dataset(self, split: Split) -> ImageFiles:
        """One split."""
        index = self.found[1][split]
        smallest = None if self.shrink_on_load is None else self.shrink_on_load * self.size
        if split == "train":
            return CroppedFiles(self.root, index, self.size, smallest, self.scale, self.num_views)
        return ImageFiles(self.root, index, self.size, smallest)


def without(splits: dict[Split, ImageIndex], skip: Path) -> dict[Split, ImageIndex]:
    """Leave out the images that a file lists.

    Raises:
        LtError: The file cannot be read, or lists what is not there.
    """
    check_regular(skip)
    try:
        text = skip.read_text(encoding="utf-8", errors="surrogateescape")  # as `lt data check --unreadable` writes it
        listed = {line for line in text.replace("\r\n", "\n").split("\n") if line}
    except (OSError, ValueError) as error:
        raise LtError(
            f"this list cannot be read ({error})", str(skip), "name a text file, a path in each line"
        ) from error
    kept, missed = {}, set(listed)
    for split, index in splits.items():
        paths = [index.path(i) for i in range(len(index))]
        kept[split] = index.select(np.array([path not in listed for path in paths], dtype=bool))
        missed.difference_update(paths)
    if missed:
        what = f"{len(missed)} paths to leave out are not in the set, such as {min(missed)}"
        raise LtError(what, str(skip), "list paths as they stand within the set's folder")
    print(f"lt: {len(listed)} images are left out, as {skip} lists them")
    return kept
