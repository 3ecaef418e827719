"""The one place where checkpoints are read: tensors and plain values only, and one clear line for a bad file."""

import hashlib
import re
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import instantiate_module
from torch import Tensor
from yaml import YAMLError

from lt_lightning.errors import LtError
from lt_lightning.regular import check_regular
from lt_lightning.strict_yaml import read_yaml
from lt_lightning.trust import refused_name, trust_only_known
from lt_lightning.written_secrets import refuse_in_text

CONFIG, CLASS_NAMES, CLASS_COUNTS, STEP = "lt_config", "lt_class_names", "lt_class_counts", "lt_step"
"""Keys under which :class:`~lt_lightning.callbacks.keep_config.KeepConfig` stores the run's YAML, of its classes the
names and the training images, and what its steps consist of."""
PARTS = ("model", "data", "trainer")
"""What any configuration of a run has."""
ARGUMENTS, INSTANTIATOR = "hyper_parameters", "lightning.pytorch.cli.instantiate_module"
"""Key under which Lightning stores the arguments of a module, and the one function that may build it of them."""
PROGRESS: dict[str, type] = {"loops": dict, "callbacks": dict, "optimizer_states": list, "lr_schedulers": list}
PROGRESS |= {"epoch": int, "global_step": int, "pytorch-lightning_version": str}
"""What Lightning stores of a run's progress, with its types."""
PLAIN: dict[str, tuple[type[str] | type[list[Any]] | type[dict[str, Any]], type]] = {
    CONFIG: (str, str),
    CLASS_NAMES: (list, str),
    CLASS_COUNTS: (list, int),
    ARGUMENTS: (dict, str),
    STEP: (dict, str),
}
"""Of each key, the type of its value and that of what it holds."""
FACTS = (CONFIG, CLASS_NAMES, CLASS_COUNTS, STEP, "epoch", "global_step")
"""What :func:`read_facts` tells."""


def read_checkpoint(path: str) -> dict[str, Any]:
    """Open a checkpoint on the CPU, its tensors mapped from the file; nothing in it is executed.

    Raises:
        LtError: There is no such file, or it is not a checkpoint of Lightning.
    """
    fix = "name a .ckpt file that `lt fit` wrote, such as runs/mcsm/best.ckpt"
    if Path(path).is_dir():
        raise LtError(
            "expected a file, got a folder", path, f"name a checkpoint in it, such as {Path(path) / 'last.ckpt'}"
        )
    check_regular(Path(path))
    try:
        checkpoint = _tensors(path)
    except FileNotFoundError as error:
        raise LtError("this checkpoint does not exist, or not as a local file", path, fix) from error
    except Exception as error:  # torch raises RuntimeError, UnpicklingError, EOFError, ... for a damaged file
        what = "this file is damaged, no checkpoint, or holds more than tensors and plain values"
        raise LtError(what, path, fix) from error
    if not isinstance(checkpoint, dict) or not _are_tensors(checkpoint.get("state_dict")):
        raise LtError("this file holds no Lightning checkpoint", path, fix)
    for key, (kind, inner) in PLAIN.items():
        value = checkpoint.get(key, kind())
        if not isinstance(value, kind) or not all(isinstance(part, inner) for part in value):
            raise LtError(f"this checkpoint is damaged: its {key} is no {kind.__name__}", path, fix)
    return checkpoint


def read_facts(path: str) -> dict[str, Any]:
    """What a checkpoint says of its run, beside weights and progress; a command, which asks often, opens it once.

    Raises:
        LtError: As :func:`read_checkpoint`.
    """
    file = Path(path)
    if not file.is_file():
        return read_checkpoint(path)  # it says what is wrong
    stat = file.stat()
    return _facts(path, (stat.st_mtime_ns, stat.st_size, stat.st_ino))


@lru_cache(8)  # a run's, its teacher's and those of a few more
def _facts(path: str, stamp: tuple[int, ...]) -> dict[str, Any]:
    checkpoint = read_checkpoint(path)
    return {key: checkpoint[key] for key in FACTS if key in checkpoint}


def read_weights(path: str) -> dict[str, Tensor]:
    """Tensors by name, of a file that holds nothing else; see :func:`read_checkpoint`.

    Raises:
        LtError: There is no such file, it holds something else, or its name, such as ``resnet152-394f9c45.pth``, says
            another hash.
    """
    fix = "fetch it anew; name a .pth file of torchvision's, such as resnet50-11ad3fa6.pth"
    check_regular(Path(path))
    try:
        if (stated := re.search(r"-([0-9a-f]{8,})\.pth$", path)) and Path(path).is_file():
            with Path(path).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if not found.startswith(stated[1]):
                raise LtError(f"its name says the hash {stated[1]}, it has {found[: len(stated[1])]}", path, fix)
        weights = _tensors(path)
    except FileNotFoundError as error:
        raise LtError("these weights do not exist, or not as a local file", path, fix) from error
    except LtError:
        raise
    except Exception as error:  # as in read_checkpoint
        raise LtError("this file is damaged, or holds more than tensors", path, fix) from error
    if not _are_tensors(weights):
        raise LtError("this file holds something else than named tensors", path, fix)
    named: dict[str, Tensor] = weights
    return named


def _tensors(path: str) -> Any:
    """What a file of torch's holds, if it is one that can neither run code nor exhaust the memory."""
    with zipfile.ZipFile(path) as archive:
        size = Path(path).stat().st_size
        packed = any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist())
        if packed or sum(member.file_size for member in archive.infolist()) > size:
            raise ValueError("its parts are larger than the file")  # torch never packs them
    content = torch.load(path, weights_only=True, map_location="cpu", mmap=True)
    if sum(tensor.nbytes for tensor in _within(content)) > 2 * size:  # weights that layers share count twice
        raise ValueError("its tensors are larger than the file")
    return content


def _within(content: Any) -> Iterator[Tensor]:
    """All tensors in nested values, which may hold themselves."""
    values, seen = [content], set()
    while values:
        value = values.pop()
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, dict | list | tuple | set) and id(value) not in seen:
            seen.add(id(value))
            values += [*value.keys(), *value.values()] if isinstance(value, dict) else value


def _are_tensors(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in value.items())


def stored_config(path: str) -> dict[str, Any] | None:
    """The configuration of the run that wrote a checkpoint; None where the command did not write it.

    Raises:
        LtError: There is no such file, it is no checkpoint, its configuration is none, or a secret stands in it.
    """
    text = read_facts(path).get(CONFIG)
    if text is None:
        return None
    refuse_in_text(text, path)
    try:
        config: dict[str, Any] = read_yaml(text)
    except (YAMLError, ValueError) as error:
        what = f"this checkpoint's configuration is damaged: {error}"[:300]
        raise LtError(what, path, "name a checkpoint that `lt fit` wrote") from error
    if not isinstance(config, dict) or not all(isinstance(config.get(key), dict) for key in PARTS):
        raise LtError("this checkpoint's configuration is none of `lt fit`", path, "name a checkpoint that it wrote")
    return config


def load_module(path: str, class_names: list[str]) -> LightningModule:
    """Rebuild the module that a checkpoint holds.

    Args:
        path: A checkpoint written by the command.
        class_names: The classes it must have been trained on, in order.

    Raises:
        LtError: The file is no checkpoint of the command, its classes differ, or it names code to run.
    """
    check_classes(path, class_names)
    checkpoint = read_checkpoint(path)
    arguments = dict(checkpoint.get(ARGUMENTS, {}))
    fix = "name a checkpoint that `lt fit` wrote"
    if arguments.pop("_instantiator", None) != INSTANTIATOR or not isinstance(arguments.get("_class_path"), str):
        raise LtError("this checkpoint does not say which module it holds, or how to build it", path, fix)
    trust_only_known()
    try:
        module: LightningModule = instantiate_module(LightningModule, arguments)
        module.on_load_checkpoint(checkpoint)
    except LtError:
        raise
    except Exception as error:  # whatever a constructor says of arguments that are not its own
        what = f"this checkpoint's module cannot be rebuilt: {error}"[:300]
        raise refused_name(str(error), path) or LtError(what, path, fix) from error
    try:
        module.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        raise other_weights(error, path) from error
    return module


def other_weights(error: Exception, path: str) -> LtError:
    """What torch says of weights that do not fit a model."""
    first = str(error).partition("\n")[2].partition("\n")[0].strip() or str(error)
    return LtError(f"its weights are not those of this model: {first[:200]}", path, "use that of a run of this model")


def check_classes(path: str, class_names: list[str]) -> None:
    """See that a checkpoint's model tells the same classes apart, in the same order.

    Raises:
        LtError: The file is no checkpoint of the command, or its classes differ.
    """
    theirs = read_facts(path).get(CLASS_NAMES)
    if not isinstance(theirs, list):
        raise LtError("this checkpoint does not name its classes", path, "train it with `lt fit`")
    if theirs != class_names:
        fix = "use a model that was trained on the same classes in the same order, or lt test PATH, lt predict PATH"
        if sorted(theirs) == sorted(class_names):
            fix += "; validate, test and predict take images into its order by --as_in_checkpoint true"
        raise LtError(class_difference(theirs, class_names), path, fix)


def class_difference(theirs: list[str], ours: list[str]) -> str:
    """Say how two lists of classes differ, and name the first difference.

    Args:
        theirs: Names of a checkpoint's classes, in label order.
        ours: Those of the data.
    """
    gone, new = [name for name in theirs if name not in set(ours)], [name for name in ours if name not in set(theirs)]
    if gone and new:
        c = next(c for c, (a, b) in enumerate(zip_longest(theirs, ours)) if a != b)
        first, second = (_quoted(names[c]) if c < len(names) else "missing" for names in (theirs, ours))
        return f"its classes are not those of the data: class {c} is {first} in the checkpoint, {second} in the data"
    if gone:
        return f"the data lack {len(gone)} of its {len(theirs)} classes: {_quoted(gone[0])} is the first"
    if new:
        count = f"{len(new)} class" + "es" * (len(new) > 1)
        return f"the data have {count} that it lacks: {_quoted(new[0])} is the first"
    c = next(c for c, (a, b) in enumerate(zip(theirs, ours, strict=True)) if a != b)
    others = f"class {c} is {_quoted(theirs[c])} in the checkpoint, {_quoted(ours[c])} in the data"
    return f"its classes are those of the data in another order: {others}"


def _quoted(name: str) -> str:
    """A name in a line, of 40 characters at most."""
    return repr(name if len(name) <= 40 else f"{name[:39]}…")


def check_counts(path: str, class_counts: list[int]) -> None:
    """See that a checkpoint's model was trained on as many images of each class as the data has for training.

    Losses, corrections for the prior and shot groups depend on them.

    Raises:
        LtError: They differ.
    """
    theirs = read_facts(path).get(CLASS_COUNTS, class_counts)
    if len(theirs) != len(class_counts):
        what = f"it says training images of {len(theirs)} classes, the data has {len(class_counts)}"
        raise LtError(what, path, "name a checkpoint that `lt fit` wrote")
    if theirs != class_counts:
        c = next(c for c, (a, b) in enumerate(zip(theirs, class_counts, strict=True)) if a != b)
        what = f"it was trained on {theirs[c]} images of class {c}, the data has {class_counts[c]} for training"
        fix = f"use the data of its run; other images to test on are named: lt test PATH --ckpt_path {path}"
        raise LtError(what, path, fix)


def check_progress(path: str) -> None:
    """See that a checkpoint holds what a run needs to go on, beside weights.

    Raises:
        LtError: It does not.
    """
    checkpoint = read_checkpoint(path)
    for name, kind in PROGRESS.items():
        if not isinstance(checkpoint.get(name), kind):
            raise LtError(f"a run cannot go on from this checkpoint: it lacks {name}", path, "name a last.ckpt")
