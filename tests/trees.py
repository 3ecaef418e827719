"""Small sets of files in the formats that people have."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

COUNTS = {"blue tit": 12, "Ägypten": 7, "lynx": 4, "otter": 2, "zebra": 1}
"""Images of each class of a tree."""


def picture(key: int, width: int = 40, height: int = 30) -> Image.Image:
    """An image whose content follows from a number, and whose class's colour shows."""
    pixels = np.random.default_rng(key).integers(0, 60, (height, width, 3), dtype=np.uint8)
    pixels[..., key % 3] += np.uint8(60 * (key // 1000 % 4))
    return Image.fromarray(pixels)


def save(path: Path, key: int) -> None:
    """Write an image, and the folders it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(key).save(path)


def tree(root: Path, counts: Mapping[str, int] = COUNTS, ending: str = ".jpg", start: int = 0) -> Path:
    """A folder for each class, of so many images each."""
    for c, (name, count) in enumerate(counts.items()):
        for i in range(count):
            save(root / name / f"photo {start + i}{ending}", 1000 * c + start + i)
    return root
