"""Opens each image once, in several processes, and keeps what there is to say about it."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import singledispatch
from pathlib import Path
from typing import NamedTuple

from PIL import ExifTags, ImageFile
from rich.console import Console
from rich.progress import track

from lt_lightning.check.survey import Entry
from lt_lightning.data.base import LongTailDataModule
from lt_lightning.data.files import FileDataModule
from lt_lightning.data.images import open_header, open_image
from lt_lightning.data.memory import InMemoryDataModule
from lt_lightning.errors import LtError

CHUNK = 16
"""Images that a process is given at once."""
TURNED = range(2, 9)
"""Values of EXIF's orientation that mean that an image lies on its side, on its head or mirrored."""
RULES = {
    "16-bit": "grey is divided by 257, of colour the high byte is taken",
    "32-bit": "integers are read as 16-bit grey",
    "float": "0 to 1 becomes 0 to 255",
    "palette": "its colours are taken",
    "transparent": "laid over white",
    "CMYK": "converted to RGB without its colour profile",
    "YCbCr": "converted to RGB",
    "LAB": "converted to RGB",
    "turned by EXIF": "it is set upright",
    "corrupt EXIF": "it is left as it lies",
    "several frames": "the first one is taken",
}
"""What may be odd about an image, and how it is read then."""
MODES = {"I": "32-bit", "F": "float", "P": "palette", "PA": "palette", "CMYK": "CMYK", "YCbCr": "YCbCr", "LAB": "LAB"}
"""What Pillow's modes say of it."""


class Facts(NamedTuple):
    """What there is to say about an image.

    Attributes:
        format: Of its file, as Pillow calls it.
        width: In pixels, as it lies in the file.
        height: In pixels, as it lies in the file.
        digest: SHA-256 of the file, or of the pixels of an image in memory.
        oddities: What is odd about it, by the names of ``RULES``.
        error: Why it cannot be read; then nothing else is known.
    """

    format: str
    width: int
    height: int
    digest: bytes
    oddities: tuple[str, ...] = ()
    error: LtError | None = None


@singledispatch
def inspect(module: LongTailDataModule, entries: Sequence[Entry], num_workers: int) -> list[Facts]:
    """Look at each image of a set.

    Args:
        module: The set.
        entries: Its images, N of them.
        num_workers: Processes that read files; with 1 it is this one.

    Returns:
        N facts.

    Raises:
        LtError: A process died.
    """
    raise NotImplementedError(type(module))


@inspect.register
def _(module: InMemoryDataModule, entries: Sequence[Entry], num_workers: int) -> list[Facts]:
    image = {split: module.dataset(split).image.numpy() for split in {entry.split for entry in entries}}
    return [
        Facts("in memory", pixels.shape[1], pixels.shape[0], hashlib.sha256(pixels.tobytes()).digest())
        for split in dict.fromkeys(entry.split for entry in entries)
        for pixels in image[split]
    ]


@inspect.register
def _(module: FileDataModule, entries: Sequence[Entry], num_workers: int) -> list[Facts]:
    files = [module.root / entry.path for entry in entries]
    if num_workers == 1:
        return list(_shown(map(inspect_file, files), len(files)))
    with ProcessPoolExecutor(num_workers) as pool:
        facts = pool.map(inspect_file, files, chunksize=CHUNK)  # forks before the progress bar has its thread
        try:
            return list(_shown(facts, len(files)))
        except BrokenProcessPool as error:
            fix = "give it more memory, or find the image: --num_workers 1"
            raise LtError("a process that reads images died", str(module.root), fix) from error


def _shown(facts: Iterator[Facts], total: int) -> Iterator[Facts]:
    """The same, with a progress bar on a terminal."""
    console = Console(stderr=True)
    yield from track(facts, "images", total, console=console, transient=True, disable=not console.is_terminal)


def inspect_file(file: Path) -> Facts:
    """Look at an image: decode it, hash its file, read its header."""
    try:
        open_image(file, smallest=1)  # decoded at an eighth at best, for which all of a file is read as well
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").digest()
            image = open_header(stream)
            kind = "JPEG" if image.format == "MPO" else image.format or ""
            return Facts(kind, *image.size, digest, tuple(_oddities(image)))
    except LtError as error:
        return Facts("", 0, 0, b"", error=error)


def _oddities(image: ImageFile.ImageFile) -> Iterator[str]:
    """What is odd about an image of which no more than the header is read."""
    if ";16" in f"{image.mode} {image.tile}":
        yield "16-bit"
    if image.mode in MODES:
        yield MODES[image.mode]
    if image.has_transparency_data:
        yield "transparent"
    try:
        if image.getexif().get(ExifTags.Base.Orientation) in TURNED:
            yield "turned by EXIF"
    except Exception:  # decoders of EXIF raise anything
        yield "corrupt EXIF"
    if getattr(image, "is_animated", False):
        yield "several frames"
