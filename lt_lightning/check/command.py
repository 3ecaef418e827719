"""``lt data check``: what is wrong with a set of images, and how long its tail is."""

import argparse
import json
import os
from difflib import get_close_matches
from inspect import isabstract
from pathlib import Path
from typing import TypeGuard

from lt_lightning import data
from lt_lightning.arguments import Arguments
from lt_lightning.check.faults import faults
from lt_lightning.check.figures import Figures
from lt_lightning.check.inspection import inspect
from lt_lightning.check.report import as_json, show
from lt_lightning.check.survey import survey
from lt_lightning.data.base import LongTailDataModule
from lt_lightning.data.folder import FolderLT
from lt_lightning.data.listed import ListedDataModule
from lt_lightning.data.table import TableLT
from lt_lightning.errors import LtError
from lt_lightning.plots.chart import save_picture
from lt_lightning.plots.distribution import class_distribution

DESCRIPTION = """\
Look through a set of images and say all that is wrong with it, and how long its tail is. Errors, with which training
fails or its figures mislead, make the command exit with 1."""


def check_data(args: list[str]) -> None:
    """Run ``lt data check PATH|NAME``.

    Args:
        args: The command line after ``check``.

    Raises:
        LtError: There is no such set, or a file cannot be written.
        SystemExit: With 1, if an error is found.
    """
    options = _parser().parse_args(args)
    module = _open(options)
    surveyed = survey(module)
    facts = inspect(module, surveyed.entries, options.num_workers)
    figures = Figures.of(surveyed, facts, module.many, module.few)
    findings = [*surveyed.findings, *faults(surveyed, facts)]
    show(options.data, figures, findings, module.many, module.few)
    unreadable = (entry.path for entry, fact in zip(surveyed.entries, facts, strict=True) if fact.error)
    try:
        if options.json:
            options.json.write_text(json.dumps(as_json(options.data, figures, findings), indent=1) + "\n")
        if options.plot:
            save_picture(class_distribution(figures.training_counts.items(), module.many, module.few), options.plot)
        if options.unreadable:
            lines = "".join(f"{path}\n" for path in unreadable)
            options.unreadable.write_text(lines, encoding="utf-8", errors="surrogateescape")
    except (OSError, ValueError) as error:
        raise LtError(f"a result cannot be written ({error})", "--json, --plot, --unreadable", "name others") from error
    if any(finding.kind.severity == "error" for finding in findings):
        raise SystemExit(1)


def _parser() -> Arguments:
    parser = Arguments(prog="lt data check", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("data", metavar="PATH|NAME", help="folder of images, CSV file that lists them, or known set")
    parser.add_argument("--root", metavar="DIR", help="folder of the images of a table or a known set")
    parser.add_argument("--lists", metavar="DIR", help="folder of a known set's lists; by default --root")
    parser.add_argument("--depth", type=_count, metavar="N", help="folders that name a class, below the folder (1)")
    parser.add_argument("--json", type=_file, metavar="FILE", help="write everything that is found")
    parser.add_argument("--plot", type=_file, metavar="FILE", help="draw the number of images of each class, as PNG")
    parser.add_argument("--unreadable", type=_file, metavar="FILE", help="list unreadable images, for --data.skip")
    parser.add_argument("--num_workers", type=_count, default=os.cpu_count() or 1, metavar="N", help="processes (CPUs)")
    parser.add_argument(
        "--many", type=int, metavar="N", help="a many-shot class has more training images (the set's: 100)"
    )
    parser.add_argument(
        "--few", type=int, metavar="N", help="a few-shot class has fewer training images (the set's: 20)"
    )
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {text}")
    return int(text)


def _file(text: str) -> Path:
    """Refuse a file that could not be written before an hour is spent on what would be in it."""
    if not Path(text).parent.is_dir() or Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a folder, or lies in one that does not exist")
    return Path(text)


def _is_set(kind: object) -> TypeGuard[type[LongTailDataModule]]:
    return isinstance(kind, type) and issubclass(kind, LongTailDataModule) and not isabstract(kind)


def _open(options: argparse.Namespace) -> LongTailDataModule:
    """The data module of a known set, a folder or a table."""
    known = {name: kind for name in data.__all__ if _is_set(kind := getattr(data, name))}
    given = {key: getattr(options, key) for key in ("root", "lists", "depth", "many", "few")}
    given = {key: value for key, value in given.items() if value is not None}
    try:
        if options.data in known:
            if issubclass(known[options.data], ListedDataModule):
                given.setdefault("root", "data")  # as `lt data prepare` has it
            return known[options.data](**given)
        if Path(options.data).is_dir():
            return FolderLT(options.data, **given)
        if Path(options.data).exists():
            return TableLT(options.data, **given)
    except (TypeError, ValueError) as error:  # of arguments it lacks or does not know; of such as make no sense
        raise LtError(f"these options do not go with it ({error})", options.data, "`lt data check --help`") from error
    nearest = get_close_matches(options.data, known, 1)
    fix = f"did you mean {nearest[0]}?" if nearest else f"name a folder, a CSV file or one of {', '.join(known)}"
    raise LtError("no such file, folder or known set", options.data, fix)
