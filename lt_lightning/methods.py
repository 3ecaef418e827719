"""``lt methods``: what there is to train, as the shipped configurations say in their first lines."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lt_lightning.arguments import Arguments
from lt_lightning.shipped import shipped_root

FIELDS = ("paper", "published", "recipe")


class Method(NamedTuple):
    """A method that a shipped configuration trains.

    Attributes:
        config: Name of the configuration, without folder and ending.
        name: Name of the method.
        idea: What it does, in a line.
        paper: Where it comes from.
        published: Published accuracy in % on CIFAR-100-LT at imbalance 100, with its recipe.
        recipe: What to add on the command line to train it so.
    """

    config: str
    name: str
    idea: str
    paper: str
    published: str
    recipe: str


def methods(folder: Path) -> list[Method]:
    """Read the methods of a folder of configurations, in the order of their names.

    Raises:
        ValueError: A configuration does not begin as it should.
    """
    return [_read(path) for path in sorted(folder.glob("*.yaml")) if "\nmodel:" in path.read_text()]


def _read(path: Path) -> Method:
    lines = path.read_text().splitlines()
    header = [line.removeprefix("# ") for line in lines[: next(i for i, x in enumerate(lines) if x[:1] != "#")]]
    name, _, idea = header[0].partition(": ")
    fields = dict(line.split(": ", 1) for line in header[1:] if line.startswith(FIELDS))
    if not idea or set(fields) != set(FIELDS):
        raise ValueError(f"{path} must begin with '# NAME: idea', and lines of {', '.join(FIELDS)}")
    return Method(path.stem, name, idea, **fields)


def measured(file: Path) -> dict[str, str]:
    """Our accuracy on DigitsLT's test set for each configuration: mean ± standard deviation over seeds, in %."""
    if not file.is_file():
        return {}
    runs = {
        name: [run["test"]["acc"] for run in seeds.values()] for name, seeds in json.loads(file.read_text()).items()
    }
    return {name: spread(values) for name, values in runs.items()}


def spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation of fractions, in %."""
    deviation = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.1f}{deviation}"


def list_methods(args: list[str]) -> None:
    """Print all methods.

    Args:
        args: Further words of the command line; there are none.

    Raises:
        LtError: There are further words.
    """
    Arguments(prog="lt methods", description="List what there is to train.").parse_args(args)
    root = shipped_root()
    ours = measured(root / "benchmarks" / "results" / "methods.json")
    for m in methods(root / "configs"):
        print(f"{m.name}: {m.idea}\n  --config configs/{m.config}.yaml   paper: {m.paper}")
        print(f"  DigitsLT, ours: {ours.get(m.config, 'not run')}   CIFAR-100-LT, published: {m.published}")
        print(f"  on CIFAR-100-LT: --config {m.recipe}\n")
    print("Accuracy in %. Ours: 500 balanced test images, mean ± standard deviation over seeds, last epoch. Published:")
    print("imbalance 100; recipes are named by their epochs, with AutoAugment and cutout (AA) or without (plain).")
