"""Runs of one method: those whose configurations differ by the seed, the folder and the like alone."""

import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from lt_lightning.finished.run import Run, read_run
from lt_lightning.run_folder import TRAINED_FIRST

ASIDE = {
    "": "seed_everything config ckpt_path weights_only as_in_checkpoint allow_inexact last plots wandb watchdog"
    " compile",
    "trainer": "default_root_dir accelerator enable_progress_bar enable_model_summary log_every_n_steps profiler",
    "data": "seed num_workers eval_batch_size root lists file",
}
"""Keys of a configuration, and of its parts, that change no expected figure."""
SEED = re.compile(r"([\W_]+(seeds?|s))?[\W_]*\d*$")
"""How the name of a folder ends that tells a seed."""


class Group(NamedTuple):
    """Runs of one method.

    Attributes:
        name: What their folders are called, without what tells them apart.
        runs: In the order in which they were named.
    """

    name: str
    runs: list[Run]


def group_runs(runs: list[Run]) -> list[Group]:
    """Sort runs by method, in the order in which methods first occur."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(_method_of(run), []).append(run)
    names = [_name_of([str(run.folder) for run in members]) for members in groups.values()]
    start = os.path.commonpath([Path(name).parent for name in names]) if len(names) > 1 else Path(names[0]).parent
    short = [os.path.relpath(name, start or ".") for name in names]
    first = [str(members[0].folder) for members in groups.values()]
    clear = [name if short.count(name) == 1 else folder for name, folder in zip(short, first, strict=True)]
    return [Group(name, members) for name, members in zip(clear, groups.values(), strict=True)]


def _method_of(run: Run) -> str:
    if not run.config:
        return str(run.folder.resolve())
    return json.dumps(_plain(run), sort_keys=True, default=str)


def _plain(run: Run) -> dict[str, Any]:
    """A run's configuration without what is aside; a teacher stands there as its own configuration."""
    config = _without(run.config, "")
    config |= {key: _without(config.get(key) or {}, key) for key in ("trainer", "data")}
    arguments = dict((config.get("model") or {}).get("init_args") or {})
    for name in TRAINED_FIRST:
        checkpoint = run.checkpoint_of(name)
        if checkpoint is not None and (checkpoint.parent / "summary.json").is_file():
            arguments[name] = [checkpoint.name, _plain(read_run(checkpoint.parent))]
    config["model"] = {**(config.get("model") or {}), "init_args": arguments}
    return config


def _without(part: dict[str, Any], key: str) -> dict[str, Any]:
    kept = {name: value for name, value in part.items() if name not in ASIDE[key].split()}
    if isinstance(kept.get("init_args"), dict):
        kept["init_args"] = _without(kept["init_args"], key)
    return kept


def _name_of(folders: list[str]) -> str:
    """What folders are called without their seeds: ``runs/ce`` of ``runs/ce_seed0`` and ``runs/ce_seed1``."""
    stems = {SEED.sub("", folder) for folder in map(os.path.normpath, folders)}
    return stems.pop() if len(folders) > 1 and len(stems) == 1 else folders[0]
