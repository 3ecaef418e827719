"""Accuracy of each class: a bar with its name where classes are few, their profile where they are many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lt_lightning.plots.chart import COLOURS, Chart
from lt_lightning.plots.frequency import measured
from lt_lightning.plots.style import SPLITS, group_handles, percent_axis, present, shown
from lt_lightning.plots.tables import ClassFigures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMED = 50
"""Classes up to which each has a bar and its name."""


def per_class(classes: Sequence[ClassFigures], split: str) -> list[Chart]:
    """Accuracy of each class, from the best to the worst.

    Args:
        classes: What was measured of each class.
        split: Where it was measured.
    """
    ranked = sorted(measured(classes), key=lambda c: -(c.acc[0] or 0.0))
    if not ranked:
        return []
    images = sum(c.images for c in ranked)
    title = f"Accuracy of each of {len(ranked):,} classes on {images:,} {SPLITS[split]} images"
    rows = [(c.name, c.train_images, c.group, c.images, c.acc[0]) for c in ranked]
    draw_it = _bars if len(ranked) <= NAMED else _profile

    def draw(figure: Figure) -> None:
        draw_it(figure, ranked)
        figure.suptitle(title)
        names = [c.group for c in ranked]
        groups = present(names)
        handles = group_handles(groups, {name: names.count(name) for name in groups})
        figure.legend(handles=handles, loc="outside lower center", ncols=3)

    columns = "class", "train_images", "group", "images", "acc"
    return [Chart(f"per_class_{split}", title, columns, [*rows], draw)]


def _bars(figure: Figure, ranked: list[ClassFigures]) -> None:
    """Lying bars, so that names can be read."""
    figure.set_size_inches(8, 1.3 + 0.2 * len(ranked))
    axes = figure.add_subplot()
    for at, c in enumerate(ranked):
        acc = 100 * (c.acc[0] or 0.0)
        axes.barh(at, acc, height=0.8, color=COLOURS[c.group])
        axes.text(acc + 0.8, at, f"{acc:.1f}  (n = {c.train_images:,})", va="center", fontsize=7)
    axes.set_ylim(len(ranked) - 0.4, -0.6)
    axes.set_yticks(range(len(ranked)), [shown(c.name) for c in ranked], parse_math=False)
    axes.set_xlim(0, 116)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel("accuracy in %; n: training images")
    axes.tick_params(axis="y", length=0)


def _profile(figure: Figure, ranked: list[ClassFigures]) -> None:
    """Of each group and of all classes, how many reach which accuracy."""
    figure.set_size_inches(8, 4.6)
    axes = figure.add_subplot()
    for group in ["all", *present(c.group for c in ranked)]:
        acc = [100 * (c.acc[0] or 0.0) for c in ranked if group in ("all", c.group)]
        edges = [100 * i / len(acc) for i in range(len(acc) + 1)]
        dash = "--" if group == "all" else "-"
        axes.stairs(acc, edges, baseline=None, color=COLOURS[group], linewidth=1.8, linestyle=dash)
    worst, best = shown(ranked[-1].name), shown(ranked[0].name)
    percent_axis(axes, "accuracy in %, at least")
    axes.set_xlim(0, 100.5)
    axes.set_xlabel(f"classes of the group in %, from its best to its worst (dashed: all)\nbest {best}, worst {worst}")
