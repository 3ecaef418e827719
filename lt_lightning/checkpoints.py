"""The one place where checkpoints are read: tensors and plain values only, and one clear line for a bad file."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch import LightningModule
from torch import Tensor

from lt_lightning.errors import LtError
from lt_lightning.regular import check_regular
from lt_lightning.written_secrets import refuse_in_text

CONFIG, CLASS_NAMES, CLASS_COUNTS = "lt_config", "lt_class_names", "lt_class_counts"
"""Keys under which :class:`~lt_lightning.callbacks.keep_config.KeepConfig` stores the run's YAML, and of its classes
the names and the training images."""
PARTS = ("model", "data", "trainer")
"""What any configuration of a run has."""


def read_checkpoint(path: str) -> dict[str, Any]:
    """Open a checkpoint on the CPU, its tensors mapped from the file; nothing in it is executed.

    Raises:
        LtError: There is no such file, or it is not a checkpoint of Lightning.
    """
    fix = "name a .ckpt file that `lt fit` wrote, such as runs/mcsm/best.ckpt"
    check_regular(Path(path))
    try:
        checkpoint = torch.load(path, weights_only=True, map_location="cpu", mmap=True)
    except FileNotFoundError as error:
        raise LtError("this checkpoint does not exist", path, fix) from error
    except Exception as error:  # torch raises RuntimeError, UnpicklingError, EOFError, ... for a damaged file
        what = "this file is damaged, no checkpoint, or holds more than tensors and plain values"
        raise LtError(what, path, fix) from error
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), dict):
        raise LtError("this file holds no Lightning checkpoint", path, fix)
    return checkpoint


def read_weights(path: str) -> dict[str, Tensor]:
    """Tensors by name, of a file that holds nothing else; see :func:`read_checkpoint`.

    Raises:
        LtError: There is no such file, it holds something else, or its name, such as ``resnet152-394f9c45.pth``, says
            another hash.
    """
    fix = "fetch it anew; name a .pth file of torchvision's, such as resnet50-11ad3fa6.pth"
    try:
        if stated := re.search(r"-([0-9a-f]{8,})\.pth$", path):
            with Path(path).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if not found.startswith(stated[1]):
                raise LtError(f"its name says the hash {stated[1]}, it has {found[: len(stated[1])]}", path, fix)
        weights = torch.load(path, weights_only=True, map_location="cpu", mmap=True)
    except FileNotFoundError as error:
        raise LtError("these weights do not exist", path, fix) from error
    except LtError:
        raise
    except Exception as error:  # as in read_checkpoint
        raise LtError("this file is damaged, or holds more than tensors", path, fix) from error
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise LtError("this file holds something else than named tensors", path, fix)
    return weights


def stored_config(path: str) -> dict[str, Any] | None:
    """The configuration of the run that wrote a checkpoint; None where the command did not write it.

    Raises:
        LtError: There is no such file, it is no checkpoint, its configuration is none, or a secret stands in it.
    """
    text = read_checkpoint(path).get(CONFIG)
    if text is None:
        return None
    refuse_in_text(str(text), path)
    try:
        config: dict[str, Any] = yaml.safe_load(text)
        if all(isinstance(config[part], dict) for part in PARTS):
            return config
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError):  # of whatever else it may be
        pass
    raise LtError("its configuration is damaged", path, "use another checkpoint of this run")


def load_module(path: str, class_names: list[str]) -> LightningModule:
    """Rebuild the module that a checkpoint holds.

    Args:
        path: A checkpoint written by the command.
        class_names: The classes it must have been trained on, in order.

    Raises:
        LtError: The file is no checkpoint of the command, or its classes differ.
    """
    check_classes(path, class_names)
    try:
        return LightningModule.load_from_checkpoint(path, map_location="cpu", weights_only=True)
    except RuntimeError as error:
        raise other_weights(error, path) from error


def other_weights(error: RuntimeError, path: str) -> LtError:
    """What torch says of weights that do not fit a model."""
    first = str(error).partition("\n")[2].partition("\n")[0].strip() or str(error)
    return LtError(f"its weights are not those of this model: {first[:200]}", path, "use that of a run of this model")


def check_classes(path: str, class_names: list[str]) -> None:
    """See that a checkpoint's model tells the same classes apart, in the same order.

    Raises:
        LtError: The file is no checkpoint of the command, or its classes differ.
    """
    theirs = read_checkpoint(path).get(CLASS_NAMES)
    if not isinstance(theirs, list):
        raise LtError("this checkpoint does not name its classes", path, "train it with `lt fit`")
    if theirs != class_names:
        pairs = zip(theirs, class_names, strict=False)
        first = next((c for c, (a, b) in enumerate(pairs) if a != b), min(len(theirs), len(class_names)))
        raise LtError(
            f"its {len(theirs)} classes are not the {len(class_names)} of the data: they differ from class {first} on",
            path,
            "use a model that was trained on the same classes in the same order",
        )


def check_counts(path: str, class_counts: list[int]) -> None:
    """See that a checkpoint's model was trained on as many images of each class as the data has for training.

    Losses, corrections for the prior and shot groups depend on them.

    Raises:
        LtError: They differ.
    """
    theirs = read_checkpoint(path).get(CLASS_COUNTS, class_counts)
    if theirs != class_counts:
        c = next(c for c, (a, b) in enumerate(zip(theirs, class_counts, strict=True)) if a != b)
        what = f"it was trained on {theirs[c]} images of class {c}, the data has {class_counts[c]} for training"
        fix = "use the data of its run; other images to test on go into a table, below those of its splits.csv"
        raise LtError(what, path, fix)


def is_finished(run: Path) -> bool:
    """Whether a run folder holds a training run that came to its end."""
    summary = run / "summary.json"
    return (run / "last.ckpt").is_file() and summary.is_file() and "val" in json.loads(summary.read_text())
