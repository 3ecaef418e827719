"""Accuracy of classes against how many training images they have."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lt_lightning.plots.chart import COLOURS, MEMBERS, Cell, Chart
from lt_lightning.plots.style import (
    DASHES,
    SPLITS,
    frequency_axis,
    group_handles,
    percent_axis,
    place,
    present,
    shown,
    tendency,
)
from lt_lightning.plots.tables import ClassFigures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 4
"""Panels beside each other."""
ALONE, CELLS, STEP = 300, 12, 5
"""Classes up to which each has a dot; cells of a factor e of training images, and points of a cell's height, beyond."""


def measured(classes: Sequence[ClassFigures]) -> list[ClassFigures]:
    """Classes that have images, from the most to the least training images."""
    return sorted((c for c in classes if c.acc[0] is not None), key=lambda c: -c.train_images)


def acc_vs_frequency(classes: Sequence[ClassFigures], predictors: Sequence[str], split: str) -> list[Chart]:
    """Accuracy of each class, and running means of the ensemble's and the members' accuracy.

    Args:
        classes: What was measured of each class.
        predictors: What the ensemble and its members are called.
        split: Where it was measured.
    """
    ranked = measured(classes)
    if not ranked:
        return []
    counts = [c.train_images for c in ranked]
    means = [tendency(counts, [100 * (c.acc[p] or 0.0) for c in ranked]) for p in range(len(predictors))]
    rows = [
        (c.name, c.train_images, c.group, c.images, c.acc[0], *(m[i] / 100 for m in means))
        for i, c in enumerate(ranked)
    ]
    images = sum(c.images for c in ranked)
    title = f"Accuracy of {len(ranked):,} classes on {images:,} {SPLITS[split]} images"

    def draw(figure: Figure) -> None:
        figure.set_size_inches(8, 4.8)
        figure.suptitle(title)
        axes = figure.add_subplot()
        _dots(axes, ranked, [100 * (c.acc[0] or 0.0) for c in ranked], largest=60)
        for p, mean in reversed([*enumerate(means)]):
            of_member = {"color": MEMBERS[(p - 1) % len(MEMBERS)], "linestyle": DASHES[(p - 1) % len(DASHES)]}
            look = of_member if p else {"color": "black"}
            label = shown(predictors[p], 40)
            axes.plot([place(n) for n in counts], mean, linewidth=1.6 if p else 2.2, label=label, **look)
        percent_axis(axes, "accuracy in %")
        frequency_axis(axes, counts)
        _legend(figure, axes, ranked, f"{_of_dots(ranked)}; lines: running mean over classes of similar frequency")

    columns = "class", "train_images", "group", "images", "acc", *(f"running mean of {name}" for name in predictors)
    return [Chart(f"acc_vs_frequency_{split}", title, columns, rows, draw)]


def members(classes: Sequence[ClassFigures], predictors: Sequence[str], split: str) -> list[Chart]:
    """How each member's accuracy differs from the ensemble's, by class and by shot group; none without members.

    Args:
        classes: What was measured of each class.
        predictors: What the ensemble and its members are called.
        split: Where it was measured.
    """
    ranked, number = measured(classes), len(predictors) - 1
    if not ranked or not number:
        return []
    counts = [c.train_images for c in ranked]
    gains = [[100 * ((c.acc[m] or 0.0) - (c.acc[0] or 0.0)) for c in ranked] for m in range(1, number + 1)]
    rows: list[tuple[Cell, ...]] = [
        (c.name, c.train_images, c.group, *(gain[i] for gain in gains)) for i, c in enumerate(ranked)
    ]
    images = sum(c.images for c in ranked)
    title = f"Members against their ensemble, {len(ranked):,} classes, {images:,} {SPLITS[split]} images"

    def draw(figure: Figure) -> None:
        across = min(number, ACROSS)
        down = -(-number // across)
        figure.set_size_inches(max(3.1 * across, 5), 0.8 + 3 * down)
        figure.suptitle(title)
        grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
        for axes in grid.flat[number:]:
            axes.set_visible(False)
        for axes, gain, name in zip(grid.flat, gains, predictors[1:], strict=False):
            _dots(axes, ranked, gain, largest=20)
            axes.axhline(0, color="black", linewidth=0.8)
            _group_means(axes, ranked, gain)
            axes.plot([place(n) for n in counts], tendency(counts, gain), color="black", linewidth=1.6)
            axes.set_title(shown(name, 36))
            axes.set(ylim=(-108, 132), yticks=range(-100, 101, 50))
            frequency_axis(axes, counts)
            axes.xaxis.set_tick_params(rotation=45, labelbottom=True)
        for axes in grid[:, 0]:
            axes.set_ylabel("accuracy of the member\nminus the ensemble's, points")
        _legend(
            figure,
            grid.flat[0],
            ranked,
            f"{_of_dots(ranked)}; black: running mean; bars: means over the classes of a group",
        )

    columns = "class", "train_images", "group", *(f"{name} minus ensemble" for name in predictors[1:])
    return [Chart(f"members_{split}", title, columns, rows, draw)]


def _dots(axes: Axes, ranked: list[ClassFigures], values: list[float], largest: float) -> None:
    """A dot a class; of many classes, whose dots would hide each other, a larger one for those that are alike."""
    few = len(ranked) < 30  # whose lines go through their dots
    for group in present(c.group for c in ranked):
        chosen = [(c.train_images, v) for c, v in zip(ranked, values, strict=True) if c.group == group]
        if len(ranked) <= ALONE:
            x, y = [place(n) for n, _ in chosen], [v for _, v in chosen]
            size = [45.0 if few else 20.0] * len(chosen)
        else:
            cells = Counter((round(CELLS * math.log(place(n))), round(v / STEP)) for n, v in chosen)
            x, y = [math.exp(n / CELLS) for n, _ in cells], [STEP * v for _, v in cells]
            size = [largest * count / max(cells.values()) for count in cells.values()]
        axes.scatter(x, y, s=size, alpha=0.6, color=COLOURS[group], linewidths=0, zorder=2.5 if few else 1.5)


def _of_dots(ranked: list[ClassFigures]) -> str:
    return "dots: classes" if len(ranked) <= ALONE else "dots: classes, larger where several are alike"


def _group_means(axes: Axes, ranked: list[ClassFigures], values: list[float]) -> None:
    """A bar at the mean of each group, and its number above all."""
    groups = present(c.group for c in ranked)[::-1]
    for k, group in enumerate(groups):
        chosen = [i for i, c in enumerate(ranked) if c.group == group]
        mean = sum(values[i] for i in chosen) / len(chosen)
        ends = place(ranked[chosen[-1]].train_images) / 1.15, place(ranked[chosen[0]].train_images) * 1.15
        axes.plot(ends, [mean, mean], color=COLOURS[group], linewidth=4, solid_capstyle="butt", alpha=0.9)
        text = f"{group} {round(mean, 1) + 0.0:+.1f}"  # never -0.0
        axes.text((2 * k + 1) / (2 * len(groups)), 0.97, text, transform=axes.transAxes, ha="center", va="top",
                  fontsize=7, color=COLOURS[group], weight="bold")  # fmt: skip


def _legend(figure: Figure, axes: Axes, ranked: list[ClassFigures], note: str = "") -> None:
    names = [c.group for c in ranked]
    groups = present(names)
    lines = axes.get_legend_handles_labels()[0][::-1]
    handles = [*group_handles(groups, {name: names.count(name) for name in groups}), *lines]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, title=note, title_fontsize=8)
