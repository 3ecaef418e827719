"""``lt doctor``: the command."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lt_lightning.arguments import Arguments
from lt_lightning.doctor.account import check_account
from lt_lightning.doctor.finding import Finding, error
from lt_lightning.doctor.machine import check_devices, check_folder, check_open_files, check_shared_memory
from lt_lightning.doctor.packages import check_extras, check_python, check_requirements, check_torchvision
from lt_lightning.shipped import ROOTS

DESCRIPTION = """\
Look at this environment and this machine, and say what keeps training from working (errors, with which the command
exits with 1), or from working well (warnings), and how to mend it."""
COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}


def examine(args: list[str]) -> None:
    """Run ``lt doctor``.

    Args:
        args: The command line after ``doctor``; there is nothing to choose.

    Raises:
        LtError: There are further words.
        SystemExit: With 1, if there is an error.
    """
    Arguments(prog="lt doctor", description=DESCRIPTION, allow_abbrev=False).parse_args(args)
    findings = list(examination())
    show(findings)
    if any(finding.state == "error" for finding in findings):
        raise SystemExit(1)


def examination() -> Iterator[Finding]:
    """All that is looked at; where torch itself cannot be imported, that is said in the place of what needs it."""
    yield check_python()
    yield from check_requirements()
    try:
        yield check_torchvision()
        yield from check_devices()
        yield check_account()
    except Exception as problem:  # whatever a library that does not fit the system raises
        what = f"{type(problem).__name__}: {problem}"[:200]
        yield error("torch", what, "install it anew, as pytorch.org says for this system")
    yield check_shared_memory()
    yield from check_folder(Path.cwd())
    yield check_open_files()
    if not any((root / "configs" / "mcsm.yaml").is_file() for root in ROOTS):
        yield error("configurations", "not there", "install the package anew")
    yield from check_extras()


def show(findings: Iterable[Finding]) -> None:
    """Print them, and the count of what is not well."""
    table = Table(box=box.SIMPLE, show_header=False, pad_edge=False, collapse_padding=True)
    for finding in findings:
        mend = f"\n-> {escape(finding.mend)}" if finding.mend else ""
        state = f"[{COLOURS[finding.state]}]{finding.state}[/]"
        table.add_row(state, escape(finding.what), f"{escape(finding.found)}{mend}")
    counts = [sum(finding.state == state for finding in findings) for state in ("error", "warning")]
    console = Console(highlight=False)
    console.print(table)
    console.print(f"{counts[0]} errors, {counts[1]} warnings")
