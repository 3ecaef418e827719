"""``lt predict`` and ``lt test`` on images that a command line names; what is slow to import is imported late."""

import argparse
from itertools import islice
from pathlib import Path

from lt_lightning.arguments import Arguments, truth
from lt_lightning.errors import LtError
from lt_lightning.rows import check_rows_file

PREDICT = """\
usage: lt predict [PATH ...] --ckpt_path FILE [-o FILE] [--KEY VALUE ...]

What a checkpoint says of images: a row an image. PATH is an image, a folder (searched to any depth) or a CSV
file with a column `path`; without any, the test images of the checkpoint's run. Images become what the run's
own were in evaluation. Of the run's data nothing is needed.

  --ckpt_path FILE          the checkpoint, such as runs/mcsm/best.ckpt
  -o FILE                   ends in .csv, .json or .parquet (predictions.csv here; without PATH, in the run's folder)
  --top_k K                 classes of which label and probability are written (5)
  --all_probabilities BOOL  write those of all classes, too, in columns p_NAME (false)
  --calibrated BOOL         divide logits by the temperature that was measured in validation (false)
  --target_prior PRIOR      class prior of the images: uniform, train (as in training), or a file: CSV with columns
                            class and prior, or JSON {"otter": 3, ...} (none: predictions stay as trained)
  --trainer.accelerator NAME, --trainer.devices N, --trainer.precision NAME
  --data.eval_batch_size N, --data.num_workers N
  --help_all                every option there is

Columns: path, target (where a table, or the folder's name, says it), predicted (number of the class), label,
probability, entropy (nats), group (many, medium or few training images), label_2, probability_2, ..., error.
An image that cannot be read has its reason in `error`, is counted in the last line, and stops nothing. The exit
status is 0 if at least one image was predicted, 2 otherwise.
"""
OWN = ("-o", "--top_k", "--all_probabilities", "--calibrated", "--target_prior")
"""Flags of ``lt predict`` that are no keys of a configuration."""
HELP = ("-h", "--help")
WITHOUT_VALUE = (*HELP, "--help_all", "--print_config")
NAMED = "best", "last"


def predict(words: list[str]) -> None:
    """Run ``lt predict [PATH ...] --ckpt_path FILE``.

    Args:
        words: The command line after ``predict``.

    Raises:
        LtError: A word is wrong, or no image could be predicted.
        SystemExit: With 0, after help.
    """
    if set(words) & set(HELP):
        print(PREDICT, end="")
        raise SystemExit(0)
    paths, own, rest = _parts(words, OWN)
    options = vars(_parser().parse_args(own))
    file: Path | None = options["file"] or (Path("predictions.csv") if paths else None)
    if file is not None:
        check_rows_file(file)
        if file.resolve() in {Path(path).resolve() for path in (*paths, options["target_prior"]) if path}:
            raise LtError("predictions would replace what they are made from", str(file), "name another -o FILE")
    from lt_lightning.callbacks import Predictions
    from lt_lightning.cli import ImagesCLI, LongTailCLI
    from lt_lightning.data.given import GivenImages

    predictions = Predictions(**{**options, "file": file})
    if paths:
        _checkpoint(rest)
        ImagesCLI(["predict", *rest], GivenImages, paths, predictions)
    else:
        LongTailCLI(["predict", *rest], predictions)


def test(words: list[str]) -> None:
    """Run ``lt test [PATH ...] --ckpt_path FILE``.

    What is measured on other images than the run's own goes to a folder of its own, ``RUN/on/NAME``.

    Args:
        words: The command line after ``test``.

    Raises:
        LtError: A word is wrong.
    """
    paths, _, rest = _parts(words, ())
    from lt_lightning.cli import ImagesCLI, LongTailCLI
    from lt_lightning.data.given import GivenTest

    if not paths:
        LongTailCLI(["test", *rest])
        return
    checkpoint, first = _checkpoint(rest), Path(paths[0]).resolve()
    name = first.name if first.is_dir() else first.stem
    if not any(word.startswith("--trainer.default_root_dir") for word in rest):
        folder = checkpoint.resolve().parent / "on" / (name if len(paths) == 1 else f"{name} and {len(paths) - 1} more")
        rest.append(f"--trainer.default_root_dir={folder}")
    ImagesCLI(["test", *rest], GivenTest, paths)


def _parts(words: list[str], own: tuple[str, ...]) -> tuple[list[str], list[str], list[str]]:
    """Paths, flags of these names with their values, and all other flags with theirs; after ``--``, all are paths."""
    paths, mine, rest, coming = list[str](), list[str](), list[str](), iter(words)
    for word in coming:
        flag, equals, _ = word.partition("=")
        if word == "--":
            paths.extend(coming)
        elif word.startswith("-"):
            value = [] if equals or flag in WITHOUT_VALUE else islice(coming, 1)
            (mine if flag in own else rest).extend([word, *value])
        else:
            paths.append(word)
    return paths, mine, rest


def _parser() -> Arguments:
    parser = Arguments(prog="lt predict", add_help=False, allow_abbrev=False)
    parser.add_argument("-o", dest="file", type=Path)
    parser.add_argument("--top_k", type=_count, default=5)
    parser.add_argument("--all_probabilities", type=truth, default=False)
    parser.add_argument("--calibrated", type=truth, default=False)
    parser.add_argument("--target_prior")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {text}")
    return int(text)


def _checkpoint(words: list[str]) -> Path:
    """The one checkpoint that a command line names.

    Raises:
        LtError: It names none.
    """
    from lt_lightning.cli import values

    found = values(words, "--ckpt_path") + [str(Path(run) / "last.ckpt") for run in values(words, "--resume")]
    if not found or found[0] in NAMED:
        what = f"expected the file of a checkpoint, got {found[0] if found else 'none'}"
        raise LtError(what, "--ckpt_path", "name one, as in --ckpt_path runs/mcsm/best.ckpt")
    return Path(found[0])
