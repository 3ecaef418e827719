"""This command in a process of its own, for a run that another one needs."""

import os
import sys

from lt_lightning.commands import DEBUG
from lt_lightning.plugins import plugin_flags
from lt_lightning.signals import run

LAUNCHERS = ("SLURM_", "TORCHELASTIC_", "PL_", "WANDB_SWEEP", "WANDB_RUN_ID")
RANKS = {f"{of}{what}" for of in ("", "LOCAL_", "GROUP_", "ROLE_", "NODE_") for what in ("RANK", "WORLD_SIZE")}
RANKS |= {"MASTER_ADDR", "MASTER_PORT"}
"""The variables, and how others begin, by which launchers tell a process its rank, and W&B its run of a sweep."""


def run_lt(words: list[str]) -> int:
    """Run ``lt`` with the same plugins, apart from whatever launched this process, and wait for it.

    Args:
        words: The words after ``lt``.

    Returns:
        Its exit status.
    """
    command = [sys.executable, "-m", "lt_lightning", *words, *plugin_flags()]
    command += [DEBUG] * (DEBUG in sys.argv)
    env = {name: value for name, value in os.environ.items() if not name.startswith(LAUNCHERS) and name not in RANKS}
    env["PYTHONSAFEPATH"] = "1"  # `-m` would import from the working directory before all else
    return run(command, env)
