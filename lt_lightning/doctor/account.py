"""Weights & Biases: installed, and online or not. No key is read out, and nothing is asked of the network."""

import importlib.metadata
import os

from lt_lightning.doctor.finding import Finding, ok


def check_account() -> Finding:
    """What a run would do."""
    try:
        version = importlib.metadata.version("wandb")
    except importlib.metadata.PackageNotFoundError:
        return ok("W&B", "not installed: runs log into their folders")
    from lt_lightning.loggers import has_credentials  # imports wandb, which takes seconds

    mode = os.environ.get("WANDB_MODE")
    if mode in ("offline", "dryrun", "disabled"):
        state = f"{mode}, as WANDB_MODE says"
    elif has_credentials():
        state = "logged in: runs log online; --wandb.offline true keeps them here"
    else:
        state = "no account: runs log into their folders; `wandb login` changes that"
    return ok("W&B", f"{version}, {state}")
