"""Which shipped method a run is of."""

from pathlib import Path
from typing import Any

from lt_lightning.finished.run import Run
from lt_lightning.methods import Method, methods
from lt_lightning.shipped import shipped_root
from lt_lightning.strict_yaml import read_text, read_yaml


def method_of(run: Run) -> Method | None:
    """The shipped method whose configuration a run was begun with, if model and losses are still its own."""
    begun = (run.environment.get("earlier") or [run.environment])[0]
    names = [str(name) for name in begun.get("configs") or []]
    folder = shipped_root() / "configs"
    for method in methods(folder):
        if f"{method.config}.yaml" in names and _is_of(run, folder / f"{method.config}.yaml"):
            return method
    return None


def _is_of(run: Run, file: Path) -> bool:
    model = read_yaml(read_text(file))["model"]
    losses = [name_of(loss) for loss in model.get("init_args", {}).get("losses", [])]
    return name_of(model) == run.summary["model"] and losses in ([], run.summary["losses"])


def name_of(part: Any) -> str:
    """The class that a part of a configuration names, without its module."""
    path = part.get("class_path", "") if isinstance(part, dict) else part
    return str(path).rpartition(".")[2]
