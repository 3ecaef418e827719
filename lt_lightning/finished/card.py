"""``lt card``: what a reader has to know of a model, as Markdown; what is not known is left out or said to be so."""

from pathlib import Path

from lt_lightning.arguments import Arguments
from lt_lightning.errors import LtError
from lt_lightning.finished.card_parts import (
    citation,
    data,
    figures,
    front_matter,
    intended_use,
    licence,
    limits,
    title,
    training,
    use,
)
from lt_lightning.finished.run import Run, read_run
from lt_lightning.whole_files import write_whole

CARD = "card.md"
DESCRIPTION = """\
Write a model card, as the Hugging Face hub shows it: what the model is and is for, on which data it was trained, its
figures by shot group, how it was trained, its limits, and how to use it. All of it comes from the run's folder."""


def write_card(args: list[str]) -> None:
    """Run ``lt card RUN [-o FILE] [--license ID]``.

    Args:
        args: The command line after ``card``.

    Raises:
        LtError: The run is not finished, has no figures, or the file cannot be written.
    """
    parser = Arguments(prog="lt card", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help=f"where to write (RUN/{CARD})")
    parser.add_argument("--license", metavar="ID", help="licence of the weights, such as apache-2.0; yours to choose")
    options = parser.parse_args(args)
    file = options.output or options.run / CARD
    text = card(read_run(options.run), options.license)
    try:
        write_whole(file, text)
    except OSError as error:
        raise LtError(f"the card cannot be written ({error.strerror})", str(file), "name another file by -o") from error
    print(f"lt: {file}")


def card(run: Run, licence_of_weights: str | None = None) -> str:
    """The card of a run, by its test; by its validation where it was not tested, which it says.

    Args:
        run: A finished run.
        licence_of_weights: Identifier of the licence that its owner gives it under.

    Raises:
        LtError: It was neither validated nor tested.
    """
    measured = run.measured("test") or run.measured("val")
    if measured is None:
        what = "this run has neither figures of test nor of validation"
        raise LtError(what, str(run.folder / "summary.json"), "measure it: lt test --ckpt_path RUN/last.ckpt")
    parts = [
        front_matter(run, measured, licence_of_weights),
        title(run),
        intended_use(run),
        data(run, measured),
        figures(run, measured),
        training(run),
        limits(run, measured),
        use(measured),
        licence(licence_of_weights),
        citation(run),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"
