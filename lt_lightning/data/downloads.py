"""Official files: fetched once, however many processes ask for them, and kept only if they are the official ones."""

import hashlib
import os
import shutil
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

from filelock import FileLock

from lt_lightning.errors import LtError

CHUNK, PATIENCE = 2**20, 60.0
"""Bytes read at once, and seconds that a silent server is waited for."""


class RemoteFile(NamedTuple):
    """A file that its authors publish.

    Args:
        url: Its address; begins with ``https://`` or ``http://``.
        digest: Algorithm and hexadecimal hash, ``"sha256:..."`` or, where the authors publish no better, ``"md5:..."``.
        size: Its bytes.
        licence: Its licence, or that the authors state none.
    """

    url: str
    digest: str
    size: int
    licence: str


def digest(file: Path, algorithm: str) -> str:
    """Hexadecimal hash of a file by an algorithm of :mod:`hashlib`."""
    with file.open("rb") as source:
        return hashlib.file_digest(source, algorithm).hexdigest()


def download(remote: RemoteFile, file: Path) -> Path:
    """Fetch a file unless it is there; of many processes one does it, the others wait.

    Args:
        remote: What to fetch, and how it is known.
        file: Where it goes; an empty, hidden ``.lock`` stays beside it.

    Returns:
        ``file``, which is the official one.

    Raises:
        LtError: It cannot be fetched, or what is fetched, or is there already, is not the official file.
        ValueError: The address is neither https nor http.
    """
    if not remote.url.startswith(("https://", "http://")):
        raise ValueError(f"the address must begin with https:// or http://, got {remote.url!r}")
    algorithm, _, expected = remote.digest.partition(":")
    by_hand = f"fetch {remote.url} by hand and put it at {file}"
    try:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(file.with_name(f".{file.name}.lock")):
                if not file.exists():
                    _fetch(remote, file)
                    return file
        if file.stat().st_size != remote.size or digest(file, algorithm) != expected:
            what = f"this is not the official file, which has {remote.size:,} bytes and {algorithm} {expected}"
            raise LtError(what, str(file), f"move it away to have it downloaded, or {by_hand}")
    except (OSError, HTTPException) as error:
        raise LtError(f"{file.name} cannot be fetched or read ({error})", remote.url, by_hand) from error
    return file


def _fetch(remote: RemoteFile, file: Path) -> None:
    free = shutil.disk_usage(file.parent).free
    if remote.size > free:
        raise OSError(f"it has {remote.size:,} bytes, {free:,} are free on the disk")
    print(f"lt: downloading {remote.url} ({remote.size:,} bytes, licence: {remote.licence}) -> {file}", flush=True)
    algorithm, _, expected = remote.digest.partition(":")
    hashed, size = hashlib.new(algorithm), 0
    part = file.with_name(f".{file.name}.part")  # ours by the lock; a killed process may have left one
    try:
        # The address stands in our own code, and what comes is compared with a hash.
        with urlopen(remote.url, timeout=PATIENCE) as response, part.open("wb") as target:  # nosec B310
            while chunk := response.read(min(CHUNK, remote.size + 1 - size)):  # one byte too many tells
                target.write(chunk)
                hashed.update(chunk)
                size += len(chunk)
            target.flush()
            os.fsync(target.fileno())
        if size != remote.size:
            raise OSError(
                f"{'more than' if size > remote.size else f'only {size:,} of'} its {remote.size:,} bytes came"
            )
        if hashed.hexdigest() != expected:
            raise OSError(f"its {algorithm} is {hashed.hexdigest()}, the official one is {expected}")
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
