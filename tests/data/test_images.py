"""open_image against images and files that the tests make, each with the pixels that it must come back with."""

import pickle
import re
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageFile, features

from lt_lightning.data import images
from lt_lightning.data.images import FORMATS, MAX_PIXELS, SUFFIXES, open_image
from lt_lightning.errors import LtError

LEVELS = [0, 128, 129, 256, 1000, 30000, 65535]  # of 16 bits; over 257: 0, 0.498, 0.502, 0.996, 3.89, 116.7, 255
AS_8_BIT = [0, 0, 1, 1, 4, 117, 255]
RED, GREEN, BLUE, WHITE = [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The image as a file."""
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(width: int, height: int, bits: int, colour: int, rows: bytes, transparent: bytes = b"") -> bytes:
    """A PNG of these rows, each behind a filter byte of 0."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"tRNS", transparent), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
        if body or name != b"tRNS"
    )


def tiff(pixels: bytes, width: int, bits: list[int], photometric: int, **extra: list[int]) -> bytes:
    """A little-endian TIFF of one row; extra tags are called ``tag_338`` and so on, their values are short integers."""
    tags = {256: [width], 257: [1], 258: bits, 259: [1], 262: [photometric], 273: [8], 277: [len(bits)], 278: [1]}
    tags |= {279: [len(pixels)]} | {int(name[4:]): values for name, values in extra.items()}
    pixels += b"\0" * (len(pixels) % 2)
    far, entries = b"", b""
    start = 8 + len(pixels) + 2 + 12 * len(tags) + 4
    for tag, values in sorted(tags.items()):
        body = struct.pack(f"<{len(values)}H", *values)
        if len(body) > 4:
            body, far = struct.pack("<I", start + len(far)), far + body
        entries += struct.pack("<HHI", tag, 3, len(values)) + body.ljust(4, b"\0")
    header, count = struct.pack("<4sI", b"II*\0", 8 + len(pixels)), struct.pack("<H", len(tags))
    return header + pixels + count + entries + b"\0\0\0\0" + far


def grey(values: list[int]) -> list[list[int]]:
    return [[value] * 3 for value in values]


def row(*colours: tuple[int, ...], mode: str = "RGB") -> Image.Image:
    """An image one pixel high."""
    image = Image.new(mode, (len(colours), 1))
    image.putdata(colours if len(colours[0]) > 1 else [colour[0] for colour in colours])
    return image


def palette(*colours: list[int]) -> Image.Image:
    """An image one pixel high that shows each colour of its palette once."""
    image = row(*((place,) for place in range(len(colours))), mode="P")
    image.putpalette([value for colour in colours for value in colour])
    return image


U16 = np.array([LEVELS], np.uint16)
HALF_RED, CLEAR_BLUE = (255, 0, 0, 128), (0, 0, 255, 0)
TWO = [row((255, 0, 0)), row((0, 255, 0))]
NO_WEBP, NO_JP2, NO_LAB = (not features.check(name) for name in ("webp", "jpg_2000", "littlecms2"))

GOLDEN: dict[str, tuple[bytes, list[list[int]]]] = {  # one row each
    "1-bit.png": (encoded(row((0,), (255,), mode="1"), "PNG"), grey([0, 255])),
    "1-bit white is 0.tif": (tiff(b"\x40", 2, [1], 0), grey([255, 0])),
    "2-bit.png": (png(4, 1, 2, 0, b"\0\x1b"), grey([0, 85, 170, 255])),
    "grey.png": (encoded(row((0,), (7,), (255,), mode="L"), "PNG"), grey([0, 7, 255])),
    "colour.bmp": (encoded(row((1, 2, 3), (4, 5, 6)), "BMP"), [[1, 2, 3], [4, 5, 6]]),
    "colour.ppm": (b"P6 1 1 255\n\1\2\3", [[1, 2, 3]]),
    "1 x 1.png": (encoded(row((1, 2, 3)), "PNG"), [[1, 2, 3]]),
    "5000 x 1.png": (encoded(row(*[(1, 2, 3)] * 5000), "PNG"), [[1, 2, 3]] * 5000),
    "16-bit.png": (encoded(Image.fromarray(U16), "PNG"), grey(AS_8_BIT)),
    "16-bit little-endian.tif": (tiff(U16.astype("<u2").tobytes(), 7, [16], 1), grey(AS_8_BIT)),
    "16-bit big-endian.tif": (encoded(Image.fromarray(U16.astype(">u2")), "TIFF"), grey(AS_8_BIT)),
    "16-bit LZW.tif": (encoded(Image.fromarray(U16), "TIFF", compression="tiff_lzw"), grey(AS_8_BIT)),
    "16-bit.pgm": (b"P5 7 1 65535\n" + U16.astype(">u2").tobytes(), grey(AS_8_BIT)),
    "16-bit, 1000 transparent.png": (
        png(7, 1, 16, 0, b"\0" + U16.astype(">u2").tobytes(), struct.pack(">H", 1000)),
        grey([0, 0, 1, 1, 255, 117, 255]),
    ),
    "16-bit colour.png": (png(1, 1, 16, 2, b"\0" + struct.pack(">3H", 255, 30000, 65535)), [[0, 117, 255]]),
    "16-bit colour.tif": (tiff(struct.pack("<3H", 255, 30000, 65535), 1, [16] * 3, 2), [[0, 117, 255]]),
    "int32.tif": (encoded(Image.fromarray(U16.astype(np.int32)), "TIFF"), grey(AS_8_BIT)),
    "float.tif": (encoded(Image.fromarray(np.float32([[0, 0.25, 0.5, 1]])), "TIFF"), grey([0, 64, 128, 255])),
    "float.pfm": (b"Pf\n2 1\n-1.0\n" + struct.pack("<2f", 0.5, 1), grey([128, 255])),
    "palette.png": (encoded(palette(RED, GREEN, BLUE), "PNG"), [RED, GREEN, BLUE]),
    "palette, one transparent.png": (encoded(palette(RED, BLUE), "PNG", transparency=1), [RED, WHITE]),
    "palette, alpha.png": (
        encoded(palette(RED, BLUE, GREEN), "PNG", transparency=b"\x80\x00\xff"),
        [[255, 127, 127], WHITE, GREEN],
    ),
    "palette with alpha plane.tif": (
        tiff(b"\0\x80\1\xff", 2, [8, 8], 3, tag_338=[2], tag_320=[65535] + [0] * 512 + [65535] + [0] * 254),
        [[255, 127, 127], BLUE],
    ),
    "grey and alpha.png": (encoded(row((100, 128), (9, 0), (9, 255), mode="LA"), "PNG"), grey([177, 255, 9])),
    "grey and premultiplied alpha.tif": (tiff(bytes([50, 128, 9, 255]), 2, [8, 8], 1, tag_338=[1]), grey([177, 9])),
    "alpha.png": (encoded(row(HALF_RED, CLEAR_BLUE, mode="RGBA"), "PNG"), [[255, 127, 127], WHITE]),
    "premultiplied alpha.tif": (tiff(bytes([128, 0, 0, 128]), 1, [8] * 4, 2, tag_338=[1]), [[255, 127, 127]]),
    "transparent grey.png": (png(2, 1, 8, 0, b"\0\x09\x0a", b"\0\x09"), grey([255, 10])),
    "transparent colour.png": (png(2, 1, 8, 2, b"\0\1\2\3\1\2\4", b"\0\1\0\2\0\3"), [WHITE, [1, 2, 4]]),
    "transparent.gif": (encoded(palette(RED, BLUE), "GIF", transparency=0), [WHITE, BLUE]),
    "CMYK.tif": (encoded(row((0, 255, 255, 0), (0, 0, 0, 255), mode="CMYK"), "TIFF"), [RED, [0, 0, 0]]),
    "YCbCr.tif": (tiff(bytes([100, 50, 200]), 1, [8] * 3, 6, tag_530=[1, 1]), [[200, 75, 0]]),
    "two frames.gif": (encoded(TWO[0], "GIF", save_all=True, append_images=TWO[1:]), [RED]),
    "two pages.tif": (encoded(TWO[0], "TIFF", save_all=True, append_images=TWO[1:]), [RED]),
    "two frames.apng": (encoded(TWO[0], "PNG", save_all=True, append_images=TWO[1:]), [RED]),
}
if not NO_WEBP:
    kept = {"lossless": True, "exact": True}
    GOLDEN["alpha.webp"] = encoded(row(HALF_RED, CLEAR_BLUE, mode="RGBA"), "WEBP", **kept), [[255, 127, 127], WHITE]
if not NO_JP2:
    GOLDEN["colour.jp2"] = encoded(row((1, 2, 3), (4, 5, 6)), "JPEG2000"), [[1, 2, 3], [4, 5, 6]]
    GOLDEN["16-bit.jp2"] = encoded(Image.fromarray(U16), "JPEG2000"), grey(AS_8_BIT)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_pixels(name: str, tmp_path: Path) -> None:
    content, expected = GOLDEN[name]
    (tmp_path / name).write_bytes(content)
    image = open_image(tmp_path / name)
    assert (image.mode, np.asarray(image).tolist()) == ("RGB", [expected])
    assert image.info == {}


BLUE_TILE = Image.new("RGB", (8, 8), "blue")
LOSSY: dict[str, tuple[bytes, list[int]]] = {  # of one colour
    "colour.jpg": (encoded(Image.new("RGB", (8, 8), (200, 100, 50)), "JPEG"), [200, 100, 50]),
    "grey.jpg": (encoded(Image.new("L", (8, 8), 77), "JPEG"), [77] * 3),
    "CMYK, inverted as by Adobe.jpg": (encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"), RED),
    "two frames.mpo": (encoded(Image.new("RGB", (8, 8), "red"), "MPO", save_all=True, append_images=[BLUE_TILE]), RED),
}
if not NO_LAB:  # the L*a*b* of the sRGB red under D50, and an L* of 50
    LOSSY["LAB.tif"] = tiff(bytes([138, 81, 70]), 1, [8] * 3, 8), RED
    LOSSY["LAB grey.tif"] = tiff(bytes([128, 0, 0]), 1, [8] * 3, 8), [119] * 3


@pytest.mark.parametrize("name", LOSSY)
def test_golden_colours(name: str, tmp_path: Path) -> None:
    content, expected = LOSSY[name]
    (tmp_path / name).write_bytes(content)
    pixels = np.asarray(open_image(tmp_path / name)).astype(int)
    assert np.abs(pixels - expected).max() <= 5


def test_an_adobe_jpeg_holds_its_inks_inverted() -> None:
    stored = LOSSY["CMYK, inverted as by Adobe.jpg"][0]
    assert b"Adobe" in stored
    plain = Image.open(BytesIO(stored))
    plain.tile = [tile._replace(args=("CMYK", "")) for tile in plain.tile]  # type: ignore[attr-defined]
    assert plain.getpixel((0, 0)) == (255, 0, 0, 255)  # what is in the file; the image is of (0, 255, 255, 0)


def test_every_16_bit_value_is_rounded_to_the_nearest(tmp_path: Path) -> None:
    values = np.arange(65536)
    expected = (2 * values + 257) // 514  # of whole numbers; 257 is odd, so nothing lies halfway
    for name, array in {"a.png": values.astype(np.uint16), "a.tif": values.astype(np.int32)}.items():
        Image.fromarray(array.reshape(256, 256)).save(tmp_path / name)
        assert np.array_equal(np.asarray(open_image(tmp_path / name))[..., 1].ravel(), expected)


UPRIGHT = [[10, 20, 30], [40, 50, 60]]
STORED = {  # by the EXIF standard: which side of the upright image the first row and the first column of the file are
    1: [[10, 20, 30], [40, 50, 60]],  # top, left
    2: [[30, 20, 10], [60, 50, 40]],  # top, right
    3: [[60, 50, 40], [30, 20, 10]],  # bottom, right
    4: [[40, 50, 60], [10, 20, 30]],  # bottom, left
    5: [[10, 40], [20, 50], [30, 60]],  # left, top
    6: [[30, 60], [20, 50], [10, 40]],  # right, top
    7: [[60, 30], [50, 20], [40, 10]],  # right, bottom
    8: [[40, 10], [50, 20], [60, 30]],  # left, bottom
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_the_image_is_upright(suffix: str, orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.array(STORED[orientation], np.uint8).repeat(16, 0).repeat(16, 1)  # a JPEG keeps blocks of one grey
    Image.fromarray(stored).save(tmp_path / f"a{suffix}", exif=exif)
    image = open_image(tmp_path / f"a{suffix}")
    assert np.asarray(image)[8::16, 8::16, 0].tolist() == UPRIGHT
    assert (image.info, dict(image.getexif())) == ({}, {})  # so that nobody turns it again


def test_orientation_in_xmp_and_alpha_go_together(tmp_path: Path) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="3"/></x:xmpmeta>'
    row(HALF_RED, CLEAR_BLUE, mode="RGBA").save(tmp_path / "a.tif", tiffinfo={700: xmp})
    assert np.asarray(open_image(tmp_path / "a.tif")).tolist() == [[WHITE, [255, 127, 127]]]


CORRUPT = {
    "no EXIF at all": (b"Exif\0\0 nothing of the kind", 1),
    "cut short": (b"Exif\0\0II*\0\x08\0\0\0\x09\0\x12\x01", 1),
    "cut short behind the orientation": (b"Exif\0\0II*\0\x08\0\0\0\x09\0\x12\x01\3\0\1\0\0\0\3\0\0\0\x0f", 3),
    "orientation of 9": (b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\x01\3\0\1\0\0\0\x09\0\0\0\0\0\0\0", 1),
    "orientation of text": (b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\x01\2\0\3\0\0\0up\0\0\0\0\0\0", 1),
}


@pytest.mark.parametrize("name", CORRUPT)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_corrupt_exif_block_is_passed_over(mode: str, name: str, tmp_path: Path) -> None:
    exif, orientation = CORRUPT[name]
    image = Image.new("L", (32, 16), 10)
    image.paste(200, (0, 0, 16, 16))
    image = image.convert(mode)
    image.save(tmp_path / "a.jpg", exif=exif)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels = np.asarray(open_image(tmp_path / "a.jpg"))[8, 8::16, 0].tolist()
    assert pixels == ([200, 10] if orientation == 1 else [10, 200])


def test_no_warning_of_pillow_is_shown_in_any_thread(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    path = tmp_path / "a.jpg"
    Image.new("L", (16, 16)).save(path, exif=CORRUPT["cut short"][0])
    Image.open(path).getexif()
    assert "orrupt EXIF" in str(recwarn.pop(UserWarning).message)  # so there is something to silence
    recwarn.clear()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(open_image, [path] * 200))
    assert not recwarn.list
    with pytest.warns(UserWarning, match="of others"):
        warnings.warn("of others", stacklevel=1)


@pytest.mark.parametrize(
    ("smallest", "size"),
    [
        (None, (1600, 1200)),
        (150, (200, 150)),
        (151, (400, 300)),
        (300, (400, 300)),
        (301, (800, 600)),
        (601, (1600, 1200)),
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_a_jpeg_is_decoded_no_larger_than_needed(
    mode: str, smallest: int | None, size: tuple[int, int], tmp_path: Path
) -> None:
    Image.new("RGB", (1600, 1200), (200, 100, 50)).convert(mode).save(tmp_path / "a.jpg")
    image = open_image(tmp_path / "a.jpg", smallest)
    assert image.size == size
    assert np.abs(np.asarray(image).astype(int) - [200, 100, 50]).max() <= 3


def test_other_formats_are_decoded_in_full(tmp_path: Path) -> None:
    Image.new("RGB", (80, 60)).save(tmp_path / "a.png")
    assert open_image(tmp_path / "a.png", smallest=10).size == (80, 60)


JPEG = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)), "JPEG")
PNG = encoded(Image.open(BytesIO(JPEG)), "PNG")
GIF = encoded(Image.open(BytesIO(JPEG)), "GIF")
TIFF = encoded(Image.open(BytesIO(JPEG)), "TIFF", compression="tiff_lzw")
ODD = np.array([[0, 1]])
REFUSED = {
    "empty.jpg": (b"", "an empty file"),
    "text.jpg": (b"The image is in another folder.", "not an image of a known format"),
    "page.jpg": (b"\n<!DOCTYPE html><html><title>404</title>", "a web page"),
    "page without doctype.jpg": (b"<HTML lang=en><body>", "a web page"),
    "pointer.jpg": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1\n", "a Git LFS pointer"),
    "drawing.eps": (encoded(Image.new("RGB", (2, 2)), "EPS"), "not an image of a known format"),
    "drawing.psd": (struct.pack(">4sH6xHIIHHIIIH", b"8BPS", 1, 3, 1, 1, 8, 3, 0, 0, 0, 0) + b"123", "not an image"),
    "icon.ico": (encoded(Image.new("RGB", (16, 16)), "ICO"), "not an image of a known format"),
    "half.jpg": (JPEG[: len(JPEG) // 2], "cut short"),
    "half.png": (PNG[: len(PNG) // 2], "cut short"),
    "half.gif": (GIF[: len(GIF) // 2], "cut short"),
    "half.tif": (TIFF[: len(TIFF) // 2], "cut short"),
    "first bytes.jpg": (JPEG[:12], "cut short"),
    "first bytes.png": (PNG[:12], "cut short"),
    "float64.tif": (tiff(bytes(8), 1, [64], 1, tag_339=[3]), "of a kind that Pillow does not know"),
    "damaged.png": (PNG.replace(b"IDAT", b"XDAT"), "damaged"),
    "float above 1.tif": (encoded(Image.fromarray(ODD.astype(np.float32) * 1.5), "TIFF"), "range not known: .* 1.5,"),
    "float below 0.tif": (encoded(Image.fromarray(ODD.astype(np.float32) * -1), "TIFF"), "range not known: .* -1.0 to"),
    "not a number.tif": (encoded(Image.fromarray(ODD.astype(np.float32) * np.nan), "TIFF"), "range not known: .* nan"),
    "infinite.tif": (encoded(Image.fromarray(np.float32([[0, np.inf]])), "TIFF"), "range not known: .* inf,"),
    "int32 above.tif": (encoded(Image.fromarray(ODD.astype(np.int32) * 65536), "TIFF"), "range not known: .* 65536,"),
    "int32 below.tif": (encoded(Image.fromarray(ODD.astype(np.int32) * -1), "TIFF"), "range not known: .* -1 to"),
}


def refusal(path: Path, **arguments: Any) -> LtError:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(LtError) as caught:
            open_image(path, **arguments)
    assert caught.value.where == str(path)
    assert "0x" not in caught.value.what
    return caught.value


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_sound_image_is_named(name: str, tmp_path: Path) -> None:
    content, what = REFUSED[name]
    (tmp_path / name).write_bytes(content)
    error = refusal(tmp_path / name)
    assert re.search(what, error.what), error
    assert error.fix.startswith(("replace or remove", "fetch the images", "save the image"))


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("missing.jpg", "cannot be read: No such file"),
        ("folder.jpg", "cannot be read: Is a directory"),
        ("dangling.jpg", "a dangling link: gone.jpg"),
        ("circle.jpg", "cannot be read: Too many levels of symbolic links"),
        ("n" * 300, "cannot be read: File name too long"),
        ("zero\0.jpg", "null"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(name: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "dangling.jpg").symlink_to("gone.jpg")
    (tmp_path / "circle.jpg").symlink_to("circle.jpg")
    assert what in refusal(tmp_path / name).what


def test_a_file_without_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: Any, **__: Any) -> None:  # chmod would not keep root out
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    error = refusal(tmp_path / "a.jpg")
    assert "Permission denied" in error.what
    assert "permissions" in error.fix


@pytest.mark.parametrize("raised", [MemoryError(), SyntaxError("x"), struct.error("x"), EOFError(), KeyError("x")])
@pytest.mark.parametrize("where", [(Image, "open"), (ImageFile.ImageFile, "load"), (Image.Image, "convert")])
def test_whatever_pillow_raises_names_the_file(
    where: tuple[Any, str], raised: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.bmp").write_bytes(encoded(row((0,), (7,), mode="L"), "BMP"))  # which is converted

    def fail(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr(*where, fail)
    error = refusal(tmp_path / "a.bmp")
    assert ("not enough memory" if isinstance(raised, MemoryError) else "damaged") in error.what
    assert error.__cause__ is raised


@pytest.mark.parametrize(
    ("width", "height", "what"),
    [
        (30_000, 30_000, "900000000 pixels"),  # refused by Pillow, too
        (12_000, 10_000, "12000 x 10000, more than 100,000,000"),  # Pillow would warn
        (MAX_PIXELS + 1, 1, "100000001 x 1, more than 100,000,000"),
    ],
)
def test_too_many_pixels_are_not_decoded(
    width: int, height: int, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: decoded.append(image))
    limit = Image.MAX_IMAGE_PIXELS
    (tmp_path / "a.png").write_bytes(png(width, height, 8, 2, b"\0" * 1000))
    error = refusal(tmp_path / "a.png")
    assert error.what.startswith("too many pixels")
    assert what in error.what
    assert not decoded
    assert limit == Image.MAX_IMAGE_PIXELS


def test_just_enough_pixels_are_decoded(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    assert open_image(tmp_path / "a.png", max_pixels=2000).size == (50, 40)
    assert "50 x 40, more than 1,999" in refusal(tmp_path / "a.png", max_pixels=1999).what


def test_the_fix_for_too_many_pixels_can_be_done(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(12_000, 10_000, 8, 2, b"\0" * 1000))
    assert refusal(tmp_path / "a.png").fix.startswith("shrink the image, or remove it; `lt data check")


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "turned.jpg"])
def test_an_image_that_is_rgb_is_not_copied(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6 if name == "turned.jpg" else 1
    Image.open(BytesIO(JPEG)).save(tmp_path / name, exif=exif)
    opened, plain = list[Image.Image](), images.open_header
    monkeypatch.setattr(images, "open_header", lambda file: opened.append(plain(file)) or opened[-1])
    for copies in ("convert", "copy", "transpose"):
        monkeypatch.setattr(Image.Image, copies, lambda *_, **__: pytest.fail("copied"))
    image = open_image(tmp_path / name)
    assert image is opened[0]
    assert image.size == ((40, 50) if name == "turned.jpg" else (50, 40))
    assert image.info == {}


def test_below_the_limit_pillow_does_not_warn(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(9_500, 10_000, 8, 2, b"\0" * 1000))
    assert "cut short" in refusal(tmp_path / "a.png").what  # and not Pillow's warning, which `refusal` makes an error


@pytest.mark.parametrize("content", [PNG, PNG[:2000], b""])
def test_the_file_is_closed(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(content)
    opened, plain = [], Path.open
    monkeypatch.setattr(Path, "open", lambda *a, **k: opened.append(plain(*a, **k)) or opened[-1])
    if content == PNG:
        assert open_image(str(tmp_path / "a.png")).getpixel((49, 39)) == Image.open(BytesIO(PNG)).getpixel((49, 39))
    else:
        refusal(tmp_path / "a.png")
    assert [file.closed for file in opened] == [True]


def test_the_error_survives_a_worker_process(tmp_path: Path) -> None:
    error = refusal(tmp_path / "missing.jpg")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_suffixes_are_those_of_the_formats() -> None:
    known = Image.registered_extensions()
    assert {known[suffix] for suffix in SUFFIXES if suffix in known} <= {*FORMATS, "MPO"}
    assert {suffix for suffix, kind in known.items() if kind in FORMATS} <= SUFFIXES


SOUND = {"JPEG": JPEG, "PNG": PNG, "GIF": GIF, "TIFF": TIFF}
if not NO_WEBP:
    SOUND["WEBP"] = encoded(Image.open(BytesIO(JPEG)), "WEBP")


@pytest.mark.parametrize("kind", SOUND)
def test_any_bytes_give_an_image_or_the_error(kind: str, tmp_path: Path) -> None:
    draw, path, opened = np.random.default_rng(0), tmp_path / "a", 0
    for _ in range(300):
        content = np.frombuffer(SOUND[kind], np.uint8).copy()
        reach = draw.choice([30, 300, len(content)])  # headers break in more ways than pixels
        places = draw.integers(0, min(reach, len(content)), draw.integers(1, 9))
        content[places] = draw.integers(0, 256, len(places))
        path.write_bytes(content.tobytes()[: draw.choice([len(content), draw.integers(len(content))], p=[0.8, 0.2])])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                image = open_image(path, smallest=20, max_pixels=10_000)
            except LtError:
                continue
        opened += 1
        assert image.mode == "RGB"
        assert 0 < image.width * image.height <= 10_000
    assert (0 if kind != "PNG" else -1) < opened < 300  # a PNG's checksums find every change
