"""What a run says on the screen: a line after each validation; at its end a table, and what to do next."""

import shlex
from pathlib import Path
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lt_lightning.plots.headline import caption, predictors, shown_columns, shown_figure
from lt_lightning.plots.style import shown

Figures = dict[str, float]
LINE = {"acc": "all", "acc_many": "many", "acc_medium": "med", "acc_few": "few", "bal_acc": "bal", "ece": "ECE"}
"""Figures of the line after a validation, and what they are called there."""
WORST = 5
"""Classes that are named."""


class ClassFigure(NamedTuple):
    """A class, its training images and its accuracy; NaN where it has no images to measure on."""

    name: str
    train_images: int
    accuracy: float


def validation_line(last: Figures, best: Figures, epochs: int | None, now: dict[str, str]) -> str:
    """What a validation found: ``epoch 12/50  all 48.2  many 67.1 ... best 48.9 @ 11``, accuracies and ECE in %.

    Args:
        last: Its figures and its epoch, counted from 0.
        best: Those of the best one so far.
        epochs: Epochs of the run, where they are known.
        now: What else is said of it, after the epoch.
    """
    parts = [f"epoch {last['epoch'] + 1}{f'/{epochs}' if epochs and epochs > 0 else ''}"]
    parts += [f"{name} {value}" for name, value in now.items()]
    parts += [f"{title} {100 * last[name]:.1f}" for name, title in LINE.items() if name in last]
    return "  ".join([*parts, f"best {100 * best['acc']:.1f} @ {best['epoch'] + 1}"])


def show_report(folder: Path, summary: dict[str, Any], split: str, classes: list[ClassFigure]) -> None:
    """Print the table of a run, its worst classes and, after training, where it is and what can be done with it.

    Args:
        folder: That of the run.
        summary: What ``summary.json`` holds.
        split: What was measured: ``val`` after training, else ``validate`` or ``test``.
        classes: What was measured of each class.
    """
    console = Console()
    console.print(report_table(folder, summary, split))
    measured = sorted((c for c in classes if c.accuracy == c.accuracy), key=lambda c: (c.accuracy, -c.train_images))
    worst = [f"{shown(c.name)} {100 * c.accuracy:.1f} ({c.train_images})" for c in measured[:WORST]]
    if worst:
        console.print(Text(f"worst classes, accuracy in % (training images): {', '.join(worst)}"))
    if split == "val":
        run = shlex.quote(str(folder))
        console.print(Text("\n".join(_next(run))), soft_wrap=True)


def _next(run: str) -> list[str]:
    return [
        f"\nin {run}: report.html plots last.ckpt best.ckpt summary.json per_class.csv metrics.csv config.yaml",
        "next:",
        f"  lt test --ckpt_path {run}/last.ckpt",
        f"  lt predict IMAGES --ckpt_path {run}/last.ckpt",
        f"  lt export --ckpt_path {run}/last.ckpt --format onnx",
    ]


def report_table(folder: Path, summary: dict[str, Any], split: str) -> Table:
    """Figures of the ensemble, its members and the teacher that was trained for it, one a row."""
    columns = shown_columns(summary)
    table = Table(
        title=Text(f"{folder}: {split}"),
        caption="\n".join(caption(summary, split)),
        box=box.SIMPLE,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("", no_wrap=True)
    rows = {
        name: [shown_figure(column, figures.get(column)) for column in columns]
        for name, figures in predictors(folder, summary, split)
    }
    for title, *cells in zip(columns.values(), *rows.values(), strict=True):
        table.add_column(title, justify="right", min_width=max(map(len, (title, *cells))))  # rather, names are cut
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table
