"""What a chart is: a table, and a picture of that table."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lt_lightning.whole_files import whole_file, write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure  # takes half a second, which a command that draws nothing need not spend

GROUPS = ("many", "medium", "few")
"""Groups of classes by their training images, in the order in which all charts have them."""
COLOURS = {"many": "#0072B2", "medium": "#E69F00", "few": "#CC3311", "all": "#333333", "balanced": "#009E73"}
"""Colours of groups, in every chart; told apart by eyes that see no red or no green, too."""
MEMBERS = ("#56B4E9", "#CC79A7", "#009E73", "#D55E00", "#F0E442", "#0072B2", "#E69F00")
"""Colours of an ensemble's members [Okabe and Ito, 2008]; from the eighth on they repeat."""
DPI = 120
"""Dots of an inch of a picture."""

Cell = str | int | float | None
"""What a place of a table holds; None stands where there is nothing, as where a class has no images."""


class Chart(NamedTuple):
    """A table and a picture of it.

    Attributes:
        name: Stem of its files.
        title: What it shows, in a line.
        columns: Names of the table's columns.
        rows: The table's rows; the picture shows what they hold and nothing else.
        draw: Draws the picture into an empty figure, whose size it may change.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    draw: Callable[[Figure], None]


def picture(chart: Chart) -> Figure:
    """Draw a chart; the figure can be saved by ``figure.savefig``."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=DPI, layout="constrained")
    chart.draw(figure)
    return figure


def as_png(figure: Figure) -> bytes:
    """A picture as a PNG file."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a box stands for a letter that the font lacks
        figure.savefig(file, format="png")
    return file.getvalue()


def as_csv(chart: Chart) -> str:
    """A chart's table as a CSV file; numbers are written in full."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([chart.columns, *chart.rows])
    return text.getvalue()


def save_chart(chart: Chart, folder: Path) -> bytes:
    """Write a chart's table and picture, each whole: ``<name>.csv`` and ``<name>.png``.

    Args:
        chart: The chart.
        folder: Where they go; it is made if it is not there.

    Returns:
        The picture, as written.

    Raises:
        OSError: They cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / f"{chart.name}.csv", as_csv(chart))
    png = as_png(picture(chart))
    with whole_file(folder / f"{chart.name}.png") as file:
        file.write(png)
    return png
