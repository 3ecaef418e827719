"""What `lt data check` shows on the screen, in 45 lines at most, and what it writes as JSON."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any, get_args
from unicodedata import is_normalized

from rich.bar import Bar
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from lt_lightning.check.figures import Figures
from lt_lightning.check.findings import SEVERITIES, Finding, Kind, by_kind
from lt_lightning.data.base import Split
from lt_lightning.tail import group

ENDS = 4
"""Classes that are shown of the head, and of the tail."""
FULL, BRIEF = 6, 8
"""Kinds of findings that are shown in three lines, and in one after those."""
PLACES, LONGEST, INDENT = 3, 60, " " * 17
"""Places of a kind and characters of a name that are shown; what places begin with."""
STYLES = {
    "error": "bold red",
    "warning": "bold yellow",
    "note": "bold cyan",
    "many": "blue",
    "medium": "yellow",
    "few": "red",
}


def as_json(name: str, figures: Figures, findings: Sequence[Finding]) -> dict[str, Any]:
    """Everything, by the kinds of findings."""
    listed = [
        {**kind._asdict(), "count": len(some), "found": [{"where": x.where, "detail": x.detail} for x in some]}
        for kind, some in by_kind(findings).items()
    ]
    return {"data": name, "figures": asdict(figures), "findings": listed}


def show(name: str, figures: Figures, findings: Sequence[Finding], many: int, few: int) -> None:
    """Print figures, classes at both ends, and findings from bad to harmless.

    Args:
        name: Of the set.
        figures: Its figures.
        findings: What was found.
        many: A class with more training images than this is a many-shot class.
        few: A class with fewer training images than this is a few-shot class.
    """
    lines = Group(_figures(name, figures, many, few), _classes(figures, many, few), *_findings(by_kind(findings)))
    Console(highlight=False).print(lines)


def _figures(name: str, figures: Figures, many: int, few: int) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(no_wrap=True, overflow="ellipsis")
    splits = ", ".join(f"{split} {figures.images[split]:,}" for split in get_args(Split) if split in figures.images)
    groups = f"many-shot {figures.groups['many']:,} (> {many}), medium {figures.groups['medium']:,}"
    rows = {
        "data": _shown(name),
        "images": f"{sum(figures.images.values()):,}: {splits}",
        "classes": f"{len(figures.class_counts):,}: {groups}, few {figures.groups['few']:,} (< {few})",
        "tail": f"imbalance {figures.imbalance_factor:.4g}, Gini {figures.gini:.3f}, "
        f"one-shot classes {figures.one_shot:,}, empty {figures.empty:,}",
        "pixels": f"width {_range(figures.width)}, height {_range(figures.height)} (least, median, most)",
        "formats": ", ".join(f"{kind} {count:,}" for kind, count in figures.formats.items()) or "none",
    }
    for label, text in rows.items():
        table.add_row(label, Text(text))
    return table


def _range(sizes: Sequence[float]) -> str:
    return " ".join(f"{size:,.0f}" for size in sizes) or "-"


def _classes(figures: Figures, many: int, few: int) -> Table:
    """Training images of the largest and of the smallest classes."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=32)
    table.add_column(justify="right")
    table.add_column(width=32)
    table.add_column()
    ranked = sorted(figures.training_counts.items(), key=lambda item: -item[1])
    table.add_row()
    for rank, (name, count) in enumerate(ranked):
        if ENDS <= rank < len(ranked) - ENDS:
            if rank == ENDS:
                table.add_row(Text(f"... {len(ranked) - 2 * ENDS:,} more"))
            continue
        of = group(count, many, few)
        table.add_row(Text(_shown(name)), f"{count:,}", Bar(max(ranked[0][1], 1), 0, count, color=STYLES[of]), of)
    table.add_row()
    return table


def _findings(kinds: dict[Kind, list[Finding]]) -> Iterator[Text]:
    for rank, (kind, some) in enumerate(islice(kinds.items(), FULL + BRIEF)):
        more = f" and {len(some) - PLACES:,} more" if len(some) > PLACES else ""
        places = ", ".join(filter(None, map(_place, some[:PLACES]))) + more
        head = Text.assemble((f"{kind.severity:<8}", STYLES[kind.severity]), f"{len(some):>7,}  {kind.what}")
        if rank < FULL:
            lines = [head, Text(INDENT + places), Text(INDENT + kind.fix, style="dim")]
        else:
            lines = [head.append(f": {places}", style="dim")]
        for line in lines:
            line.no_wrap, line.overflow = True, "ellipsis"
            yield line
    left = len(kinds) - FULL - BRIEF
    if left > 0:
        yield Text(f"and {left} other kinds: --json FILE lists all")
    total = Counter(kind.severity for kind, some in kinds.items() for _ in some)
    yield Text(", ".join(f"{severity}s: {total[severity]:,}" for severity in SEVERITIES), style="bold")


def _place(finding: Finding) -> str:
    where = " = ".join(map(_shown, finding.where[:PLACES])) + " = ..." * (len(finding.where) > PLACES)
    return f"{where} ({_plain(finding.detail)})" if finding.detail else where


def _shown(name: str) -> str:
    """A name, or the end of a long one."""
    name = _plain(name)
    return name if len(name) <= LONGEST else f"...{name[3 - LONGEST :]}"


def _plain(text: str) -> str:
    """Text without what a terminal cannot show, would obey or shows like another one."""
    return text if text.isprintable() and is_normalized("NFC", text) else ascii(text)
