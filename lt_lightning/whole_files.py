"""Files that are whole or not there, whatever happens while they are written.

What is written goes to a hidden file beside the target, reaches the disk, and takes the target's place in one step. A
process that is killed leaves the old file, and at worst a hidden one that the next start sweeps away.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

PART = re.compile(r"\..+\.(\d+)\.part")


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing; it appears under its name when the block ends without an exception.

    Raises:
        OSError: It cannot be written; what was there before still is.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")  # beside it: a rename works within one file system alone
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)  # noqa: PTH105 - as os.fsync, which tests make fail
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename, too
    finally:
        os.close(folder)


def write_whole(path: Path, text: str) -> None:
    """Write a text file, in UTF-8.

    Raises:
        OSError: It cannot be written.
    """
    with whole_file(path) as file:
        file.write(text.encode("utf-8", "surrogateescape"))


def sweep(folder: Path) -> None:
    """Remove what processes that are no more left half written in a folder."""
    for path in folder.glob(".*.part"):
        if (found := PART.fullmatch(path.name)) and not _runs(int(found[1])):
            path.unlink(missing_ok=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
