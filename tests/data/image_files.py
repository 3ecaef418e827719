"""Image files, byte by byte."""

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image, features

NO_WEBP, NO_JP2, NO_LAB = (not features.check(name) for name in ("webp", "jpg_2000", "littlecms2"))


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


def row(*colours: tuple[int, ...], mode: str = "RGB") -> Image.Image:
    """An image one pixel high."""
    image = Image.new(mode, (len(colours), 1))
    image.putdata(colours if len(colours[0]) > 1 else [colour[0] for colour in colours])
    return image
