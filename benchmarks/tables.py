"""Puts measured tables where README and docs have ``<!-- table: NAME -->`` ... ``<!-- end -->``: ``make tables``."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import cifar
import digits
import methods

from lt_lightning.methods import methods as shipped

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(<!-- table: ([\w ]+) -->\n).*?(?=<!-- end -->)", re.DOTALL)

TABLES: dict[str, Callable[[], str]] = {
    "methods": lambda: methods.table(_read("methods"), shipped(ROOT / "configs")),
    "distillation": lambda: digits.table(_read("digits")),
    "cifar": cifar.accuracy_table,
    "theory": cifar.theory_table,
    "longer": cifar.longer_table,
}


def _read(name: str) -> methods.Figures:
    figures: methods.Figures = json.loads((RESULTS / f"{name}.json").read_text())
    return figures


def filled(text: str) -> str:
    """A page with its tables as the figures say."""
    return BLOCK.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}\n", text)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(filled(page.read_text()))
