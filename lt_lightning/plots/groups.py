"""Accuracy by shot group, of the ensemble and of each of its members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lt_lightning.plots.chart import COLOURS, Cell, Chart
from lt_lightning.plots.style import SPLITS, percent_axis, shown
from lt_lightning.tail import GROUPS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KEYS = {"all": "acc", **{name: f"acc_{name}" for name in GROUPS}, "balanced": "bal_acc"}
"""Names of the figures of all images, of each group and of all classes alike."""

ACROSS = 5
"""Predictors beside each other."""


def shot_bars(figures: Mapping[str, float], predictors: Sequence[str], split: str, images: int) -> list[Chart]:
    """Accuracy of all, many-, medium- and few-shot classes, and balanced accuracy.

    Args:
        figures: Figures by name, as ``summary.json`` has them of one split.
        predictors: What the ensemble and its members are called.
        split: What they are of.
        images: Images of the split.
    """
    kinds = [kind for kind, key in KEYS.items() if key in figures]
    prefixes = ["", *(f"expert{m}/" for m in range(1, len(predictors)))]
    values = [[figures[f"{prefix}{KEYS[kind]}"] for kind in kinds] for prefix in prefixes]
    title = f"Accuracy on {images:,} {SPLITS[split]} images, by training images of their classes"

    def draw(figure: Figure) -> None:
        down = -(-len(values) // ACROSS)
        across = -(-len(values) // down)
        figure.set_size_inches(max(7.5, 0.8 + 0.36 * across * (len(kinds) + 1)), 1.1 + 2.9 * down)
        figure.suptitle(title)
        for r, axes in enumerate(figure.subplots(down, 1, squeeze=False)[:, 0]):
            chosen = slice(r * across, (r + 1) * across)
            _bars(axes, kinds, values[chosen], predictors[chosen], across)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(kinds))

    columns = "predictor", *(KEYS[kind] for kind in kinds)
    rows: list[tuple[Cell, ...]] = [(name, *row) for name, row in zip(predictors, values, strict=True)]
    return [Chart(f"shot_bars_{split}", title, columns, rows, draw)]


def _bars(axes: Axes, kinds: list[str], values: list[list[float]], predictors: Sequence[str], across: int) -> None:
    """Bars of predictors beside each other, with room for so many."""
    step = len(kinds) + 1
    for k, kind in enumerate(kinds):
        places, heights = [step * r + k for r in range(len(values))], [100 * row[k] for row in values]
        label = {"all": "all images", "balanced": "balanced: mean over classes"}.get(kind, f"{kind}-shot")
        axes.bar(places, heights, width=0.9, color=COLOURS[kind], label=label)
        for at, height in zip(places, heights, strict=True):
            axes.text(at, height + 1, f"{height:.0f}", ha="center", va="bottom", fontsize=6.5)
    percent_axis(axes, "accuracy in %")
    axes.set(xlim=(-1, step * across - 1), ylim=(0, 107))
    names = ["\n".join(map(shown, name.split(": "))) for name in predictors]
    axes.set_xticks([step * r + (len(kinds) - 1) / 2 for r in range(len(values))], names)
    axes.tick_params(axis="x", length=0)
