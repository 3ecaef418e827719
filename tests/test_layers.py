"""Who may import whom (architecture.md, section 3)."""

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "lt_lightning"
FILES = {file.relative_to(PACKAGE).as_posix(): file.read_text() for file in sorted(PACKAGE.rglob("*.py"))}

MAY_IMPORT = {  # what the files of a folder may take from the package, beside the folder itself and the errors
    "data": ("allocator", "regular", "run_folder", "whole_files"),
    "plots": ("run_folder", "summary", "tail", "whole_files", "regular", "arguments", "redaction"),
    "check": ("data", "arguments", "plots", "tail"),
    "tail.py": (),
    "losses": (),
    "models": (),
    "metrics": (),
    "callbacks": (
        "data",
        "metrics",
        "models.cost",
        "models.pretrained",
        "losses.priors",
        "losses.reweighting",
        "loggers",
        "plots",
        "tail",
        "calibration",
        "checkpoints",
        "checkpoint_io",
        "environment",
        "mistakes",
        "plots",
        "rows",
        "run_folder",
        "signals",
        "steps",
        "whole_files",
    ),
    "modules": ("losses", "models", "data.base", "callbacks", "optimizers"),
    "calibration.py": ("checkpoints", "losses.priors", "regular"),
    "rows.py": ("run_folder", "whole_files"),
    "checkpoints.py": ("regular", "strict_yaml", "trust", "written_secrets"),
    "allocator.py": (),
    "errors.py": ("redaction",),
    "steps.py": ("checkpoints", "data.base"),
    "environment.py": ("run_folder", "whole_files"),
    "redaction.py": (),
    "written_secrets.py": ("redaction",),
    "optimizers.py": (),
    "schedulers.py": (),
}
MAY_USE_LIGHTNING = (
    "cli.py",
    "parser.py",
    "seeds.py",
    "loggers.py",
    "steps.py",
    "mistakes.py",
    "checkpoints.py",
    "checkpoint_io.py",
    "trust.py",
    "modules/",
    "callbacks/",
    "data/base.py",
)
PLAIN_TORCH = {"losses": {"torch"}, "models": {"torch", "torchvision"}, "metrics": {"torch", "torchmetrics"}}


def imports(source: str) -> set[str]:
    """Every name that is imported, in full, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names}
    return names


def within(name: str, module: str) -> bool:
    return f"{name}.".startswith(f"{module}.")


def wrong_arrows(file: str, source: str) -> list[str]:
    """Imports that a file of the package must not have."""
    layer, names = file.split("/")[0], sorted(imports(source))
    wrong = [name for name in names if name.startswith(".")]  # imports are absolute, so that arrows can be seen
    if layer not in ("cli.py", "commands.py", "on_images.py"):
        wrong += [name for name in names if within(name, "lt_lightning.cli")]
    if layer in MAY_IMPORT:
        allowed = [f"lt_lightning.{part}" for part in (*MAY_IMPORT[layer], layer, "errors")]
        ours = [name for name in names if within(name, "lt_lightning")]
        wrong += [name for name in ours if not any(within(name, module) for module in allowed)]
    if not file.startswith(MAY_USE_LIGHTNING):
        wrong += [name for name in names if name.split(".")[0] in ("lightning", "pytorch_lightning")]
    if layer in PLAIN_TORCH:
        roots = PLAIN_TORCH[layer] | {"lt_lightning"} | sys.stdlib_module_names
        wrong += [name for name in names if name.split(".")[0] not in roots]
    return wrong


def test_the_files_are_found() -> None:
    assert {name.split("/")[0] for name in FILES} >= {"cli.py", *MAY_IMPORT}


@pytest.mark.parametrize("file", FILES)
def test_no_wrong_arrow(file: str) -> None:
    assert wrong_arrows(file, FILES[file]) == []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("losses/x.py", "from lt_lightning.data import base"),
        ("losses/x.py", "def f():\n    import lt_lightning.models.cost"),
        ("models/x.py", "from lt_lightning import losses"),
        ("metrics/x.py", "from lightning.pytorch import Trainer"),
        ("metrics/x.py", "import sklearn.metrics"),
        ("data/x.py", "import lightning"),
        ("data/x.py", "from ..losses import base"),
        ("modules/x.py", "from lt_lightning.metrics import SplitAccuracy"),
        ("modules/x.py", "from lt_lightning.data.cifar import CIFAR10LT"),
        ("callbacks/x.py", "from lt_lightning.models.experts import MultiExpert"),
        ("callbacks/x.py", "from lt_lightning.modules import Teacher"),
        ("schedulers.py", "from lt_lightning.commands import main"),
        ("recipes.py", "from lightning.pytorch import Trainer"),
    ],
)
def test_a_wrong_arrow_is_seen(file: str, source: str) -> None:
    assert len(wrong_arrows(file, source)) >= 1
