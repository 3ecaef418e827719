"""``lt reproduce``: train a run again from what it left, and see whether the same comes out."""

import math
import sys
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from rich.console import Console

from lt_lightning.arguments import Arguments
from lt_lightning.checkpoints import read_checkpoint, stored_config
from lt_lightning.child import run_lt
from lt_lightning.errors import LtError
from lt_lightning.finished.run import Run, read_run
from lt_lightning.run_folder import TRAINED_FIRST, is_finished
from lt_lightning.signals import SIGNALS

DESCRIPTION = """\
Train a run again, from the configuration in its checkpoint: the same seed, so the same weights, batches and steps; a
teacher that was trained for it is trained again first. Test it if the run was tested, and compare all figures and the
weights. On a processor they are identical to the last bit; if they are not, the command exits with 1."""
ASIDE = ("config", "ckpt_path", "weights_only", "as_in_checkpoint", "allow_inexact")
"""Keys of a stored configuration that do not say what the run is."""
SHOWN = 12
"""Differences that are shown."""


class Difference(NamedTuple):
    """A value that another run has not, or has another."""

    name: str
    before: Any
    now: Any

    def __str__(self) -> str:
        size = ""
        if isinstance(self.before, float) and isinstance(self.now, float):
            size = f", by {abs(self.now - self.before):.2g}"
        return f"{self.name}: {self.before} -> {self.now}{size}"


def reproduce_run(args: list[str]) -> None:
    """Run ``lt reproduce RUN [--trainer.default_root_dir DIR]``.

    Args:
        args: The command line after ``reproduce``.

    Raises:
        LtError: The run is not finished, the folder is taken, or training fails.
        SystemExit: With 1, if a figure or a weight differs on a processor.
    """
    parser = Arguments(prog="lt reproduce", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    flag = "--trainer.default_root_dir"
    parser.add_argument(flag, type=Path, dest="folder", metavar="DIR", help="folder of the new run (RUN-reproduced)")
    options = parser.parse_args(args)
    run: Path = options.run
    folder: Path = options.folder or run.with_name(f"{run.resolve().name}-reproduced")
    original = read_run(run)
    if is_finished(folder):
        raise LtError("a finished run is here", str(folder), f"remove it, or name another folder by {flag}")
    train_again(run, folder)
    if (tested := original.measured("test")) is not None:
        _do(["test", "--ckpt_path", str(folder / f"{tested.checkpoint}.ckpt")], folder)
    if not report(original, read_run(folder)):
        raise SystemExit(1)


def train_again(run: Path, folder: Path) -> None:
    """Train what a run's last checkpoint says, after a teacher or first stage that was trained for it.

    Args:
        run: The run's folder.
        folder: That of the new run.

    Raises:
        LtError: The checkpoint carries no configuration, or training fails.
    """
    file = run / "last.ckpt"
    config = stored_config(str(file))
    if config is None:
        raise LtError("this checkpoint carries no configuration", str(file), "train it with `lt fit`")
    config = {key: value for key, value in config.items() if key not in ASIDE}
    config["trainer"] = {**config["trainer"], "default_root_dir": str(folder)}
    arguments = config["model"].get("init_args", {})
    for name in TRAINED_FIRST:
        checkpoint = read_run(run).checkpoint_of(name)
        if checkpoint is not None and checkpoint.resolve().is_relative_to(run.resolve()):
            if not is_finished(folder / name):
                train_again(checkpoint.parent, folder / name)
            arguments[name] = str((folder / name / checkpoint.name).resolve())
        elif checkpoint is not None:
            print(f"lt: the same {name.replace('_', ' ')} is used: {checkpoint}", flush=True)
    _do(["fit", "--config", yaml.safe_dump(config, sort_keys=False)], folder)


def report(original: Run, again: Run) -> bool:
    """Say what is identical and what is not.

    Returns:
        Whether all is as it has to be: identical, or trained on a device whose sums have no fixed order.
    """
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{original.folder} -> {again.folder}", markup=False)
    others = differences(_environment(original), _environment(again))
    console.print(f"environment: {'; '.join(map(str, others)) or 'the same'}", markup=False)
    before, now = figures(original), figures(again)
    found = differences(before, now)
    weights = largest_deviation(original.folder / "last.ckpt", again.folder / "last.ckpt")
    if not found and weights == 0:
        console.print(f"identical: {len(before)} figures, and all weights of last.ckpt")
        return True
    console.print(f"differs: {len(found)} of {len(before)} figures; weights of last.ckpt by up to {weights:.2g}")
    for difference in found[:SHOWN]:
        console.print(f"  {difference}", markup=False)
    if len(found) > SHOWN:
        console.print(f"  and {len(found) - SHOWN} more")
    on_processor = all(run.environment.get("accelerator", "cpu") == "cpu" for run in (original, again))
    if not on_processor:
        console.print("an accelerator adds in no fixed order, so runs on it may differ in late digits")
    return not on_processor


def figures(run: Run) -> dict[str, Any]:
    """All figures of a run's summary by their names, such as ``test/last/acc``; without times and names of files."""
    aside = ("val/train_seconds", "test/checkpoint")
    parts = {key: value for key, value in run.summary.items() if key != "validate"}
    return {name: value for name, value in _flat(parts).items() if name not in aside}


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[Difference]:
    """What differs; NaN is NaN, and what one of them lacks is missing."""
    pairs = ((name, before.get(name, "missing"), now.get(name, "missing")) for name in {**before, **now})
    return [Difference(*pair) for pair in pairs if pair[1] != pair[2] and not all(map(_is_nan, pair[1:]))]


def largest_deviation(one: Path, other: Path) -> float:
    """Largest deviation of a weight between two checkpoints; infinite where they are of different models."""
    ours, theirs = (read_checkpoint(str(path))["state_dict"] for path in (one, other))
    if {k: v.shape for k, v in ours.items()} != {k: v.shape for k, v in theirs.items()}:
        return math.inf
    same = (name for name, value in ours.items() if not torch.equal(value, theirs[name]))
    return max((float((ours[name].double() - theirs[name].double()).abs().max()) for name in same), default=0.0)


def _do(words: list[str], folder: Path) -> None:
    status = run_lt(words)
    if status - 128 in SIGNALS:
        print("lt: stopped; go on by the same command", file=sys.stderr)
        raise SystemExit(status)
    if status != 0:
        raise LtError(f"`lt {words[0]}` failed", str(folder), "mend what it says above")


def _environment(run: Run) -> dict[str, Any]:
    return _flat({key: value for key, value in run.environment.items() if key not in ("earlier", "configs")})


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}/") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
