"""The only place that unpacks an archive: a stranger wrote it, so all of it is judged before any of it is written.

The standard library reads the archive, and only reads. What is refused here includes all that `its data filter
<https://docs.python.org/3/library/tarfile.html#extraction-filters>`_ refuses; that one lets links within the folder
through, members that replace others, executable files, and small archives that become huge.
"""

import bz2
import filecmp
import gzip
import io
import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, NamedTuple, cast

from lt_lightning.errors import LtError

TARS: dict[str, Callable[[Path], io.RawIOBase | io.BufferedIOBase]] = {
    ".tar": io.FileIO,
    ".tar.gz": gzip.GzipFile,
    ".tgz": gzip.GzipFile,
    ".tar.bz2": bz2.BZ2File,
    ".tar.xz": lzma.LZMAFile,
}
MAX_RATIO, ALWAYS_ALLOWED = 100, 64 * 2**20
"""Bytes an archive may become for each of its own, and bytes it may in any case: JPEG becomes 1, JSON about 10."""
MAX_DEPTH, CHUNK = 32, 2**16
SPECIAL = "is a link, a device or another special file"


class _Member(NamedTuple):
    name: str
    size: int  # as declared; 0 for a folder
    is_folder: bool
    fault: str  # why it is refused whatever its name and size; empty for plain files and folders
    open: Callable[[], IO[bytes]]


def extract(archive: Path, folder: Path, max_bytes: int = 2**40, max_files: int = 4_000_000) -> None:
    """Unpack plain files and folders into a folder: all of them or, if anything is amiss, none.

    Refused is whatever could land elsewhere or replace something: links, devices, absolute names, ``..``, backslashes,
    names that come twice, even in another case, and files that are there with other content. An archive may become a
    hundred times as large as it is, or 64 MiB. Its files get the mode of any new file, whatever it says.

    All is written into a temporary folder within ``folder``, or within its nearest parent while it does not exist, and
    then renamed. A compressed tar is decompressed twice: to be judged, and to be written.

    Args:
        archive: A .tar, .tar.gz, .tgz, .tar.bz2, .tar.xz or .zip file.
        folder: Where its members go; need not exist.
        max_bytes: Most that it may become in all, in bytes.
        max_files: Most members it may have.

    Raises:
        LtError: The archive is missing, damaged or hostile, does not fit on the disk, or would replace a file.
    """
    try:
        folder = folder.resolve()
        max_bytes = min(max_bytes, max(MAX_RATIO * archive.stat().st_size, ALWAYS_ALLOWED))
        with _opened(archive, max_bytes) as members:
            _unpack(list(_approved(archive, members, max_bytes, max_files)), folder)
    except LtError:
        raise
    except Exception as error:  # damage shows as OSError, EOFError, zlib.error, ValueError, RecursionError, ...
        what = f"the archive cannot be unpacked into {folder} ({type(error).__name__}: {error!s:.300})"
        fix = "fetch it again if it is missing or damaged, and see that the folder can be written and has room"
        raise LtError(what, str(archive), fix) from error


@contextmanager
def _opened(archive: Path, max_bytes: int) -> Iterator[Iterator[_Member]]:
    suffix = next((suffix for suffix in (*TARS, ".zip") if archive.name.lower().endswith(suffix)), None)
    if suffix is None:
        raise LtError("this is no archive that we unpack", str(archive), f"name a {', '.join(TARS)} or .zip file")
    if suffix == ".zip":
        with zipfile.ZipFile(archive) as zipped:
            yield _zip_members(zipped)
    else:
        with _Stream(TARS[suffix](archive), max_bytes) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            yield _tar_members(tar, stream)


class _Stream(io.BufferedReader):
    """A decompressed tar that can grow neither past a limit nor, by one long header, out of memory."""

    def __init__(self, file: io.RawIOBase | io.BufferedIOBase, max_bytes: int) -> None:
        super().__init__(file)
        self.max_bytes, self.last = max_bytes, b""

    def read(self, size: int | None = -1) -> bytes:  # tarfile reads a header, long names and all, at once
        if size not in range(CHUNK + 1):
            raise tarfile.ReadError(f"it has a header of {size} bytes")
        self.last = super().read(size)
        if self.tell() > self.max_bytes:
            raise tarfile.ReadError(f"it becomes more than {self.max_bytes:,} bytes")
        return self.last


def _tar_members(tar: tarfile.TarFile, stream: _Stream) -> Iterator[_Member]:
    for info in tar:
        fault = "" if info.isdir() or (info.isreg() and not info.issparse()) else SPECIAL
        opener = cast(Callable[[], IO[bytes]], partial(tar.extractfile, info))
        yield _Member(info.name, 0 if info.isdir() else info.size, info.isdir(), fault, opener)
    if stream.last != bytes(tarfile.BLOCKSIZE):  # tarfile takes a damaged header for the end
        raise tarfile.ReadError("its end is missing")
    while stream.read(CHUNK):  # up to the checksum of what was compressed
        pass


def _zip_members(zipped: zipfile.ZipFile) -> Iterator[_Member]:
    end = 0
    for info in sorted(zipped.infolist(), key=lambda info: info.header_offset):
        fault = ""
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            fault = SPECIAL
        elif info.flag_bits & 1:
            fault = "is encrypted"
        elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others decompress without a bound
            fault = "is compressed by another method than deflate"
        elif info.header_offset < end:
            fault = "overlaps another"
        end = info.header_offset + info.compress_size
        size = 0 if info.is_dir() else info.file_size
        yield _Member(info.orig_filename, size, info.is_dir(), fault, partial(zipped.open, info))


def _approved(archive: Path, members: Iterator[_Member], max_bytes: int, max_files: int) -> Iterator[_Member]:
    seen: set[str] = set()
    total = 0
    for number, member in enumerate(members, start=1):
        path, fault = PurePosixPath(member.name), member.fault
        key = str(path).casefold()
        has_dots = any(part.strip(". ") == "" for part in path.parts)  # Windows takes ".. " for ".."
        if has_dots or PureWindowsPath(member.name).anchor or {"\\", "\0"} & set(member.name):
            fault = "has a name that may lead out of the folder"
        elif len(path.parts) > MAX_DEPTH:
            fault = f"lies more than {MAX_DEPTH} folders deep"
        elif key in seen and not member.is_folder:
            fault = "comes twice, or differs from another only in upper and lower case"
        elif not 0 <= member.size <= max_bytes - total:
            fault = f"takes the archive past the {max_bytes:,} bytes it may become"
        elif number > max_files:
            fault = f"is one of more than {max_files:,}"
        if fault:
            where = f"{archive}: {member.name!r:.200}"  # repr: a name may hold what steers a terminal
            raise LtError(f"a member of the archive {fault}", where, "fetch the archive from its official source")
        seen.add(key)
        total += member.size
        yield member


def _unpack(members: list[_Member], folder: Path) -> None:
    home = next(place for place in (folder, *folder.parents) if place.exists())
    if (needed := sum(member.size for member in members)) > (free := shutil.disk_usage(home).free):
        raise OSError(f"it needs {needed:,} bytes, of which {free:,} are free")
    with tempfile.TemporaryDirectory(prefix=".lt-unpacking-", dir=home) as temporary, ExitStack() as undo:
        new = Path(temporary, "new")
        new.mkdir()
        for member in members:
            path = new / member.name
            (path if member.is_folder else path.parent).mkdir(parents=True, exist_ok=True)
            if not member.is_folder:
                _write(member, path)
        folder.parent.mkdir(parents=True, exist_ok=True)
        for source, target in list(_moves(new, folder)):  # all is compared before anything moves
            source.rename(target)
            undo.callback(target.rename, source)
        undo.pop_all()


def _write(member: _Member, path: Path) -> None:
    left = member.size
    with member.open() as source, path.open("xb") as target:  # x: this disk may take two names for one
        while chunk := source.read(min(CHUNK, left + 1)):  # one byte too many tells
            left -= len(chunk)
            target.write(chunk)
    if left:
        raise EOFError(f"{member.name!r:.200} is not of the {member.size:,} bytes it declares")


def _moves(new: Path, old: Path) -> Iterator[tuple[Path, Path]]:
    """What to rename to what; nothing for what is there already."""
    if not os.path.lexists(old):
        yield new, old
    elif new.is_dir() and old.is_dir() and not old.is_symlink():
        for entry in new.iterdir():
            yield from _moves(entry, old / entry.name)
    elif not (old.is_file() and filecmp.cmp(new, old, shallow=False)):
        raise LtError("unpacking would replace this, or go through it", str(old), "move it away, or unpack elsewhere")
