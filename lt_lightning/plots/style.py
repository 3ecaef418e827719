"""What charts share: how names, axes and tendencies are shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, groupby
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from lt_lightning.plots.chart import COLOURS
from lt_lightning.tail import GROUPS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPLITS = {"val": "validation", "validate": "validation", "test": "test"}
"""What the images are called that figures of ``fit``, ``validate`` and ``test`` are of."""
DASHES = ("--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)))
"""Lines of members: told apart without colours, too."""


def shown(name: str, longest: int = 24) -> str:
    """A name as it stands in a picture: cut where it is wide, without what cannot be printed.

    Args:
        name: Of a class, say.
        longest: Letters of Latin; those of Chinese, Japanese and Korean are twice as wide.
    """
    name = name or "(no name)"
    name = name if name.isprintable() else ascii(name)[1:-1]
    return name if cell_len(name) <= longest else f"{set_cell_size(name, longest - 1).rstrip()}…"


def classes(count: int) -> str:
    """A number of classes in words."""
    return f"{count:,} class{'' if count == 1 else 'es'}"


def present(groups: Iterable[str]) -> list[str]:
    """The groups that occur, from many to few."""
    found = set(groups)
    return [name for name in GROUPS if name in found]


def percent_axis(axes: Axes, label: str) -> None:
    """Let y be percent, from 0 to 100."""
    axes.set_ylim(-3, 103)
    axes.set_yticks(range(0, 101, 20))
    axes.set_ylabel(label)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def frequency_axis(axes: Axes, counts: Sequence[int], label: str = "training images of a class") -> None:
    """Let x be the logarithm of training images; classes of none stand at its left end."""
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = max(min(counts), 0.5), max(*counts, 1)
    axes.set_xscale("log")
    axes.set_xlim(low / 1.3, high * 1.3)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 2000 else (1,)))
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label if min(counts) else f"{label}\n(0 at the left end)")


def place(count: int) -> float:
    """Where a class of so many training images stands on :func:`frequency_axis`."""
    return max(count, 0.5)


def tendency(counts: Sequence[int], values: Sequence[float]) -> list[float]:
    """Running mean of values over classes that have about as many training images.

    It is the mean of a fifteenth of the classes, and of all classes of equal count alike. Of fewer than thirty classes
    each stands for itself.

    Args:
        counts: Training images of each class, from the most to the least.
        values: One of each class.
    """
    sums, size = [0.0, *accumulate(values)], len(values)
    half = size // 30
    means = []
    for i in range(size):
        low, high = max(0, i - half), min(size, i + half + 1)
        means.append((sums[high] - sums[low]) / (high - low))
    smooth: list[float] = []
    for _, group in groupby(range(size), key=lambda i: counts[i]):
        alike = [means[i] for i in group]
        smooth += [sum(alike) / len(alike)] * len(alike)
    return smooth


def group_handles(names: Iterable[str], counts: dict[str, int]) -> list[object]:
    """Entries of a legend: a dot of each group's colour, and how many classes it has."""
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], marker="o", linestyle="", color=COLOURS[name], label=f"{name}-shot ({classes(counts[name])})")
        for name in names
    ]
