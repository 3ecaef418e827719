"""Walks through a folder of images that may have faults, and gathers them.

What it passes over, and what it takes for an image, is what :class:`~lt_lightning.data.folder.FolderLT` does.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from lt_lightning.check.findings import CLOSED, DANGLING, JUNK, LOOP, MIXED, OTHER_FILE, SPLIT_CLASS, Finding
from lt_lightning.data.base import Split
from lt_lightning.data.folder import SPLITS, is_junk, is_loop
from lt_lightning.data.images import SUFFIXES
from lt_lightning.errors import LtError


def split_names(root: Path, findings: list[Finding]) -> tuple[dict[str, Split], set[Path]]:
    """Folders of splits, none if there is none of training, and those that may not be beside them.

    Raises:
        LtError: The folder cannot be read.
    """
    try:
        folders = sorted(path.name for path in root.iterdir() if path.is_dir() and not is_junk(path.name))
    except OSError as error:
        what = f"this folder cannot be read ({error.strerror})"
        raise LtError(what, str(root), "name the folder of your images") from error
    named = {SPLITS[name.lower()]: name for name in folders if name.lower() in SPLITS}
    if "train" not in named:
        findings += (SPLIT_CLASS.at(name) for name in named.values())
        return {}, set()
    others = sorted(set(folders) - set(named.values()))
    findings += (MIXED.at(name) for name in others)
    return {name: split for split, name in named.items()}, {Path(name) for name in others}


def walk(root: Path, others: set[Path], findings: list[Finding]) -> Iterator[tuple[Path, list[str]]]:
    """Each folder, and its images by their endings, all within ``root``.

    Args:
        root: Where to begin.
        others: Folders within it that are left out.
        findings: Receives what is wrong.
    """

    def closed(error: OSError) -> None:
        findings.append(CLOSED.at(os.path.relpath(error.filename, root), detail=str(error.strerror)))

    for at, folders, files in os.walk(root, onerror=closed, followlinks=True):
        here, images = Path(at).relative_to(root), []
        findings += (JUNK.at(str(here / name)) for name in sorted((*folders, *files)) if is_junk(name))
        loops = {name for name in folders if is_loop(root / here / name)}
        findings += (LOOP.at(str(here / name)) for name in sorted(loops))
        folders[:] = sorted(x for x in folders if not is_junk(x) and x not in loops and here / x not in others)
        for path in (here / name for name in sorted(files) if not is_junk(name)):
            if path.suffix.lower() in SUFFIXES:
                images.append(str(path))
            else:
                findings.append((OTHER_FILE if (root / path).exists() else DANGLING).at(str(path)))
        yield here, images
