"""Which classes are taken for which others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lt_lightning.plots.chart import COLOURS, Cell, Chart
from lt_lightning.plots.style import SPLITS, group_handles, present, shown
from lt_lightning.plots.tables import ClassFigures, Pair

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMED = 50
"""Classes up to which each has a row of the matrix; more are put together by their rank."""
PARTS = 20
"""Rows of a matrix of more classes: from those of the most to those of the least training images."""
SHOWN = 25
"""Pairs that are shown."""
WRITTEN = 15
"""Rows up to which the numbers stand in the matrix."""


def confusion(classes: Sequence[ClassFigures], pairs: Sequence[Pair], split: str) -> list[Chart]:
    """Share of each class's images that were predicted as each class, classes by their training images.

    Of many classes a row stands for a twentieth of them, by rank.

    Args:
        classes: All classes, in label order.
        pairs: Images by class and predicted class.
        split: Where they were measured.
    """
    if not pairs:
        return []
    order = sorted(range(len(classes)), key=lambda c: -classes[c].train_images)
    size = len(classes) if len(classes) <= NAMED else PARTS
    part = {c: rank * size // len(order) for rank, c in enumerate(order)}
    labels = [shown(classes[c].name) for c in order] if size == len(classes) else _spans(classes, order, part)
    images, total = Counter[tuple[int, int]](), Counter[int]()
    for pair in pairs:
        images[part[pair.target], part[pair.predicted]] += pair.images
        total[part[pair.target]] += pair.images
    rows: list[tuple[Cell, ...]] = [
        (labels[a], labels[b], n, n / total[a]) for (a, b), n in sorted(images.items())
    ]  # fmt: skip
    what = f"{len(classes):,} classes" if size == len(classes) else f"{len(classes):,} classes, {size} parts by rank"
    title = f"Where {sum(total.values()):,} {SPLITS[split]} images go: {what}, from most to least training images"

    def draw(figure: Figure) -> None:
        side = 3.6 + 0.17 * size
        figure.set_size_inches(side + 0.9, side)
        axes = figure.add_subplot()
        figure.suptitle(title if size > WRITTEN else title.replace(": ", ":\n"))
        grid = [[100 * images[a, b] / total[a] if total[a] else 0.0 for b in range(size)] for a in range(size)]
        shade = axes.imshow(grid, cmap="Blues", vmin=0, vmax=100)
        axes.set_xticks(range(size), labels, rotation=90, parse_math=False)
        axes.set_yticks(range(size), labels, parse_math=False)
        axes.tick_params(length=0, labelsize=8 if size <= 30 else 6)
        axes.set(xlabel="predicted", ylabel="true")
        axes.spines[:].set_visible(False)
        if size <= WRITTEN:
            for (a, b), n in images.items():
                share = 100 * n / total[a]
                colour = "white" if share > 55 else "black"
                axes.text(b, a, f"{share:.0f}", ha="center", va="center", fontsize=8, color=colour)
        figure.colorbar(shade, ax=axes, label="images of the row in %", shrink=0.7)

    return [Chart(f"confusion_{split}", title, ("target", "predicted", "images", "share"), rows, draw)]


def confused_pairs(classes: Sequence[ClassFigures], pairs: Sequence[Pair], split: str) -> list[Chart]:
    """The classes whose images are most often taken for one other class.

    Args:
        classes: All classes, in label order.
        pairs: Images by class and predicted class.
        split: Where they were measured.
    """
    total = Counter[int]()
    for pair in pairs:
        total[pair.target] += pair.images
    wrong = [p for p in pairs if p.target != p.predicted]
    if not wrong:
        return []
    wrong.sort(key=lambda p: (-p.images, total[p.target], p.target, p.predicted))
    top = wrong[:SHOWN]
    rows: list[tuple[Cell, ...]] = [
        (
            classes[p.target].name,
            classes[p.predicted].name,
            classes[p.target].group,
            p.images,
            p.images / total[p.target],
        )
        for p in top
    ]
    mistakes = sum(p.images for p in wrong)
    title = f"{len(top)} most frequent of {len(wrong):,} kinds of mistakes, {mistakes:,} of {sum(total.values()):,}"
    title += f" {SPLITS[split]} images"

    def draw(figure: Figure) -> None:
        from matplotlib.ticker import MaxNLocator

        figure.set_size_inches(8, 1.3 + 0.22 * len(top))
        figure.suptitle(title)
        axes = figure.add_subplot()
        for at, p in enumerate(top):
            axes.barh(at, p.images, height=0.8, color=COLOURS[classes[p.target].group])
            text = f" {p.images:,} of {total[p.target]:,} ({100 * p.images / total[p.target]:.0f} %)"
            axes.text(p.images, at, text, va="center", fontsize=7)
        names = [f"{shown(classes[p.target].name)} → {shown(classes[p.predicted].name)}" for p in top]
        axes.set_yticks(range(len(top)), names, parse_math=False)
        axes.set_ylim(len(top) - 0.4, -0.6)
        axes.set_xlim(0, 1.25 * top[0].images)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("images")
        axes.tick_params(axis="y", length=0)
        all_groups = [c.group for c in classes]
        groups = present(classes[p.target].group for p in top)
        handles = group_handles(groups, {name: all_groups.count(name) for name in groups})
        note = "true class → predicted class, coloured by the true class"
        figure.legend(handles=handles, loc="outside lower center", ncols=3, title=note, title_fontsize=8)

    columns = "target", "predicted", "group", "images", "share"
    return [Chart(f"confused_pairs_{split}", title, columns, rows, draw)]


def _spans(classes: Sequence[ClassFigures], order: list[int], part: dict[int, int]) -> list[str]:
    """The range of training images of each part."""
    counts: dict[int, list[int]] = {}
    for c in order:
        counts.setdefault(part[c], []).append(classes[c].train_images)
    return [f"{p + 1}: {n[0]:,} to {n[-1]:,}" if n[0] > n[-1] else f"{p + 1}: {n[0]:,}" for p, n in counts.items()]
