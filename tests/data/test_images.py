"""open_image against images and files that the tests make, each with the pixels that it must come back with."""

import struct
import warnings
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from image_files import NO_JP2, NO_LAB, NO_WEBP, encoded, png, row, tiff
from PIL import Image

from lt_lightning.data.images import open_image

LEVELS = [0, 128, 129, 256, 1000, 30000, 65535]  # of 16 bits; over 257: 0, 0.498, 0.502, 0.996, 3.89, 116.7, 255
AS_8_BIT = [0, 0, 1, 1, 4, 117, 255]
RED, GREEN, BLUE, WHITE = [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]


def grey(values: list[int]) -> list[list[int]]:
    return [[value] * 3 for value in values]


def palette(*colours: list[int]) -> Image.Image:
    """An image one pixel high that shows each colour of its palette once."""
    image = row(*((place,) for place in range(len(colours))), mode="P")
    image.putpalette([value for colour in colours for value in colour])
    return image


U16 = np.array([LEVELS], np.uint16)
HALF_RED, CLEAR_BLUE = (255, 0, 0, 128), (0, 0, 255, 0)
TWO = [row((255, 0, 0)), row((0, 255, 0))]

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
