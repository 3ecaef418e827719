"""Numbers of a configuration, and of the environment, that make no sense, and that nothing else refuses."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace

from lt_lightning.errors import LtError

LEAST = {
    "accumulate_grad_batches": 1,
    "check_val_every_n_epoch": 1,
    "gradient_clip_val": 0,
    "log_every_n_steps": 0,
    "min_epochs": 0,
    "min_steps": 0,
    "num_sanity_val_steps": -1,
}
"""Least values of the trainer's numbers at which Lightning does not look."""
LARGEST = torch.finfo(torch.float32).max
COUNTS = re.compile(r"((LOCAL_|GROUP_|NODE_)?RANK|(LOCAL_)?WORLD_SIZE|SLURM_(NTASKS|PROCID|LOCALID|NODEID|NNODES))")
"""Variables of the environment by which launchers tell a process its rank."""
WANDB_MODES = ("online", "offline", "disabled", "shared", "dryrun", "run", "")
MAX_SEED = 2**32 - 1


def check_environment() -> None:
    """Refuse variables that Lightning and W&B would stumble over, or pass over in silence.

    Raises:
        LtError: A rank is no number, or a mode of W&B is not known.
    """
    for name, value in os.environ.items():
        if COUNTS.fullmatch(name) and not value.isdecimal():
            raise LtError(f"expected a number, got {value!r}", f"${name}", "unset it, or let the launcher set it")
    if (mode := os.environ.get("WANDB_MODE", "")) not in WANDB_MODES:
        raise LtError(f"no such mode of W&B: {mode!r}", "$WANDB_MODE", f"name one of {', '.join(WANDB_MODES[:3])}")


def check_numbers(config: Namespace) -> None:
    """Refuse what would be accepted in silence, or fail where nobody understands why.

    Args:
        config: What a subcommand is told: ``seed_everything``, ``trainer``, ``model`` and all else.

    Raises:
        LtError: A number is out of its range, NaN or infinite, the run has no folder, or the model counts of its own.
    """
    for key, value in _numbers(config, ""):
        if not abs(value) <= LARGEST:  # NaN passes every other comparison, and poisons weights
            raise LtError(f"expected a number that float32 holds, got {value}", key, "name a finite one")
    if not 0 <= config.seed_everything <= MAX_SEED:
        raise LtError(f"got the seed {config.seed_everything}", "seed_everything", f"name one from 0 to {MAX_SEED}")
    for name, least in LEAST.items():
        value = config.trainer[name]
        if value is not None and value < least:
            raise LtError(f"expected at least {least}, got {value}", f"trainer.{name}", "raise it")
    if config.trainer.limit_train_batches == 0:
        raise LtError("a run without training batches", "trainer.limit_train_batches", "raise it, or leave it out")
    if config.trainer.val_check_interval == 0:
        raise LtError("expected more than 0, got 0", "trainer.val_check_interval", "raise it, or leave it out")
    if "checkpoint" in config and config.checkpoint.save_weights_only:
        what = "a checkpoint without the configuration and the classes serves nobody"
        raise LtError(what, "checkpoint.save_weights_only", "leave it out")
    folder = config.trainer.default_root_dir
    if folder and folder.startswith("~"):
        raise LtError("~ stands for nothing here", "trainer.default_root_dir", f"write {Path(folder).expanduser()}")
    if not folder or "\0" in folder or "://" in folder:
        raise LtError(f"the run needs a folder, got {folder!r}", "trainer.default_root_dir", "name one of this machine")
    if config.model.init_args.get("class_counts") is not None:
        raise LtError("class counts come from the data", "model.class_counts", "remove it")


def _numbers(value: Any, key: str) -> Iterator[tuple[str, float]]:
    """All floating point numbers in a configuration, with their keys as flags name them."""
    if isinstance(value, float):
        yield key, value
    elif isinstance(value, (Namespace, dict)):
        for name, part in vars(value).items() if isinstance(value, Namespace) else value.items():
            yield from _numbers(part, key if name == "init_args" else f"{key}.{name}".removeprefix("."))
    elif isinstance(value, list):
        for part in value:
            yield from _numbers(part, key)
