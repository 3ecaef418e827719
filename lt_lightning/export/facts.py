"""What an exported file says of its model: plain data by name."""

import hashlib
import json
import math
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lt_lightning.calibration import Temperatures
from lt_lightning.checkpoints import ARGUMENTS, read_checkpoint, read_facts
from lt_lightning.data import LongTailDataModule
from lt_lightning.data.listed import ListedDataModule
from lt_lightning.modules import LongTailModule
from lt_lightning.run_folder import read_summary

WEIGHTS = "under the terms of the images they were trained on, and of pretrained weights if they began with such"


def as_text(facts: dict[str, Any]) -> dict[str, str]:
    """Each fact as JSON, of ASCII alone."""
    return {name: json.dumps(fact) for name, fact in facts.items()}


def preprocessing(data: LongTailDataModule) -> dict[str, Any]:
    """What to do with an image before the model takes it, and what the model does itself."""
    return {
        "colours": "RGB",
        "layout": "BHWC",
        "dtype": "uint8",
        "size": data.size,
        "shorter_side": round(data.size / data.part),
        "resample": "bilinear",
        "crop": "centre",
        "jpeg_draft": None if data.shrink_on_load is None else data.shrink_on_load * data.size,
        "inside": {"divide_by": 255, "mean": data.mean, "std": data.std},
    }


def method(path: str, module: LongTailModule, data: LongTailDataModule) -> dict[str, Any]:
    """How the model of a checkpoint was trained, and of which parts it consists."""
    named = read_checkpoint(path)[ARGUMENTS]  # where a backbone of one's own is a name, as in a configuration
    return {
        "model": type(module).__name__,
        **{key: named.get(key, module.hparams.get(key)) for key in ("backbone", "shared_stages", "classifier")},
        "network": type(module.net).__name__,
        "experts": len(module.losses),
        "losses": [type(loss).__name__ for loss in module.losses],
        "combination": type(module.combination).__name__,
        "data": type(data).__name__,
    }


def calibration(temperatures: Temperatures, target_prior: str | None) -> dict[str, Any]:
    """What is done to logits beyond what the model was trained to do.

    Args:
        temperatures: By which they are divided.
        target_prior: What ``--target_prior`` named.
    """
    temperature = temperatures.combined if target_prior is None else temperatures.balanced
    prior = target_prior if target_prior in (None, "uniform", "train") else Path(str(target_prior)).name
    return {"temperature": temperature, "measured_on": temperatures.measured_on or None, "target_prior": prior}


def figures(path: str) -> dict[str, dict[str, float]]:
    """What the run's ``summary.json`` says of this very checkpoint, by split; nothing where it says nothing.

    A file of the same name may be older or newer than what was measured, as ``last.ckpt`` of a run that went on is, or
    chosen by another figure than accuracy.

    Raises:
        LtError: The summary is damaged.
    """
    summary, facts = read_summary(Path(path).with_name("summary.json")), read_facts(path)
    found = {}
    if (of_fit := _inner(summary, "val", Path(path).stem)).get("epoch") == facts.get("epoch"):
        found["val"] = of_fit
    for split in ("validate", "test"):
        measured = _inner(summary, split)
        same_name = Path(str(measured.get("checkpoint"))).name == Path(path).name
        if same_name and measured.get("step") == facts.get("global_step"):
            found[split] = _inner(measured, "last")
    return {split: _of_the_whole(values) for split, values in found.items() if values}


def _inner(values: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        inner = values.get(name)
        values = inner if isinstance(inner, dict) else {}
    return values


def _of_the_whole(values: dict[str, Any]) -> dict[str, float]:
    """Figures of the ensemble, without those of its experts."""
    numbers = {name: value for name, value in values.items() if isinstance(value, int | float) and math.isfinite(value)}
    return {name: value for name, value in numbers.items() if "/" not in name}


def origin(path: str) -> dict[str, Any]:
    """Which checkpoint it was, and what wrote the file."""
    with Path(path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    facts = read_facts(path)
    return {
        "checkpoint": Path(path).name,
        "sha256": digest,
        "epoch": facts.get("epoch"),
        "step": facts.get("global_step"),
        **{name: version(name) for name in ("lt-lightning", "torch")},
    }


def licence(data: LongTailDataModule) -> dict[str, str]:
    """Under which terms what is."""
    images = data.terms if isinstance(data, ListedDataModule) else "those of their owner, not known to lt_lightning"
    return {"weights": WEIGHTS, "images": images, "lt_lightning, which wrote this file": "Apache-2.0"}
