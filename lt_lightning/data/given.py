"""Images that somebody has, for a model that is trained already: nothing of its own data need be there."""

from abc import abstractmethod
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from lt_lightning.data.augment import Augmentation
from lt_lightning.data.base import Batch, LongTailDataModule, Split
from lt_lightning.data.folder import image_files
from lt_lightning.data.index import ImageIndex
from lt_lightning.data.sampling import Fetch
from lt_lightning.data.table import table_rows
from lt_lightning.errors import LtError

TABLES = (".csv", ".tsv")
"""How the names of tables end."""
UNKNOWN = -1
"""Class of an image of which nobody says one."""

Found = tuple[str, str]  # path, class


class GivenFiles(Dataset[Batch]):
    """Image files, each as a run's data are evaluated.

    Args:
        index: Paths and classes.
        like: The run's data.
    """

    def __init__(self, index: ImageIndex, like: LongTailDataModule) -> None:
        self.index, self.like = index, like

    def __len__(self) -> int:
        return len(self.index)

    @property
    def target(self) -> Tensor:
        """Classes, ``(N,)``."""
        return torch.from_numpy(self.index.target)

    def __getitem__(self, fetch: Fetch) -> Batch:
        return self.batch({i: self.read(i) for i in fetch.indices.tolist()}, fetch)

    def batch(self, squares: dict[int, NDArray[np.uint8]], fetch: Fetch) -> Batch:
        """A batch of images by their places."""
        places = torch.tensor(list(squares), dtype=torch.int64)
        none = np.zeros((0, self.like.size, self.like.size, 3), np.uint8)
        return {
            "image": torch.from_numpy(np.stack(list(squares.values())) if squares else none),
            "target": self.target[places].long(),
            "index": places,
            "seed": fetch.seed,
            "step_seed": fetch.step_seed,
        }

    def read(self, i: int) -> NDArray[np.uint8]:
        """Image i, ``(size, size, 3)``.

        Raises:
            LtError: It cannot be read.
        """
        return self.like.square(Path(self.index.path(i)))


class ReadableFiles(GivenFiles):
    """Image files, of which those that cannot be read are left out of their batches and listed there.

    Args:
        index: Paths and classes.
        like: The run's data.
    """

    def __getitem__(self, fetch: Fetch) -> Batch:
        squares, errors = {}, {}
        for i in fetch.indices.tolist():
            try:
                squares[i] = self.read(i)
            except LtError as error:
                errors[i] = error.what
        return {**self.batch(squares, fetch), "errors": errors}


class GivenData(LongTailDataModule):
    """What images to predict and images to test have in common: paths that a command line names.

    Args:
        paths: Image files, folders that hold some at any depth, and tables (``.csv``, ``.tsv``) with a column of paths.
        like: Data of the run, of which only how images are evaluated counts: size, crop, mean, deviation, groups.
        class_names: Of the checkpoint.
        class_counts: Training images of each.

    Raises:
        LtError: A path does not exist, or a folder or table holds no image.
    """

    selected_on_test = False

    def __init__(
        self, paths: list[str], like: LongTailDataModule, class_names: list[str], class_counts: list[int]
    ) -> None:
        super().__init__(
            eval_batch_size=like.eval_batch_size,
            num_workers=like.num_workers,
            many=like.many,
            few=like.few,
            seed=like.seed,
        )
        self.paths, self.like, self.counts = [Path(path) for path in paths], like, class_counts
        self.names, self.label = class_names, {name: c for c, name in enumerate(class_names)}
        found = [image for path in self.paths for image in self._below(path)]
        self.index = ImageIndex.of((path for path, _ in found), (self.label.get(name, UNKNOWN) for _, name in found))

    @property
    def class_counts(self) -> list[int]:
        """Training images of each class, as the checkpoint says."""
        return self.counts

    @property
    def title(self) -> str:
        """Where the images are."""
        return ", ".join(str(path.resolve()) for path in self.paths)

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, as the checkpoint says."""
        return self.names

    def default_augment(self) -> list[Augmentation]:
        """None: nothing is trained."""
        return []

    def image_name(self, split: Split, i: int) -> str:
        """Path of image i."""
        return self.index.path(i)

    def normalise(self, image: Tensor) -> Tensor:
        """As the run's data are."""
        return self.like.normalise(image)

    def _below(self, path: Path) -> list[Found]:
        if not path.exists():
            raise LtError("there is no such file or folder", str(path), "name images, folders or CSV files that exist")
        if path.is_dir():
            found = [(str(file), self.folder_class(file.relative_to(path))) for file in image_files(path)]
        elif path.suffix.lower() in TABLES:
            found = list(self.listed(path))
        else:
            found = [(str(path), self.folder_class(Path(path.name)))]
        if not found:
            raise LtError("there is no image in it", str(path), "name a folder or a table of images")
        return found

    def folder_class(self, file: Path) -> str:
        """Class of an image by the folders that it is in, below the one that is given; nothing if none is a class's."""
        folders = file.parent.parts
        names = ("/".join(folders[:depth]) for depth in range(1, len(folders) + 1))
        return next((name for name in names if name in self.label), "")

    @abstractmethod
    def listed(self, table: Path) -> Iterator[Found]:
        """Images of a table, with their classes."""


class GivenImages(GivenData):
    """Images to predict, whose classes need not be known.

    An image's class is known where it lies in a folder that is called like one, or where a table says it.

    Args:
        paths: As for :class:`GivenData`.
        like: As for :class:`GivenData`.
        class_names: As for :class:`GivenData`.
        class_counts: As for :class:`GivenData`.
    """

    def dataset(self, split: Split) -> ReadableFiles:
        """All images, whatever the split."""
        return ReadableFiles(self.index, self.like)

    def listed(self, table: Path) -> Iterator[Found]:
        """Images of a table; a row that is wrong is an image that does not exist."""
        for row in table_rows(table, needed=["path"], optional=["class"]):
            yield (row.where, "") if isinstance(row, LtError) else (str(table.parent / row[0]), row[1])


class GivenTest(GivenData):
    """Images to test on, each of a class that the checkpoint knows; classes may be absent.

    Args:
        paths: As for :class:`GivenData`; a table has a column of classes, too.
        like: As for :class:`GivenData`.
        class_names: As for :class:`GivenData`.
        class_counts: As for :class:`GivenData`.

    Raises:
        LtError: An image is of no class, or of one that the checkpoint does not know.
    """

    def dataset(self, split: Split) -> GivenFiles:
        """All images, whatever the split."""
        return GivenFiles(self.index, self.like)

    def listed(self, table: Path) -> Iterator[Found]:
        """Images of a table."""
        for row in table_rows(table, optional=[]):
            if isinstance(row, LtError):
                raise row
            self._know(row[1], str(table))
            yield str(table.parent / row[0]), row[1]

    def folder_class(self, file: Path) -> str:
        """Class of an image by the folders that it is in, below the one that is given."""
        if not file.parent.parts:
            raise LtError("this image lies in no class's folder", str(file), "name the folder of the classes' folders")
        found = super().folder_class(file)
        self._know(found or file.parts[0], str(file))
        return found

    def _know(self, name: str, where: str) -> None:
        if name not in self.label:
            nearest = get_close_matches(name, self.label, 1)
            fix = f"did you mean {nearest[0]!r}?" if nearest else "leave it out, or name the folder above the classes'"
            raise LtError(f"the checkpoint knows no class {name!r}", where, fix)
