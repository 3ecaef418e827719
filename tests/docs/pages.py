"""Code blocks of README and docs, and the small world in which they run."""

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from commands import ROOT
from official import make
from trees import COUNTS, tree

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NAMED = re.compile(r"# ([\w-]+\.(?:py|yaml))\n")
LANGUAGES = {"bash", "python", "yaml", "text", "bibtex"}
"""``text`` is what a command prints; Sphinx itself looks at blocks whose language stands in braces."""

NOT_RUN = {
    "make": "it installs, or takes minutes; .ci/run runs demo and test",
    "pip": "it needs a package index; `make wheel-check` installs the wheel",
    "git": "it needs the network",
    "lt quickstart": "it takes a minute; tests/command/test_quickstart.py runs it",
    "python benchmarks/run.py": "it measures for minutes; tests/benchmarks tests what it does with times",
    "python benchmarks/index.py": "as above",
    "python benchmarks/loading.py": "as above",
    "python benchmarks/check.py": "as above",
    "python benchmarks/precision.py": "it trains for minutes",
    "python benchmarks/tracks.py": "it trains for hours; tests/benchmarks runs a row",
    "python benchmarks/gpu.py": "it measures for minutes, and wants a GPU; tests/benchmarks runs a part",
    "--compile": "it compiles for minutes; tests/command/test_compile_option.py runs it",
    "sbatch": "it needs a cluster; the script is parsed, and its line for one node is run",
    "--node_rank": "it needs two machines; the flags are parsed",
    "--trainer.accelerator gpu": "it needs GPUs; the flags are parsed",
}
"""Parts of lines that are not run, and why not. What is `lt fit` in them is parsed."""

RUN_ELSEWHERE = {"export.md": "tests/export runs its blocks on what it has exported"}
"""Pages that are parsed here, and run there."""


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        language: Its language.
        text: What it holds.
        line: Where it begins.
    """

    language: str
    text: str
    line: int


def blocks(text: str) -> list[Block]:
    """All fenced blocks of a page, in order."""
    return [Block(found[1], found[2], text[: found.start()].count("\n") + 2) for found in FENCED.finditer(text)]


def commands(block: Block) -> Iterator[list[str]]:
    """The command lines of a bash block, as words."""
    for line in block.text.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def reason_not_to_run(words: list[str]) -> str | None:
    """Why a line is not run; None where it is."""
    line = " ".join(words)
    return next((why for part, why in NOT_RUN.items() if f"{line} ".startswith(f"{part} ") or f" {part}" in line), None)


def write_named(block: Block, folder: Path) -> bool:
    """Write a block whose first line is a comment that names a file; whether there is one."""
    if found := NAMED.match(block.text):
        (folder / found[1]).write_text(block.text[found.end() :])
    return found is not None


def _plankton(folder: Path, patch: pytest.MonkeyPatch) -> None:
    tree(folder / "train", ending=".png")
    tree(folder / "test", dict.fromkeys(COUNTS, 2), ending=".png", start=100)


def _table(file: Path, patch: pytest.MonkeyPatch) -> None:
    tree(file.parent / "images")
    rows = [path.relative_to(file.parent) for path in sorted((file.parent / "images").rglob("*.jpg"))]
    file.write_text("path,label\n" + "".join(f"{path},{path.parent.name}\n" for path in rows))


def _places(folder: Path, patch: pytest.MonkeyPatch) -> None:
    make("places large", folder, patch)


WORLD: dict[str, Callable[[Path, pytest.MonkeyPatch], object]] = {
    "plankton": _plankton,
    "photos": lambda folder, patch: tree(folder),
    "labels.csv": _table,
    "places": _places,
}
"""What pages name, by their first use in a command, and what makes a small one."""
