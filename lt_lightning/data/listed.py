"""Sets whose splits are published as lists of ``path class``; lists and images come from their authors."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from lt_lightning.data.base import Split
from lt_lightning.data.files import FileDataModule
from lt_lightning.data.index import ImageIndex
from lt_lightning.errors import LtError

MANY, FEW = 100, 20
RAW = "https://raw.githubusercontent.com"
BALANCING = f"{RAW}/facebookresearch/classifier-balancing/f162adef63fdf592d0b8a0f6e52bc481fc08785f/data"
MCE = f"{RAW}/lhl2211000/MCE/1daf0ae2120c34181b6cab8788adc387b66a1a68/data_txt"


class Source(NamedTuple):
    """Something to fetch by hand.

    Attributes:
        what: What it is.
        url: Where it is.
        size: How large it is, in words.
        place: Where it belongs, within ``root`` or ``lists``.
        digest: ``md5:...`` of the file, as its authors say.
    """

    what: str
    url: str
    size: str
    place: str
    digest: str


class PublishedList(NamedTuple):
    """The list of a split.

    Attributes:
        url: Where it is published; its last part is the file's name.
        size: Its bytes; 0 if it is made of something else than fetched.
        images: Lines.
        digests: ``sha256:...`` or ``git:...`` (a git blob) of the copies that are known to be right, the one at ``url``
            first.
    """

    url: str
    size: int
    images: int
    digests: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of the file."""
        return self.url.rpartition("/")[2]


class ListedDataModule(FileDataModule):
    """A set whose splits are published as lists.

    Lists of any published style are read, and images are found in any published layout: paths are brought to one style,
    and from that to the first layout in which the first image of the split is there.

    Args:
        root: Folder of the images; nothing is ever written into it.
        lists: Folder of the lists; by default ``root``.
        **kwargs: Arguments of :class:`~lt_lightning.data.files.FileDataModule`.

    Raises:
        LtError: A list is missing or another one, or images are not where any layout has them.
    """

    sources: ClassVar[tuple[Source, ...]]
    terms: ClassVar[str]
    """Licence of the images, in a line."""
    published: ClassVar[dict[Split, PublishedList]]
    groups: ClassVar[tuple[int, int, int]]
    """Many-, medium- and few-shot classes, by the usual thresholds."""

    def __init__(self, root: str, lists: str | None = None, **kwargs: Any) -> None:
        super().__init__(root=root, **kwargs)
        self.lists = Path(root if lists is None else lists)

    def find(self) -> tuple[list[str], dict[Split, ImageIndex]]:
        """Names of the classes, by their folders, and the images of each split."""
        texts = {split: self.style(self.read(split)) for split in self.published}
        indexed = {split: self.parse(split, text) for split, text in texts.items()}
        _, first = np.unique(indexed["train"].target, return_index=True)
        names = [self.class_name(indexed["train"].path(i)) for i in first]
        for split, text in texts.items():
            indexed[split] = self._locate(split, indexed[split], self.layouts(text, names))
        indexed = self.kept(indexed)
        return names, {"test": indexed["val"], **indexed}

    def read(self, split: Split) -> bytes:
        """The list of a split, as it is.

        Raises:
            LtError: It is not there.
        """
        file = self.lists / self.published[split].name
        try:
            return file.read_bytes()
        except OSError as error:
            name = type(self).__name__
            fix = f"`lt data prepare {name} --root {self.root}` says what to fetch, and where to put it"
            raise LtError(f"{name}'s list of {split} cannot be read ({error.strerror})", str(file), fix) from error

    def parse(self, split: Split, text: bytes) -> ImageIndex:
        """Index a list, and see that it is the published one by its numbers.

        Raises:
            LtError: It has other images or classes.
        """
        listed = self.published[split]
        index = ImageIndex.parse(np.frombuffer(text, np.uint8), str(self.lists / listed.name))
        counts = np.bincount(index.target)
        found = int((counts > MANY).sum()), int(((counts >= FEW) & (counts <= MANY)).sum()), int((counts < FEW).sum())
        if len(index) != listed.images or (split == "train" and found != self.groups):
            expected = f"{listed.images} images of {sum(self.groups)} classes"
            what = f"this is not the published list: expected {expected}, found {len(index)} of {len(counts)}"
            raise LtError(what, str(self.lists / listed.name), f"fetch {listed.name} anew: `lt data prepare`")
        return index

    def _locate(self, split: Split, index: ImageIndex, layouts: Iterator[bytes]) -> ImageIndex:
        tried = []
        for text in layouts:
            index = ImageIndex.parse(np.frombuffer(text, np.uint8), self.published[split].name)
            if (self.root / index.path(0)).is_file():
                return index
            tried.append(index.path(0))
        what = f"images of {split} are not there: tried {' and '.join(dict.fromkeys(tried))}"
        raise LtError(what, str(self.root), f"name the images' folder as root; `lt data prepare {type(self).__name__}`")

    def class_name(self, path: str) -> str:
        """Name of an image's class: the folders it is in, without that of a split."""
        return path.partition("/")[2].rpartition("/")[0]

    def style(self, text: bytes) -> bytes:
        """Bring a list to the one style that class names and layouts are made from."""
        return text

    def layouts(self, text: bytes, names: Sequence[str]) -> Iterator[bytes]:
        """The list in each layout that images may have, the usual one first."""
        yield text


def rewrite(pattern: str, to: str | Callable[[re.Match[bytes]], bytes], text: bytes) -> bytes:
    """Change the lines of a list that begin with a pattern."""
    return re.sub(b"(?m)^" + pattern.encode(), to.encode() if isinstance(to, str) else to, text)
