"""Copies of a run's folder, each as a power cut would have left it right after ``last.ckpt`` was written."""

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from unittest.mock import patch

import torch
import yaml

from lt_lightning.callbacks import LastCheckpoint

EVERY_STEP = ["--last.every_n_train_steps", "1"]
"""Flags of a run that writes after each step, and at the end of each epoch once more, after its validation."""

SPEED = "train/img_per_s"


@contextmanager
def copies(folder: Path, wanted: Callable[[int], bool] = lambda _: True) -> Iterator[None]:
    """Have runs put copies into ``folder/0``, ``folder/1`` and so on, a number for each time that they write."""
    save, numbers = LastCheckpoint._save, count()

    def save_and_copy(self, trainer):
        save(self, trainer)
        number = next(numbers)
        if trainer.is_global_zero and wanted(number):
            shutil.copytree(self.path.parent, folder / str(number))

    with patch.object(LastCheckpoint, "_save", save_and_copy):
        yield


def put_back(copy: Path, run: Path) -> None:
    """Make a run's folder what it was when it was copied."""
    shutil.rmtree(run)
    shutil.copytree(copy, run)


def left_by(run: Path) -> dict:
    """All that a run leaves, but how fast it was, and by which command."""
    with (run / "metrics.csv").open(newline="") as file:
        metrics = [{name: value for name, value in row.items() if name != SPEED} for row in csv.DictReader(file)]
    checkpoints = {name: torch.load(run / name, weights_only=True) for name in ("last.ckpt", "best.ckpt")}
    for checkpoint in checkpoints.values():
        for name, state in checkpoint["callbacks"].items():
            if name == "TrainingTime":
                state.clear()
            if name.startswith("ModelCheckpoint"):
                del state["current_score"]  # Lightning writes it, but does not read it
        config = yaml.safe_load(checkpoint["lt_config"])
        for place, key in ((config, "config"), (config, "ckpt_path"), (config["data"]["init_args"], "num_workers")):
            place.pop(key, None)
        checkpoint["lt_config"] = config
    summary, per_class = json.loads((run / "summary.json").read_text()), (run / "per_class.csv").read_text()
    del summary["val"]["train_seconds"]
    return {**checkpoints, "metrics": metrics, "summary": summary, "per class": per_class}


def differences(a, b, path=""):
    """Where two values differ, in the type of a part or in a bit of it."""
    if type(a) is not type(b):
        yield f"{path}: {type(a)}, {type(b)}"
    elif isinstance(a, torch.Tensor):
        if a.dtype != b.dtype or not torch.equal(a, b):
            yield path
    elif isinstance(a, dict):
        if list(a) != list(b):
            yield f"{path}: keys {a.keys() ^ b.keys()}"
        for key in a.keys() & b.keys():
            yield from differences(a[key], b[key], f"{path}/{key}")
    elif isinstance(a, list | tuple):
        if len(a) != len(b):
            yield f"{path}: {len(a)}, {len(b)}"
        for i, (x, y) in enumerate(zip(a, b, strict=False)):
            yield from differences(x, y, f"{path}/{i}")
    elif a != b and not (a != a and b != b):  # NaN is NaN
        yield f"{path}: {a}, {b}"
