"""Opens an image file as 8-bit RGB, upright, whatever is in it; nothing else in the package opens one.

=========================================  =========================================================================
In the file                                In the image
=========================================  =========================================================================
1-bit, grey                                0 or 255, or the grey, in all three channels
16-bit grey                                the value / 257, rounded; Pillow alone would clip it at 255
32-bit integers                            as 16-bit grey if all lie in 0 to 65535, otherwise refused
float                                      the value x 255, rounded, if all lie in 0 to 1, otherwise refused
16-bit colour; 16-bit grey with alpha      the high byte of each value, which is what Pillow reads of PNG and TIFF
palette                                    the palette's colours
alpha; a transparent colour of GIF or PNG  composited over white (Pillow sees no transparent colour in PNG of 2-bit or
                                           4-bit grey or 16-bit colour: there it stays opaque)
CMYK, YCbCr, LAB                           by Pillow's conversion; colour profiles are not applied
orientation in EXIF or XMP                 applied; an image with a corrupt EXIF block is left as it lies
several frames or pages                    the first one
=========================================  =========================================================================

Anything else is an :class:`~lt_lightning.errors.LtError` that names the file and what is wrong: it cannot be read (not
there, a dangling link, a folder, no permission), is empty, a web page, a Git LFS pointer or in no known format, is cut
short or damaged, has too many pixels or values in a range that is not known. Width and height are those of the header:
no pixel of too large an image is decoded. Pillow's own limit, 178,956,970 pixels unless the program sets
``Image.MAX_IMAGE_PIXELS``, holds besides.
"""

import os
import re
import warnings
from pathlib import Path
from typing import IO

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

from lt_lightning.errors import LtError
from lt_lightning.regular import check_regular

ENDINGS = {  # by Pillow's names of the formats: none that runs a program, as EPS does
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"},  # MPO, several images of a camera, is opened as JPEG
    "PNG": {".png", ".apng"},
    "BMP": {".bmp"},
    "GIF": {".gif"},
    "TIFF": {".tif", ".tiff"},
    "WEBP": {".webp"},
    "PPM": {".ppm", ".pgm", ".pbm", ".pnm", ".pfm"},
    "JPEG2000": {".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"},
}
FORMATS = tuple(ENDINGS)
"""The formats that are opened."""
SUFFIXES = frozenset[str]().union(*ENDINGS.values())
"""How the names of such files end, in lower case."""
MAX_PIXELS = 100_000_000

WHITE = {"I;16": 65535, "I;16L": 65535, "I;16B": 65535, "I;16N": 65535, "I": 65535, "F": 1}
"""The largest value in each of Pillow's modes that have more than 8 bits."""
SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51")
QUIET = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
REPLACE = "replace or remove the file; `lt data check FOLDER` finds all such files"


def open_image(path: str | os.PathLike[str], smallest: int | None = None, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Open, decode and convert an image file, and close it.

    Args:
        path: The file.
        smallest: The least width and height needed, in pixels: a JPEG is decoded, faster, at 1/8, 1/4 or 1/2 of its
            size where both stay as large as that. By default it is decoded in full.
        max_pixels: The largest width x height that is decoded.

    Returns:
        The image, of mode RGB, without any metadata.

    Raises:
        LtError: The file cannot be read, decoded or converted.
    """
    _silence_pillow()
    path, head = Path(path), b""
    try:
        check_regular(path)
        with path.open("rb") as file:
            head = file.read(1024)
            return _decode(file, str(path), smallest, max_pixels)
    except LtError:
        raise
    except Exception as error:  # decoders raise anything: SyntaxError, struct.error, MemoryError...
        what, fix = _diagnosis(path, head, error)
        raise LtError(what, str(path), fix) from error


def open_header(file: IO[bytes]) -> ImageFile.ImageFile:
    """Open an image and decode none of it: format, mode, size and metadata are known.

    Raises:
        Exception: Whatever the decoder raises; nothing for a file that :func:`open_image` has opened.
    """
    return Image.open(file, formats=FORMATS)


def _silence_pillow() -> None:
    """Ignore Pillow's warnings, as of corrupt EXIF blocks, in this process from now on.

    ``catch_warnings`` is not safe in threads, and after each use of it everyone's warnings are shown anew.
    """
    if warnings.filters[:1] != [QUIET]:
        warnings.filterwarnings("ignore", module=r"PIL\.")


def _decode(file: IO[bytes], where: str, smallest: int | None, max_pixels: int) -> Image.Image:
    image = open_header(file)
    if image.width * image.height > max_pixels:
        what = f"too many pixels: {image.width} x {image.height}, more than {max_pixels:,} in all"
        raise LtError(what, where, "shrink the image, or remove it; `lt data check FOLDER` finds all such files")
    if smallest:
        image.draft(None, (smallest, smallest))
    image.load()
    rgb, orientation = _rgb(image, where), _orientation(image)
    rgb.info = {}  # nothing in it holds for these pixels any more
    exif = rgb.getexif()  # the file's own, where nothing was copied
    exif[ExifTags.Base.Orientation] = orientation
    ImageOps.exif_transpose(rgb, in_place=True)
    for tag in [*exif]:
        del exif[tag]
    return rgb


def _rgb(image: Image.Image, where: str) -> Image.Image:
    if image.mode in WHITE:
        image = _grey(image, where)
    elif image.mode == "La":  # which Pillow converts to nothing else
        image = image.convert("LA")
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")  # which would copy it
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _grey(image: Image.Image, where: str) -> Image.Image:
    value, white = np.asarray(image), WHITE[image.mode]
    if not ((value >= 0) & (value <= white)).all():  # NaN is neither
        what = f"range not known: values from {value.min()} to {value.max()}, expected 0 to {white}"
        raise LtError(what, where, "save the image with 8 or 16 bits a channel")
    grey = np.rint(value * np.float32(255 / white)).astype(np.uint8)
    return Image.fromarray(np.where(value == image.info.get("transparency"), np.uint8(255), grey))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # corrupt EXIF blocks raise anything, too
        return 1


def _diagnosis(path: Path, head: bytes, error: Exception) -> tuple[str, str]:
    """What is wrong with a file that begins with ``head``, and what to do."""
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return f"a dangling link: {path.readlink()} does not exist", REPLACE
    if isinstance(error, OSError) and error.errno and not head:
        return f"the file cannot be read: {error.strerror}", "restore the file or its permissions, or remove it"
    if isinstance(error, MemoryError):
        return "not enough memory to decode the image", "shrink the image"
    if isinstance(error, Image.DecompressionBombError):
        return f"too many pixels: {error}", "shrink the image"
    if isinstance(error, UnidentifiedImageError):
        return _unidentified(head)
    if "truncated" in str(error).lower():
        return f"the image is cut short: {error}", REPLACE
    return f"the image is damaged or cut short: {error!r}", REPLACE


def _unidentified(head: bytes) -> tuple[str, str]:
    """What a file is that Pillow takes for no image, and what to do."""
    if not head:
        return "an empty file", REPLACE
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer in place of the image", "fetch the images with `git lfs pull`"
    if re.search(rb"<!doctype html|<html", head, re.IGNORECASE):
        return "a web page (HTML) in place of the image", REPLACE
    if head.startswith(SIGNATURES):
        return "the image's header is damaged, cut short or of a kind that Pillow does not know", REPLACE
    return f"not an image of a known format ({', '.join(FORMATS)})", REPLACE
