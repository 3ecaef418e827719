"""FolderLT: anyone's own images, a folder for each class."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NoReturn

from lt_lightning.data.base import Split
from lt_lightning.data.images import SUFFIXES
from lt_lightning.data.index import ImageIndex
from lt_lightning.data.own import OwnDataModule
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
        names = in_order(set().union(*found.values()))
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
            if not is_plain(name):
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


def is_plain(name: str) -> bool:
    """Whether a name can be written down: it prints, as bytes that are no UTF-8 do not, and has no blank ends."""
    return name.isprintable() and name == name.strip()


def in_order(names: Collection[str]) -> list[str]:
    """Names of classes, sorted; as numbers where all of them are."""
    if all(map(str.isdecimal, names)):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def _folders(top: Path, depth: int, root: Path) -> Iterator[Path]:
    try:
        paths = sorted(top.iterdir())
    except OSError as error:
        closed(error)
    for path in paths:
        if is_junk(path.name):
            continue
        if path.is_dir():
            yield from _folders(path, depth - 1, root) if depth > 1 else (path,)
        elif path.suffix.lower() in SUFFIXES:
            what = f"{path.relative_to(root)} lies outside of the classes' folders"
            raise LtError(what, str(path), "move it into a class's folder, or set data.depth to the folders above it")


def image_files(folder: Path) -> Iterator[Path]:
    """Files below a folder that should be images, by their endings, in the order of their paths.

    Raises:
        LtError: A folder cannot be read, or a link leads back to a folder above it.
    """
    for at, folders, files in os.walk(folder, onerror=closed, followlinks=True):
        for path in (Path(at, name) for name in folders):
            if is_loop(path):
                raise LtError("this link leads back to a folder above it", str(path), "remove it")
        folders[:] = sorted(name for name in folders if not is_junk(name))
        yield from (
            Path(at, name) for name in sorted(files) if not is_junk(name) and Path(name).suffix.lower() in SUFFIXES
        )


def is_loop(folder: Path) -> bool:
    """Whether a link leads back to a folder that it was reached through."""
    return folder.is_symlink() and folder.resolve() in {above.resolve() for above in folder.parents}


def closed(error: OSError) -> NoReturn:
    """Refuse a folder that cannot be read.

    Raises:
        LtError: Always.
    """
    what = f"this folder cannot be read ({error.strerror})"
    raise LtError(what, str(error.filename), "allow it to be read, or move it away") from error


def is_junk(name: str) -> bool:
    """Whether a file or folder is hidden, or what an operating system leaves behind."""
    return name.startswith(".") or name.lower() in JUNK
