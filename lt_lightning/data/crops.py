"""How an image of any size becomes a square one, in the process that reads it.

Both are torchvision's on Pillow images, byte for byte: resize with antialiasing, bilinear.
"""

import math
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lt_lightning.data.images import MAX_PIXELS
from lt_lightning.errors import LtError

RATIO = 3 / 4, 4 / 3
ATTEMPTS = 10
EVALUATED = 224 / 256
"""Part of the shorter side that evaluation looks at."""

Window = tuple[int, int, int, int]  # left, top, right, bottom


def random_window(width: int, height: int, scale: tuple[float, float], draw: Random) -> Window:
    """A window of random area, shape and place [Szegedy et al., 2015], https://arxiv.org/abs/1409.4842.

    The first of ten draws that lies within the image; else the largest in its middle whose shape is allowed.

    Args:
        width: Of the image.
        height: Of the image.
        scale: Smallest and largest part of the image's area; the sides' ratio lies between 3/4 and 4/3.
        draw: What is random.
    """
    for _ in range(ATTEMPTS):
        area = width * height * draw.uniform(*scale)
        ratio = math.exp(draw.uniform(*map(math.log, RATIO)))
        columns, rows = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < columns <= width and 0 < rows <= height:
            left, top = draw.randint(0, width - columns), draw.randint(0, height - rows)
            return left, top, left + columns, top + rows
    columns, rows = min(width, round(height * RATIO[1])), min(height, round(width / RATIO[0]))
    left, top = (width - columns) // 2, (height - rows) // 2
    return left, top, left + columns, top + rows


def random_crop(image: Image.Image, size: int, scale: tuple[float, float], draw: Random) -> NDArray[np.uint8]:
    """A random window, resized: ``(size, size, 3)``."""
    window = random_window(image.width, image.height, scale, draw)
    return np.asarray(image.crop(window).resize((size, size), Image.Resampling.BILINEAR))


def central_crop(image: Image.Image, size: int, part: float = EVALUATED) -> NDArray[np.uint8]:
    """The middle of the image, resized so that ``part`` of its shorter side becomes ``size``: ``(size, size, 3)``.

    Raises:
        LtError: Its sides are so different that this would take gigabytes.
    """
    shorter = round(size / part)
    width, height = (int(shorter * side / min(image.size)) for side in image.size)
    if width * height > MAX_PIXELS:
        what = f"an image of {image.width} x {image.height} pixels is too thin: it would become {width} x {height}"
        raise LtError(what, "data.size", "lower it, or leave such images out by --data.skip")
    left, top = round((width - size) / 2), round((height - size) / 2)
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized.crop((left, top, left + size, top + size)))
