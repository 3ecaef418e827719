"""The picture of a long tail: training images of each class, from the largest class to the smallest."""

import warnings
from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lt_lightning.check.figures import GROUPS, gini, group, imbalance_factor

COLOURS = dict(zip(GROUPS, ("#0072B2", "#E69F00", "#CC3311"), strict=True))
"""Told apart by eyes that see no red or no green, too."""
NAMED, LONGEST = 30, 24
"""Classes up to which each is named; characters of a name that are shown."""
WIDE = 60
"""Characters of all names up to which they fit beside each other."""
FLOOR = 0.5
"""Where bars begin on the logarithmic axis, so that a class of one image has one."""


def draw_counts(counts: Mapping[str, int], many: int, few: int) -> Figure:
    """Draw numbers of training images by rank, on a logarithmic axis.

    Args:
        counts: Training images of each class.
        many: A class with more training images than this is a many-shot class.
        few: A class with fewer training images than this is a few-shot class.
    """
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    values = [count for _, count in ranked]
    figure = Figure(figsize=(10, 5), dpi=150, layout="constrained")
    axes = figure.add_subplot(yscale="log", ylabel="training images")
    axes.set_xlim(0.5, max(len(ranked), 1) + 0.5)
    axes.set_ylim(FLOOR, 2 * max(many, *values, 1))
    axes.yaxis.set_major_formatter("{x:,g}")
    axes.spines[["top", "right"]].set_visible(False)
    _bars(axes, values, many, few)
    for limit, sign, side in ((many, ">", "bottom"), (few, "<", "top")):
        if limit > FLOOR:
            axes.axhline(limit, color="black", linewidth=0.8, linestyle="--")
            axes.text(1.005, limit, f"{sign} {limit:,}", transform=axes.get_yaxis_transform(), va=side)
    if len(ranked) <= NAMED:
        _names(axes, [name for name, _ in ranked], values)
    else:
        axes.set_xlabel("class, by its rank")
        axes.xaxis.set_major_formatter("{x:,.0f}")
    tail = f"imbalance {imbalance_factor(values):,.1f}, Gini {gini(values):.3f}"
    axes.set_title(f"{sum(values):,} training images of {len(values):,} classes: {tail}")
    figure.legend(loc="outside lower center", ncols=len(GROUPS), frameon=False, fontsize="small")
    return figure


def save_chart(figure: Figure, file: Path) -> None:
    """Write a chart as the kind of picture that the file's ending says.

    Raises:
        OSError: The file cannot be written.
        ValueError: There is no such kind.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a box stands for a letter that the font lacks
        figure.savefig(file)


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
    shown = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in names]
    shown = [name if name.isprintable() else ascii(name) for name in shown]
    angle, side = (60, "right") if sum(map(len, shown)) > WIDE else (0, "center")
    ranks = range(1, len(names) + 1)
    axes.set_xticks(ranks, shown, parse_math=False, rotation=angle, ha=side, rotation_mode="anchor")
    for rank, count in enumerate(values, start=1):
        text = f"{count:,}" if count < 10_000 else f"{count / 1000:,.0f}k"
        place = axes.text(rank, max(count, FLOOR), text, ha="center", va="bottom", fontsize="x-small")
        place.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5})  # hides the lines of the thresholds
