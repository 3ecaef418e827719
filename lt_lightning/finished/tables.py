"""A comparison as a table: on the screen, in Markdown, CSV and LaTeX."""

import csv
import io
import re
from collections.abc import Callable

from rich import box
from rich.table import Table
from rich.text import Text

from lt_lightning.finished.bootstrap import Interval
from lt_lightning.finished.comparison import Comparison, Row, Spread

FIGURES = {"acc": "all", "acc_many": "many", "acc_medium": "medium", "acc_few": "few", "bal_acc": "bal.", "ece": "ECE"}
DIFFERENCES = {"acc": "all", "acc_few": "few"}
MINUS = "\N{MINUS SIGN}"
LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$"}
LATEX |= {sign: f"\\{sign}" for sign in "&%$#_{}"} | {"<": r"\textless{}", ">": r"\textgreater{}", MINUS: "$-$"}


def screen(comparison: Comparison) -> list[Table | str]:
    """Figures, costs, differences and notes, in 80 columns as long as names are short."""
    columns = _columns(comparison)
    parts = [[name for name in columns if of(name)] for of in (_is_figure, _is_cost, _is_difference)]
    tables = [_table(comparison, {name: columns[name] for name in part}) for part in parts if part]
    return [*tables, *_notes(comparison)]


def markdown(comparison: Comparison) -> str:
    """One table, and the notes below it."""
    header, *rows = [[cell.replace("|", "\\|") for cell in line] for line in _lines(comparison)]
    rule = ["---", *["---:"] * (len(header) - 1)]
    lines = [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]
    return "\n".join([*lines, "", *(f"{note}  " for note in _notes(comparison))]) + "\n"


def latex(comparison: Comparison) -> str:
    """A ``tabular`` of the package booktabs, and the notes as comments."""
    header, *rows = [" & ".join(map(_in_latex, line)) + r" \\" for line in _lines(comparison)]
    columns = "l" + "r" * (len(_lines(comparison)[0]) - 1)
    body = [r"\toprule", header, r"\midrule", *rows, r"\bottomrule"]
    notes = [f"% {note}" for note in _notes(comparison)]
    return "\n".join([*notes, f"\\begin{{tabular}}{{{columns}}}", *body, r"\end{tabular}"]) + "\n"


def comma_separated(comparison: Comparison) -> str:
    """Numbers in full: fractions, seconds; one column each for mean and deviation."""
    rows = [_numbers(row, comparison) for row in comparison.rows]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def percent(spread: Spread | None) -> str:
    """A fraction in %, ``48.2 ± 0.3``."""
    if spread is None:
        return ""
    deviation = f" ± {100 * spread.deviation:.1f}" if spread.deviation is not None else ""
    return f"{100 * spread.mean:.1f}{deviation}"


def duration(seconds: Spread | None) -> str:
    """Seconds, in a unit that suits them."""
    if seconds is None:
        return ""
    unit, name = next((u, n) for u, n in ((3600, "h"), (60, "min"), (1, "s")) if seconds.mean >= 2 * u or u == 1)
    deviation = f" ± {seconds.deviation / unit:.1f}" if seconds.deviation is not None else ""
    return f"{seconds.mean / unit:.1f}{deviation} {name}"


def _columns(comparison: Comparison) -> dict[str, Callable[[Row], str]]:
    """What stands in each column of a method's row, by the column's title; columns without content are left out."""
    columns: dict[str, Callable[[Row], str]] = {"n": lambda row: str(row.number)}
    columns |= {title: lambda row, name=name: percent(row.figures.get(name)) for name, title in FIGURES.items()}  # type: ignore[misc]
    columns |= {"params": lambda row: f"{row.params / 1e6:.2f} M", "MACs": lambda row: f"{row.macs / 1e6:.1f} M"}
    columns |= {"time": lambda row: duration(row.seconds), "before": lambda row: duration(row.before)}
    for name, title in DIFFERENCES.items():
        columns[f"Δ {title}"] = lambda row, name=name: _points(row.differences.get(name))  # type: ignore[misc]
    return {title: of for title, of in columns.items() if any(of(row) for row in comparison.rows)}


def _is_figure(title: str) -> bool:
    return title == "n" or title in FIGURES.values()


def _is_cost(title: str) -> bool:
    return not _is_figure(title) and not _is_difference(title)


def _is_difference(title: str) -> bool:
    return title.startswith("Δ")


def _table(comparison: Comparison, columns: dict[str, Callable[[Row], str]]) -> Table:
    table = Table("", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for title in columns:
        table.add_column(title, justify="right", no_wrap=True)
    for row in comparison.rows:
        table.add_row(Text(row.name), *(of(row).replace(" ± ", "±") for of in columns.values()))
    return table


def _points(interval: Interval | None) -> str:
    if interval is None:
        return ""
    return f"{100 * interval.difference:+.1f} [{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"


def _lines(comparison: Comparison) -> list[list[str]]:
    """Header and rows of the whole table, as text."""
    columns = _columns(comparison)
    rows = ([row.name, *(of(row) for of in columns.values())] for row in comparison.rows)
    return [["method", *columns], *rows]


def _notes(comparison: Comparison) -> list[str]:
    which = "Test" if comparison.split == "test" else "Validation"
    first = f"{which}: accuracy and ECE in %, mean ± standard deviation over n seeds"
    if any(row.differences for row in comparison.rows):
        first += f"; Δ: difference to {comparison.reference} in points"
    return [first, *comparison.notes]


def _numbers(row: Row, comparison: Comparison) -> dict[str, str | int | float | None]:
    numbers: dict[str, str | int | float | None] = {"method": row.name, "n": row.number, "split": comparison.split}
    numbers |= {"checkpoint": " ".join(row.checkpoints), "selected_on_test": str(row.selected_on_test).lower()}
    spreads = {name: row.figures.get(name) for name in FIGURES} | {"seconds": row.seconds, "before": row.before}
    for name, spread in spreads.items():
        if spread is not None:
            numbers |= {name: spread.mean, f"{name}_std": spread.deviation}
    numbers |= {"params": row.params, "macs": row.macs}
    for name, interval in row.differences.items():
        numbers |= {f"{name}_{part}": value for part, value in interval._asdict().items()}
    return numbers


def _in_latex(text: str) -> str:
    text = re.sub(r"(?<![\w.])-(?=\d)", MINUS, text)
    return "".join(LATEX.get(sign, sign) for sign in text).replace("Δ", r"$\Delta$")
