"""FolderLT: anyone's own images, a folder for each class."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lt_lightning.data.base import Split
from lt_lightning.data.files import FileDataModule
from lt_lightning.data.images import SUFFIXES
from lt_lightning.data.index import ImageIndex
from lt_lightning.data.stratified import stratified_split
from lt_lightning.errors import LtError

SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""What folders of splits are called, whatever the case."""
JUNK = {"thumbs.db", "desktop.ini", "__macosx"}
"""What operating systems leave behind; hidden files, such as ``.DS_Store`` and ``._*``, are passed over as well."""


class OwnDataModule(FileDataModule):
    """Anyone's own images: what a folder and a table share.

    Where there is no test part, a stratified one is held out, and so is a validation part; of a class of two images one
    is a test image, a class of one is in training alone. A part that the data have is used as it is. The only part held
    out, whatever its name, is the test part. The run's folder keeps ``splits.csv``, which :class:`TableLT` reads.

    Photographs of millions of pixels are decoded at a fraction of their size, but never below twice ``size``.

    Args:
        root: Folder of the images; nothing is ever written into it.
        test_fraction: Part of each class's images that is held out for testing, where there is no such part.
        val_fraction: Part of each class's images that is held out for validation, where there is no such part; with 0
            validation images are the test images, and the best epoch is selected on test.
        split_seed: Another one holds out other images; the run's own seed does not.
        **kwargs: Arguments of :class:`~lt_lightning.data.files.FileDataModule`.

    Raises:
        ValueError: The fractions leave nothing for training.
        LtError: The data are not as they should be.
    """

    shrink_on_load = 2

    def __init__(
        self,
        root: str,
        test_fraction: float = 0.2,
        val_fraction: float = 0.1,
        split_seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(root=root, **kwargs)
        self.fractions: dict[Split, float] = {"test": test_fraction, "val": val_fraction}
        self.split_seed = split_seed
        stratified_split([], np.zeros(0, np.int64), self.fractions)  # refuses what makes no sense

    @property
    def selected_on_test(self) -> bool:  # type: ignore[override]
        """Whether there are no validation images but those of the test part."""
        splits = self.found[1]
        return splits["val"] is splits["test"]

    def complete(self, given: dict[Split, ImageIndex]) -> dict[Split, ImageIndex]:
        """Leave out what is to be left out, and hold out of the training images the parts that are not given."""
        given = self.kept(given)
        if "test" not in given and "val" in given:
            given = {"train": given["train"], "test": given["val"]}
        train = given["train"]
        missing = {part: fraction for part, fraction in self.fractions.items() if part not in given}
        paths = [train.path(i) for i in range(len(train))]
        chosen = stratified_split(paths, train.target, missing, self.split_seed)
        splits = given | {part: train.select(indices) for part, indices in chosen.items()}
        if not len(splits["test"]):
            raise LtError("no image is left for testing", str(self.root), "raise data.test_fraction, or add images")
        if not len(splits["val"]):
            splits["val"] = splits["test"]
        return splits

    def setup(self, stage: str) -> None:
        """Write down which image is in which part, when fitting starts."""
        if stage == "fit" and self.trainer is not None and self.trainer.is_global_zero:
            file = Path(self.trainer.default_root_dir) / "splits.csv"
            file.parent.mkdir(parents=True, exist_ok=True)
            names, splits = self.found
            with file.open("w", newline="", encoding="utf-8", errors="surrogateescape") as stream:
                writer = csv.writer(stream)
                writer.writerow(["path", "class", "split"])
                for split, index in splits.items():
                    if split != "val" or not self.selected_on_test:
                        rows = ((index.path(i), names[index.target[i]], split) for i in range(len(index)))
                        writer.writerows(rows)


class FolderLT(OwnDataModule):
    """Anyone's own images, a folder for each class, with or without folders of splits above.

    ``root/otter/a.jpg`` and ``root/otter/2024/b.jpg`` are images of the class ``otter``; classes are numbered in the
    order of their names. If ``root`` holds a folder ``train`` and nothing else but ``val`` (``valid``, ``validation``)
    and ``test``, these are the splits. Files that are no images, by their endings, are passed over; ``lt data check``
    lists them.

    Args:
        root: The folder.
        depth: Folders below it, or below those of splits, that name a class: with 2, ``root/cat/lynx/a.jpg`` is an
            image of the class ``cat/lynx``.
        **kwargs: Arguments of :class:`OwnDataModule`.

    Raises:
        ValueError: ``depth`` is not positive.
        LtError: There is no such folder, or no class in it; a class has no image; an image lies outside of classes.
    """

    def __init__(self, root: str, depth: int = 1, **kwargs: Any) -> None:
        super().__init__(root=root, **kwargs)
        if depth < 1:
            raise ValueError(f"depth must be at least 1, got {depth}")
        self.depth = depth

    def find(self) -> tuple[list[str], dict[Split, ImageIndex]]:
        """Names of the classes, and the images of each split."""
        tops = split_folders(self.root)
        found = {split: dict(self._classes(top)) for split, top in tops.items()}
        names = sorted(set().union(*found.values()))
        if len(names) < 2:
            what = f"expected a folder for each of two classes or more, found {len(names)}"
            raise LtError(what, str(self.root), "name the folder that holds the classes' folders by --data.root")
        label = {name: c for c, name in enumerate(names)}
        return names, self.complete(
            {
                split: ImageIndex.of(
                    (path for paths in classes.values() for path in paths),
                    (label[name] for name, paths in classes.items() for _ in paths),
                )
                for split, classes in found.items()
            }
        )

    def _classes(self, top: Path) -> Iterator[tuple[str, list[str]]]:
        """Each class folder's name, and the paths of its images within ``root``."""
        for folder in _folders(top, self.depth, self.root):
            name = folder.relative_to(top).as_posix()
            if not name.isprintable():  # surrogates, which stand for bytes that are no UTF-8, are not
                raise LtError(f"a class has the name {name!r}", repr(str(folder)), "rename its folder")
            paths = [str(path.relative_to(self.root)) for path in image_files(folder)]
            if not paths:
                raise LtError(f"the class {name} has no image", str(folder), "put images there, or remove the folder")
            yield name, paths


def split_folders(root: Path) -> dict[Split, Path]:
    """The folders of splits, or ``root`` as the one of training where there are none.

    Raises:
        LtError: There is no such folder, or it holds folders of splits and others.
    """
    try:
        folders = {path.name: path for path in sorted(root.iterdir()) if path.is_dir() and not is_junk(path.name)}
    except OSError as error:
        what = f"this folder cannot be read ({error.strerror})"
        raise LtError(what, str(root), "name the folder of your images by --data.root") from error
    splits = {SPLITS[name.lower()]: path for name, path in folders.items() if name.lower() in SPLITS}
    if "train" not in splits:
        return {"train": root}
    if len(splits) < len(folders):
        other = sorted(name for name, path in folders.items() if path not in splits.values())
        what = f"beside folders of splits there are others, such as {other[0]}"
        raise LtError(what, str(root), "leave train, val and test there alone, or rename them if they are classes")
    return splits


def _folders(top: Path, depth: int, root: Path) -> Iterator[Path]:
    for path in sorted(top.iterdir()):
        if is_junk(path.name):
            continue
        if path.is_dir():
            yield from _folders(path, depth - 1, root) if depth > 1 else (path,)
        elif path.suffix.lower() in SUFFIXES:
            what = f"{path.relative_to(root)} lies outside of the classes' folders"
            raise LtError(what, str(path), "move it into a class's folder, or set data.depth to the folders above it")


def image_files(folder: Path) -> Iterator[Path]:
    """Files below a folder that should be images, by their endings, in the order of their paths."""
    for at, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not is_junk(name))
        yield from (
            Path(at, name) for name in sorted(files) if not is_junk(name) and Path(name).suffix.lower() in SUFFIXES
        )


def is_junk(name: str) -> bool:
    """Whether a file or folder is hidden, or what an operating system leaves behind."""
    return name.startswith(".") or name.lower() in JUNK
