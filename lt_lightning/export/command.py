"""The words of ``lt export``; what is slow to import is imported when they are right."""

from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

from lt_lightning.arguments import Arguments, truth
from lt_lightning.errors import LtError

FORMATS: dict[str, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "pt2": (),
    "safetensors": ("safetensors",),
}
"""Names of the formats, which are also the endings of their files, with the packages of the extra that each needs."""
DESCRIPTION = """\
Write a model as one file that needs neither this package nor any data: pixels in, logits and probabilities out, labels
inside. The file is run and compared with the model before it takes its name."""


def export_checkpoint(words: list[str]) -> None:
    """Run ``lt export --ckpt_path CKPT --format NAME [-o FILE] [--calibrated BOOL] [--target_prior PRIOR]``.

    Args:
        words: The command line after ``export``.

    Raises:
        LtError: The checkpoint is none, the format is not known or not installed, or the file cannot be written or
            computes something else than the model.
    """
    options = _parser().parse_args(words)
    check_format(options.format)
    target = target_file(options.output, Path(options.ckpt_path), options.format)
    from lt_lightning.export.exporting import export

    print(export(options.ckpt_path, options.format, target, options.calibrated, options.target_prior))


def check_format(name: str) -> None:
    """See that a format is known, and what it needs is installed.

    Raises:
        LtError: It is not.
    """
    if name not in FORMATS:
        nearest = get_close_matches(name, FORMATS, 1)
        fix = f"did you mean {nearest[0]}?" if nearest else f"name one of {', '.join(FORMATS)}"
        raise LtError(f"unknown format {name!r}", "--format", fix)
    if missing := [package for package in FORMATS[name] if find_spec(package) is None]:
        what = f"this format needs packages that are not installed: {', '.join(missing)}"
        raise LtError(what, f"--format {name}", "pip install 'lt-lightning[export]'")


def target_file(given: Path | None, checkpoint: Path, ending: str) -> Path:
    """The file to write: what the user says, or ``export/best.onnx`` beside ``best.ckpt``.

    Raises:
        LtError: It is a folder, lies in one that is not there, or is the checkpoint.
    """
    if given is None:
        return checkpoint.with_name("export") / f"{checkpoint.stem}.{ending}"
    if not given.parent.is_dir() or given.is_dir():
        raise LtError("this is a folder, or lies in one that does not exist", str(given), "name another file by -o")
    if given.resolve() == checkpoint.resolve():
        raise LtError("the file to write is the checkpoint itself", str(given), "name another file by -o")
    return given


def _parser() -> Arguments:
    parser = Arguments(prog="lt export", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--ckpt_path", required=True, metavar="CKPT", help="a checkpoint of `lt fit`")
    parser.add_argument("--format", required=True, metavar="NAME", help=" or ".join(FORMATS))
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="(export/ beside the checkpoint)")
    temperature = "divide logits by the temperature that was measured in validation (false)"
    parser.add_argument("--calibrated", type=truth, default=False, metavar="BOOL", help=temperature)
    prior = "class prior of the images: uniform, train or a file, as for `lt predict` (none: as trained)"
    parser.add_argument("--target_prior", metavar="PRIOR", help=prior)
    return parser
