"""Whether a model is right as often as it says, of all images and of each shot group.

- [Guo et al., 2017] On Calibration of Modern Neural Networks. https://arxiv.org/abs/1706.04599
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lt_lightning.plots.chart import COLOURS, Chart
from lt_lightning.plots.style import SPLITS
from lt_lightning.plots.tables import Bin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def reliability(bins: Sequence[Bin], split: str) -> list[Chart]:
    """Accuracy of each bin of confidence, and how many images it has.

    Args:
        bins: Bins of all images, then those of each group.
        split: Where they were measured.
    """
    groups = {name: [b for b in bins if b.group == name] for name in dict.fromkeys(b.group for b in bins)}
    groups = {name: some for name, some in groups.items() if sum(b.images for b in some)}
    if not groups:
        return []
    total = max(sum(b.images for b in some) for some in groups.values())
    title = f"Reliability on {total:,} {SPLITS[split]} images: accuracy by confidence"

    def draw(figure: Figure) -> None:
        figure.set_size_inches(max(2.8 * len(groups), 5), 4.4)
        figure.suptitle(title)
        upper, lower = figure.subplots(2, len(groups), height_ratios=(3, 1), sharex=True, sharey="row", squeeze=False)
        for k, (name, some) in enumerate(groups.items()):
            _panel(upper[k], lower[k], name, some)
        upper[0].set_ylabel("accuracy in %")
        lower[0].set_ylabel("images")

    return [Chart(f"reliability_{split}", title, Bin._fields, [*bins], draw)]


def ece(bins: Sequence[Bin]) -> float:
    """Expected calibration error, in [0, 1]: the mean over images of their bin's ``|confidence - accuracy|``."""
    filled = [b for b in bins if b.confidence is not None and b.accuracy is not None]
    total = sum(b.images for b in filled)
    return sum(b.images * abs((b.confidence or 0.0) - (b.accuracy or 0.0)) for b in filled) / total


def _panel(upper: Axes, lower: Axes, name: str, bins: list[Bin]) -> None:
    filled = [b for b in bins if b.accuracy is not None]
    left = [100 * b.low for b in filled]
    width = [100 * (b.high - b.low) for b in filled]
    look: dict[str, Any] = {"color": COLOURS[name], "edgecolor": "white", "linewidth": 0.5, "alpha": 0.7}
    upper.bar(left, [100 * (b.accuracy or 0.0) for b in filled], width, align="edge", **look)
    upper.plot([0, 100], [0, 100], color="black", linestyle="--", linewidth=0.8)
    sure, right = [100 * (b.confidence or 0.0) for b in filled], [100 * (b.accuracy or 0.0) for b in filled]
    upper.plot(sure, right, "o", color="black", markersize=3)
    images = sum(b.images for b in bins)
    upper.set_title(f"{name}{'' if name == 'all' else '-shot'}: {images:,} images\nECE {100 * ece(bins):.1f} %")
    upper.set(xlim=(0, 100), ylim=(0, 103), xticks=(0, 25, 50, 75, 100))
    lower.bar(
        left, [b.images for b in filled], width, align="edge", color=COLOURS[name], edgecolor="white", linewidth=0.5
    )
    lower.yaxis.set_major_formatter("{x:,.0f}")
    lower.set_xlabel("confidence in %")
