"""The picture of a long tail: training images of each class, from the largest class to the smallest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lt_lightning.plots.chart import COLOURS, Chart
from lt_lightning.plots.style import shown
from lt_lightning.tail import GROUPS, gini, group, imbalance_factor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = 30
"""Classes up to which each is named."""
WIDE = 60
"""Characters of all names up to which they fit beside each other."""
FLOOR = 0.5
"""Where bars begin on the logarithmic axis, so that a class of one image has one."""


def class_distribution(counts: Iterable[tuple[str, int]], many: int, few: int) -> Chart:
    """Training images of each class by rank, on a logarithmic axis.

    Args:
        counts: Name and training images of each class.
        many: A class with more training images than this is a many-shot class.
        few: A class with fewer training images than this is a few-shot class.
    """
    ranked = sorted(counts, key=lambda item: -item[1])
    rows = [(rank, name, count, group(count, many, few)) for rank, (name, count) in enumerate(ranked, start=1)]
    values = [count for _, count in ranked]
    tail = f"imbalance {imbalance_factor(values):,.1f}, Gini {gini(values):.3f}"
    title = f"{sum(values):,} training images of {len(values):,} classes: {tail}"

    def draw(figure: Figure) -> None:
        figure.set_size_inches(10, 5)
        axes = figure.add_subplot(yscale="log", ylabel="training images", title=title)
        _draw(axes, [name for name, _ in ranked], values, many, few)
        figure.legend(loc="outside lower center", ncols=len(GROUPS))

    return Chart("class_distribution", title, ("rank", "class", "train_images", "group"), [*rows], draw)


def _draw(axes: Axes, names: list[str], values: list[int], many: int, few: int) -> None:
    axes.set_xlim(0.5, max(len(values), 1) + 0.5)
    axes.set_ylim(FLOOR, 2 * max(many, *values, 1))
    axes.yaxis.set_major_formatter("{x:,g}")
    _bars(axes, values, many, few)
    for limit, sign, side in ((many, ">", "bottom"), (few, "<", "top")):
        if limit > FLOOR:
            axes.axhline(limit, color="black", linewidth=0.8, linestyle="--")
            axes.text(1.005, limit, f"{sign} {limit:,}", transform=axes.get_yaxis_transform(), va=side)
    if len(values) <= NAMED:
        _names(axes, names, values)
    else:
        axes.set_xlabel("class, by its rank")
        axes.xaxis.set_major_formatter("{x:,.0f}")


def _bars(axes: Axes, values: list[int], many: int, few: int) -> None:
    """A bar for each class, or one outline for each group where they would be too many."""
    words = {"many": f"more than {many:,}", "medium": f"{few:,} to {many:,}", "few": f"fewer than {few:,}"}
    for name in GROUPS:
        ranks = [rank for rank, count in enumerate(values, start=1) if group(count, many, few) == name]
        colour, label = COLOURS[name], f"{len(ranks):,} {name}-shot, {words[name]} images"
        tops = [max(values[rank - 1], FLOOR) for rank in ranks]
        if len(values) <= NAMED:
            axes.bar(ranks, [top - FLOOR for top in tops], bottom=FLOOR, color=colour, label=label)
        elif ranks:
            edges = [ranks[0] - 0.5, *(rank + 0.5 for rank in ranks)]
            axes.stairs(tops, edges, baseline=FLOOR, fill=True, color=colour, label=label)


def _names(axes: Axes, names: list[str], values: list[int]) -> None:
    labels = [shown(name) for name in names]
    angle, side = (60, "right") if sum(map(len, labels)) > WIDE else (0, "center")
    ranks = range(1, len(names) + 1)
    axes.set_xticks(ranks, labels, parse_math=False, rotation=angle, ha=side, rotation_mode="anchor")
    for rank, count in enumerate(values, start=1):
        text = f"{count:,}" if count < 10_000 else f"{count / 1000:,.0f}k"
        place = axes.text(rank, max(count, FLOOR), text, ha="center", va="bottom", fontsize="x-small")
        place.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5})  # hides the lines of the thresholds
