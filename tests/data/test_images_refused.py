"""open_image against files that are no sound images: each is named, with what is wrong and what to do."""

import pickle
import re
import struct
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_files import NO_WEBP, encoded, png, row, tiff
from PIL import ExifTags, Image, ImageFile

from lt_lightning.data import images
from lt_lightning.data.images import FORMATS, MAX_PIXELS, SUFFIXES, open_image
from lt_lightning.errors import LtError

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
