"""``report.html``: all that a run found, in one file that needs nothing beside it."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import Any

from lt_lightning.errors import LtError
from lt_lightning.plots.captions import OF_SPLIT, OF_TRAINING
from lt_lightning.plots.headline import caption, predictors, shown_columns, shown_figure
from lt_lightning.plots.run import predictor_names
from lt_lightning.plots.tables import FIX, ClassFigures, read_classes
from lt_lightning.redaction import redact
from lt_lightning.regular import check_regular
from lt_lightning.summary import MEASURED, read_described
from lt_lightning.whole_files import write_whole

TITLES = {"test": "Test images", "validate": "Validation images, by lt validate", "val": "Validation images, of fit"}
ALL, ENDS = 200, 25
"""Classes up to which the table has all; of more, how many of the worst and of the best."""
HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1080px; margin: 2em auto; padding: 0 1em; }}
h1, h2, h3 {{ line-height: 1.2; }}
h2 {{ border-bottom: 1px solid #ccc; margin-top: 2em; }}
table {{ border-collapse: collapse; margin: 1em 0; }}
th, td {{ padding: 2px 10px; text-align: right; font-variant-numeric: tabular-nums; }}
th:first-child, td:first-child {{ text-align: left; white-space: pre; }}
thead th {{ border-bottom: 1px solid #888; }}
figure {{ margin: 1.5em 0; }}
img {{ max-width: 100%; height: auto; }}
figcaption, .note {{ color: #555; font-size: 13px; }}
pre {{ background: #f4f4f4; padding: 10px; overflow-x: auto; font-size: 13px; }}
</style>
</head>
<body>
"""


def write_report(folder: Path) -> Path:
    """Write a run's report from its files: figures, the next commands, pictures, classes and configuration.

    Args:
        folder: Of the run; pictures that are in ``plots/`` are put into the report.

    Returns:
        The file.

    Raises:
        LtError: A file of the run is damaged.
        OSError: The report cannot be written.
    """
    summary = read_described(folder)
    try:
        text = "\n".join(_parts(folder, summary))
    except (KeyError, TypeError, AttributeError) as error:
        raise LtError(f"this summary lacks {error}", str(folder / "summary.json"), FIX) from error
    write_whole(folder / "report.html", text)
    return folder / "report.html"


def _parts(folder: Path, summary: dict[str, Any]) -> Iterator[str]:
    name = plain(folder.resolve().name)
    yield HEAD.format(title=name) + f"<h1>{name}</h1>"
    yield f"<p>{plain(str(summary['model']))} of {plain(', '.join(predictor_names(summary)))}, on"
    yield f"{plain(str(summary['data']))}, {summary['train_images']:,} training images, seed {summary['seed']}.</p>"
    splits = [split for split in MEASURED if split in summary and summary[split]["last"]]
    for split in splits:
        yield f"<h2>{TITLES[split]}</h2>"
        yield from _headline(folder, summary, split)
    yield from _commands(folder)
    yield "<h2>Training</h2>"
    yield from _pictures(folder, OF_TRAINING)
    for split in splits:
        yield f"<h2>{TITLES[split]}: pictures</h2>"
        yield from _pictures(folder, {f"{stem}_{split}": text for stem, text in OF_SPLIT.items()})
    for split in splits[:1]:
        yield f"<h2>{TITLES[split]}: classes</h2>"
        yield from _classes(read_classes(folder, split), predictor_names(summary))
    yield from _configuration(folder / "config.yaml")
    yield "</body>\n</html>\n"


def plain(text: str) -> str:
    """Text for HTML: nothing in it is markup, and what cannot be printed is spelt out."""
    return escape(text if text.isprintable() else ascii(text)[1:-1])


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """A table; cells are HTML."""
    yield "<table>\n<thead><tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr></thead>\n<tbody>"
    for row in rows:
        yield "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
    yield "</tbody>\n</table>"


def _headline(folder: Path, summary: dict[str, Any], split: str) -> Iterator[str]:
    columns = shown_columns(summary)
    rows = [
        [plain(name), *(_figure(column, figures.get(column)) for column in columns)]
        for name, figures in predictors(folder, summary, split)
    ]
    yield from _table(["", *columns.values()], rows)
    yield "<p class='note'>" + "<br>\n".join(map(plain, caption(summary, split))) + "</p>"
    if checkpoint := summary[split].get("checkpoint"):
        yield f"<p class='note'>measured of {plain(checkpoint)}</p>"


def _figure(column: str, value: float | None) -> str:
    """A figure as it is shown, and in full for who reads the file by a program."""
    return "" if value is None else f'<data value="{float(value)!r}">{shown_figure(column, value)}</data>'


def _commands(folder: Path) -> Iterator[str]:
    checkpoint = shlex.quote(str(folder / "last.ckpt"))
    yield "<h2>Go on</h2>\n<pre>" + plain(f"lt test --ckpt_path {checkpoint}")
    yield plain(f"lt predict IMAGES --ckpt_path {checkpoint} -o predictions.csv")
    yield plain(f"lt export --ckpt_path {checkpoint} --format onnx")
    yield plain(f"lt report {shlex.quote(str(folder))}") + "</pre>"


def _pictures(folder: Path, captions: dict[str, str]) -> Iterator[str]:
    for stem, text in captions.items():
        file = folder / "plots" / f"{stem}.png"
        check_regular(file)
        if file.is_file():
            data = base64.b64encode(file.read_bytes()).decode()
            yield f'<figure>\n<img alt="{plain(stem)}" src="data:image/png;base64,{data}">'
            yield f'<figcaption>{plain(" ".join(text.split()))} <a href="plots/{stem}.csv">Its table.</a></figcaption>'
            yield "</figure>"


def _classes(classes: list[ClassFigures], names: list[str]) -> Iterator[str]:
    ranked = sorted((c for c in classes if c.acc[0] is not None), key=lambda c: c.acc[0] or 0.0)
    if len(ranked) > ALL:
        yield f"<p>The {ENDS} worst and the {ENDS} best of {len(classes):,} classes;"
        yield '<a href="per_class.csv">per_class.csv</a> has all.</p>'
        ranked = [*ranked[:ENDS], *ranked[-ENDS:]]
    rows = [
        [plain(c.name), f"{c.train_images:,}", plain(c.group), f"{c.images:,}", *(_figure("acc", acc) for acc in c.acc)]
        for c in ranked
    ]
    yield from _table(["class", "training images", "group", "images", *map(plain, names)], rows)


def _configuration(file: Path) -> Iterator[str]:
    check_regular(file)
    if file.is_file():
        lines = redact(file.read_text(encoding="utf-8", errors="replace")).splitlines()
        yield "<h2>Configuration</h2>\n<details><summary>config.yaml</summary>\n<pre>"
        yield "\n".join(map(plain, lines)) + "</pre></details>"
