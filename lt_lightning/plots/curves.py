"""What changes over epochs: loss and accuracy, diversity, agreement with the teacher, learning rate and speed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from lt_lightning.plots.chart import COLOURS, MEMBERS, Chart
from lt_lightning.plots.style import DASHES, percent_axis
from lt_lightning.tail import GROUPS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Epochs = Mapping[int, Mapping[str, float]]
"""Figures by epoch, counted from 1, and by name."""


class Line(NamedTuple):
    """A figure over epochs, and how it is drawn."""

    key: str
    label: str
    colour: str
    dash: object = "-"


class Panel(NamedTuple):
    """Lines that share an axis: a share of images, shown in percent, or another quantity."""

    label: str
    lines: list[Line]
    is_share: bool = True


def curves(epochs: Epochs) -> list[Chart]:
    """Loss, and accuracy by shot group."""
    accuracy = [Line(f"val/acc_{name}", f"{name}-shot", COLOURS[name]) for name in GROUPS]
    panels = [
        Panel("loss", [Line("train/loss", "training loss", COLOURS["all"])], False),
        Panel("NLL in nats", [Line("val/nll", "validation NLL", COLOURS["balanced"])], False),
        Panel("accuracy in %", [Line("val/acc", "all images", COLOURS["all"]), *accuracy]),
    ]
    return _chart("curves", "Loss of training; NLL and accuracy on the validation images", panels, epochs)


def training(epochs: Epochs) -> list[Chart]:
    """Learning rate and speed."""
    panels = [
        Panel("learning rate", [Line("train/lr", "learning rate", COLOURS["all"])], False),
        Panel("training images a second", [Line("train/img_per_s", "speed", COLOURS["balanced"])], False),
    ]
    return _chart("training", "Learning rate and speed of training", panels, epochs)


def diversity(epochs: Epochs) -> list[Chart]:
    """What members lose, what their ensemble loses, and their diversity, which is the difference."""

    def by_group(name: str) -> list[Line]:
        groups = [Line(f"val/theory/{name}_{group}", f"{group}-shot", COLOURS[group]) for group in GROUPS]
        return [Line(f"val/theory/{name}", "all images", COLOURS["all"]), *groups]

    loss = [
        Line("val/theory/nll_avg", "members' mean", COLOURS["many"], "--"),
        Line("val/theory/nll_ens", "ensemble", COLOURS["all"]),
        Line("val/theory/div_kl", "their difference", COLOURS["balanced"], ":"),
    ]
    panels = [
        Panel("NLL in nats", loss, False),
        Panel("diversity in nats", by_group("div_kl"), False),
        Panel("pairs of members that disagree, %", by_group("dis_label")),
    ]
    return _chart("diversity", "Diversity of the members on the validation images", panels, epochs)


def agreement(epochs: Epochs) -> list[Chart]:
    """How often the ensemble and its members say what the teacher says."""
    groups = [Line(f"val/agreement_{name}", f"{name}-shot", COLOURS[name]) for name in GROUPS]
    found = sorted({key for row in epochs.values() for key in row if key.endswith("/agreement") and "expert" in key})
    members = [
        Line(key, key.split("/")[1].replace("expert", "expert "), MEMBERS[m % len(MEMBERS)], DASHES[m % len(DASHES)])
        for m, key in enumerate(found)
    ]
    panels = [
        Panel("ensemble, agreement in %", [Line("val/agreement", "all images", COLOURS["all"]), *groups]),
        Panel("members, agreement in %", members),
    ]
    return _chart("agreement", "Validation images on which students predict what the teacher predicts", panels, epochs)


def _chart(name: str, title: str, panels: list[Panel], epochs: Epochs) -> list[Chart]:
    """A chart of the panels that have any figure; none where no panel has."""
    logged = {key for row in epochs.values() for key in row}
    panels = [panel._replace(lines=[line for line in panel.lines if line.key in logged]) for panel in panels]
    panels = [panel for panel in panels if panel.lines]
    if not panels:
        return []
    keys = [line.key for panel in panels for line in panel.lines]
    rows = [(epoch, *(row.get(key) for key in keys)) for epoch, row in epochs.items()]

    def draw(figure: Figure) -> None:
        from matplotlib.ticker import MaxNLocator

        figure.set_size_inches(max(4 * len(panels), 6), 3.6)
        figure.suptitle(title)
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            least = min(row[line.key] for line in panel.lines for row in epochs.values() if line.key in row)
            for line in panel.lines:
                points = [(epoch, row[line.key]) for epoch, row in epochs.items() if line.key in row]
                values = [100 * value if panel.is_share else value for _, value in points]
                marker = "o" if len(points) <= 20 else ""
                axes.plot([epoch for epoch, _ in points], values, color=line.colour, linestyle=line.dash, marker=marker,
                          markersize=3, linewidth=1.4, label=line.label)  # fmt: skip
            if panel.is_share:
                percent_axis(axes, panel.label)
            else:
                axes.set_ylabel(panel.label)
                axes.yaxis.set_major_locator(MaxNLocator(6))  # whatever the height, which the layout has yet to find
                axes.grid(axis="y", color="#dddddd", linewidth=0.6)
                if least >= 0:
                    axes.set_ylim(bottom=0)
            axes.set_xlabel("epoch")
            axes.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            if len(panel.lines) > 1:
                axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)

    return [Chart(name, title, ("epoch", *keys), [*rows], draw)]
