"""``lt report``: everything that a run leaves to be looked at, drawn again from the files in its folder."""

from pathlib import Path

from lt_lightning.arguments import Arguments
from lt_lightning.errors import LtError
from lt_lightning.plots.chart import save_chart
from lt_lightning.plots.report import write_report
from lt_lightning.plots.run import charts

DESCRIPTION = """\
Draw the charts of a run again, as tables and pictures in its folder `plots`, and write its `report.html`. The files in
the folder are all that is needed: no images, no checkpoint, no device."""


def report(words: list[str]) -> None:
    """Run ``lt report RUN``.

    Args:
        words: The command line after ``report``.

    Raises:
        LtError: The folder is no run's, its files are damaged, or nothing can be written there.
    """
    parser = Arguments(prog="lt report", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run, such as runs/mcsm")
    folder: Path = parser.parse_args(words).run
    if not (folder / "summary.json").exists():
        fix = "name the folder of a run that came to its end, such as runs/mcsm"
        raise LtError("no run was measured here: there is no summary.json", str(folder), fix)
    try:
        made = charts(folder)
        for chart in made:
            save_chart(chart, folder / "plots")
        file = write_report(folder)
    except OSError as error:
        raise LtError(f"this cannot be written ({error.strerror})", str(folder), "make room, or allow it") from error
    print(f"lt: {len(made)} charts in {folder / 'plots'}, all together in {file}")
