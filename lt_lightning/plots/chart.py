"""What a chart is: a table, and a picture of that table."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lt_lightning.whole_files import whole_file, write_whole

if TYPE_CHECKING:  # matplotlib takes half a second, which a command that draws nothing need not spend
    from matplotlib.figure import Figure

COLOURS = {"all": "#333333", "many": "#0072B2", "medium": "#E69F00", "few": "#CC3311", "balanced": "#009E73"}
"""Colours of all classes and of groups, in every chart; told apart by eyes that see no red or no green, too."""
MEMBERS = ("#56B4E9", "#CC79A7", "#009E73", "#D55E00", "#F0E442", "#0072B2", "#E69F00")
"""Colours of an ensemble's members [Okabe and Ito, 2008]; from the eighth on they repeat."""
STYLE = {
    "figure.dpi": 150,
    "figure.figsize": (8, 4.5),
    "savefig.dpi": "figure",
    "font.size": 9,
    "axes.titlesize": 10,
    "figure.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.constrained_layout.w_pad": 0.1,
    "figure.constrained_layout.h_pad": 0.08,
    "text.parse_math": False,  # a name may hold dollar signs
}
FALLBACKS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "WenQuanYi Micro Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "Noto Sans",
)
"""Fonts for letters that matplotlib's own lacks, where they are installed."""

Cell = str | int | float | None
"""What a place of a table holds; None stands where there is nothing, as where a class has no images."""


class Chart(NamedTuple):
    """A table and a picture of it.

    Attributes:
        name: Stem of its files.
        title: What it shows, in a line.
        columns: Names of the table's columns.
        rows: The table's rows; the picture shows what they hold.
        draw: Draws the picture into an empty figure, whose size it may change.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    draw: Callable[[Figure], None]


@contextmanager
def style() -> Iterator[None]:
    """Draw as all charts are drawn, whatever the user's matplotlib is set to."""
    from matplotlib import font_manager
    from matplotlib import style as styles

    installed = set(font_manager.get_font_names())
    fonts = ["DejaVu Sans", *(name for name in FALLBACKS if name in installed)]
    with styles.context(["default", STYLE | {"font.family": fonts}]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a box stands for a letter that the font lacks
        yield


def picture(chart: Chart) -> Figure:
    """Draw a chart, within :func:`style`."""
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    chart.draw(figure)
    return figure


def as_png(chart: Chart) -> bytes:
    """The picture of a chart, as a PNG file."""
    file = io.BytesIO()
    with style():
        picture(chart).savefig(file, format="png")
    return file.getvalue()


def as_csv(columns: tuple[str, ...], rows: list[tuple[Cell, ...]]) -> str:
    """A table as a CSV file; numbers are written in full."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([columns, *rows])
    return text.getvalue()


def save_picture(chart: Chart, file: Path) -> None:
    """Write the picture of a chart as the kind that the file's ending says.

    Raises:
        OSError: The file cannot be written.
        ValueError: There is no such kind.
    """
    with style():
        picture(chart).savefig(file)


def save_chart(chart: Chart, folder: Path) -> None:
    """Write a chart's table and picture, each whole: ``<name>.csv`` and ``<name>.png``.

    Args:
        chart: The chart.
        folder: Where they go; it is made if it is not there.

    Raises:
        OSError: They cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / f"{chart.name}.csv", as_csv(chart.columns, chart.rows))
    png = as_png(chart)
    with whole_file(folder / f"{chart.name}.png") as file:
        file.write(png)
