"""The images that the ensemble is most wrong about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lt_lightning.errors import LtError
from lt_lightning.plots.chart import Chart
from lt_lightning.plots.style import SPLITS, shown
from lt_lightning.plots.tables import FIX, Loss
from lt_lightning.regular import check_regular
from lt_lightning.whole_files import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Pixels = NDArray[np.uint8]
ACROSS, SIDE, LINES = 8, 0.94, 0.36
"""Images beside each other; the side of one, and the height of its three lines, in their distance."""
HEADER = b"P6 %d %d 255\n"
LARGEST = 4096
"""Pixels of a side of a strip of images, beyond all that is written."""


def top_losses(losses: Sequence[Loss], pixels: Pixels | None, split: str) -> list[Chart]:
    """The images of largest loss, with their class, the predicted class and its probability.

    Args:
        losses: The images, from the largest loss on.
        pixels: What they look like, ``(N, S, S, 3)``; None where that was not kept.
        split: What they are of.
    """
    if not losses or pixels is None or len(pixels) != len(losses):
        return []
    title = f"The {len(losses)} {SPLITS[split]} images of largest loss (true class above predicted class)"

    def draw(figure: Figure) -> None:
        across = min(ACROSS, len(losses))
        down = -(-len(losses) // across)
        figure.set_size_inches(max(1.5 * across, 5.5), 0.5 + 1.5 * (1 + LINES) * down)
        figure.suptitle(title)
        axes = figure.add_subplot()
        axes.axis("off")
        for i, (loss, image) in enumerate(zip(losses, pixels, strict=True)):
            left, top = i % across, (1 + LINES) * (i // across)
            extent = (left, left + SIDE, top + LINES + SIDE, top + LINES)
            axes.imshow(image, extent=extent, interpolation="nearest" if len(image) < 40 else "antialiased")
            lines = (
                shown(loss.target, 19),
                shown(loss.predicted, 19),
                f"{100 * loss.probability:.0f} %, loss {loss.loss:.1f}",
            )
            axes.text(left, top + LINES - 0.03, "\n".join(lines), va="bottom", fontsize=7, parse_math=False)
        axes.set(xlim=(0, across), ylim=((1 + LINES) * down, 0), aspect="equal")

    return [Chart(f"top_losses_{split}", title, Loss._fields, [*losses], draw)]


def write_strip(file: Path, pixels: Pixels) -> None:
    """Write images ``(N, S, S, 3)`` as one picture of the simplest kind, PPM: one below the other.

    Raises:
        OSError: It cannot be written.
    """
    number, size = pixels.shape[:2]
    with whole_file(file) as stream:
        stream.write(HEADER % (size, number * size) + pixels.tobytes())


def read_strip(file: Path, number: int) -> Pixels | None:
    """Images ``(N, S, S, 3)``, as :func:`write_strip` wrote them; None where they are not there.

    Raises:
        LtError: The file is damaged.
    """
    check_regular(file)
    if not number or not file.exists():
        return None
    head, _, body = file.read_bytes().partition(b"\n")
    words = head.split()
    size = int(words[1]) if len(words) == 4 and words[1].isdigit() else 0
    if head + b"\n" != HEADER % (size, number * size) or len(body) != number * size * size * 3:
        raise LtError(f"this picture is damaged, or not of {number} square images", str(file), FIX)
    return np.frombuffer(body, np.uint8).reshape(number, size, size, 3)
