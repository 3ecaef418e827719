"""What a configuration may name, wherever it comes from: the classes of this list, and those of the user's plugins.

A configuration is data: it chooses among classes that are known to be harmless, and imports nothing else. So is the one
that a checkpoint carries.
"""

import re
from pathlib import Path
from typing import Any

import lightning.pytorch.cli  # noqa: F401 - it lets configurations come from anywhere, so it is imported before
from jsonargparse import set_parsing_settings

from lt_lightning import data
from lt_lightning.errors import LtError

ALLOWED = (
    "lt_lightning.callbacks",
    "lt_lightning.losses",
    "lt_lightning.models",
    "lt_lightning.modules",
    "lt_lightning.optimizers",
    "lt_lightning.schedulers",
    *(f"lt_lightning.data.{name}" for name in data.__all__),
    "lt_lightning.data.augment",
    "lt_lightning.data.cifar",
    "lt_lightning.data.digits",
    "lt_lightning.data.folder",
    "lt_lightning.data.imagenet",
    "lt_lightning.data.inaturalist",
    "lt_lightning.data.places",
    "lt_lightning.data.sampling",
    "lt_lightning.data.table",
    "lt_lightning.data.views",
    "lightning.fabric.plugins.environments",
    "lightning.pytorch.callbacks",
    "lightning.pytorch.cli.ReduceLROnPlateau",
    "lightning.pytorch.plugins",
    "lightning.pytorch.profilers",
    "lightning.pytorch.strategies",
    "torch.optim",
    "torchvision.transforms.v2",
)
"""Import paths, each with all that is defined below it. What they import from elsewhere is refused by where it is
defined, so that a class that calls what it is given, such as ``LambdaCallback``, is given nothing harmful."""

REFUSED = r"Importing '([^']+)' is not allowed"
"""What jsonargparse says of an import path that is not allowed."""


def trust_only_known() -> None:
    """Refuse, in this process from now on, configurations that name anything else, or that are not local files.

    The command does so, and whoever rebuilds a module from a checkpoint.
    """
    set_parsing_settings(
        config_read_mode_urls_enabled=False,
        config_read_mode_fsspec_enabled=False,
        import_path_denylist=["*"],
        import_path_allowlist=list(ALLOWED),
    )


def refuse_addresses(values: Any, key: str) -> None:
    """See that a configuration names no file of another machine, which Lightning would fetch or write.

    Args:
        values: A value, or nested ones.
        key: What they are called.

    Raises:
        LtError: One is an address, such as ``s3://bucket/runs``.
    """
    if isinstance(values, dict):
        for name, value in values.items():
            refuse_addresses(value, f"{key}.{name}" if key else str(name))
    elif isinstance(values, list | tuple):
        for value in values:
            refuse_addresses(value, key)
    elif isinstance(values, str) and "://" in values:
        raise LtError(f"only local files and folders are used, got {values}", key, "fetch it, and name your copy")


def refuse_outside(values: Any, key: str, folder: Path) -> None:
    """See that what a trainer's parts write stays within the run's folder.

    Args:
        values: A value, or nested ones.
        key: What they are called.
        folder: That of the run.

    Raises:
        LtError: A ``dirpath``, a ``filename`` or another folder leads elsewhere.
    """
    if isinstance(values, dict):
        for name, value in values.items():
            refuse_outside(value, f"{key}.{name}", folder)
    elif isinstance(values, list | tuple):
        for value in values:
            refuse_outside(value, key, folder)
    elif isinstance(values, str):
        name = key.rpartition(".")[2]
        is_elsewhere = not Path(values).resolve().is_relative_to(folder.resolve())
        if (name.endswith(("dir", "dirpath")) and is_elsewhere) or (name == "filename" and Path(values).name != values):
            raise LtError(f"a run writes into its own folder alone, got {values}", key, f"name a place in {folder}")


def refused_name(message: str, where: str) -> LtError | None:
    """The error for an import path that is not allowed, if that is what jsonargparse's message says."""
    if (found := re.search(REFUSED, message)) is None:
        return None
    what = f"{found[1]} is none of the classes that a configuration may name"
    return LtError(what, where, "bring your own classes by --plugins FILE.py")
