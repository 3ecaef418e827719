"""``lt compare``: methods beside one another, each over its seeds."""

import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from lt_lightning.arguments import Arguments
from lt_lightning.errors import LtError
from lt_lightning.finished.comparison import Comparison, compare
from lt_lightning.finished.groups import Group, group_runs
from lt_lightning.finished.run import Run, read_run
from lt_lightning.finished.tables import comma_separated, latex, markdown, screen
from lt_lightning.whole_files import write_whole

DESCRIPTION = """\
Compare methods. Runs whose configurations differ by the seed, the folder and the like alone are one method: its figures
are means over them. Differences to the reference have the 95 % interval of a bootstrap: images are drawn with
replacement, the same for both methods; runs of each method, too. All figures are those of `lt test`, or, where a run
was not tested, all are those of the last validation."""
FORMATS: dict[str, Callable[[Comparison], str]] = {"markdown": markdown, "csv": comma_separated, "latex": latex}


def compare_runs(args: list[str]) -> None:
    """Run ``lt compare RUN ... [--reference NAME] [--markdown FILE] [--csv FILE] [--latex FILE]``.

    Args:
        args: The command line after ``compare``.

    Raises:
        LtError: There is no finished run, runs are on different images, or a file cannot be written.
    """
    parser = Arguments(prog="lt compare", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("runs", nargs="+", metavar="RUN", type=Path, help="folders of runs, as in runs/*")
    parser.add_argument("--reference", metavar="NAME", help="method, or a run of it, to compare with (the first)")
    for name in FORMATS:
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"write the table as {name}, too")
    options = parser.parse_args(args)
    groups = group_runs(_finished(options.runs))
    comparison = compare(groups, _named(options.reference, groups))
    console = Console(highlight=False)
    for part in screen(comparison):
        console.print(part, markup=False)
    for name, written in FORMATS.items():
        if (file := getattr(options, name)) is not None:
            _write(file, written(comparison))


def _finished(folders: list[Path]) -> list[Run]:
    """Runs that came to their end; of several folders, such as a glob names, others are left out aloud."""
    folders = list({folder.resolve(): folder for folder in folders}.values())
    runs = []
    for folder in folders:
        if len(folders) > 1 and folder.exists() and not (folder / "summary.json").is_file():
            print(f"lt: {folder} is left out: no run was trained or tested to its end there", file=sys.stderr)
        else:
            runs.append(read_run(folder))
    if not runs:
        raise LtError("none of these is a finished run", ", ".join(map(str, folders)), "name folders of finished runs")
    return runs


def _named(reference: str | None, groups: list[Group]) -> str:
    if reference is None:
        return groups[0].name
    for group in groups:
        if reference == group.name or Path(reference).resolve() in (run.folder.resolve() for run in group.runs):
            return group.name
    names = ", ".join(group.name for group in groups)
    raise LtError(f"there is no method {reference!r}", "--reference", f"name one of {names}, or a folder of its runs")


def _write(file: Path, text: str) -> None:
    try:
        write_whole(file, text)
    except OSError as error:
        raise LtError(f"the table cannot be written ({error.strerror})", str(file), "name another file") from error
