"""What a run was made with: versions, devices and the commit, without names of hosts or users and without paths."""

import importlib.metadata
import json
import os
import platform
import re
from functools import cache
from pathlib import Path
from typing import Any

from lt_lightning.run_folder import read_summary
from lt_lightning.whole_files import write_whole

PACKAGE = "lt-lightning"
FILE = "env.json"
"""Where a run folder says it."""


def keep_environment(folder: Path, used: dict[str, Any]) -> None:
    """Write ``env.json``; if a run goes on elsewhere, what it was begun with stays, below ``earlier``.

    Args:
        folder: Folder of the run.
        used: What the run uses of it, such as its accelerator.

    Raises:
        OSError: It cannot be written.
    """
    file, now = folder / FILE, {**environment(), **used}
    before = read_summary(file) or dict(now)
    earlier = before.pop("earlier", [])
    if before != now:
        earlier.append(before)
    write_whole(file, json.dumps(now | ({"earlier": earlier} if earlier else {}), indent=2) + "\n")


def environment() -> dict[str, Any]:
    """Versions, devices, and the commit where this package is a clone."""
    import torch  # takes seconds, and who reads what this module wrote does without

    root = Path(__file__).parents[1]
    return {
        "versions": {"python": platform.python_version(), **versions()},
        "system": f"{platform.system()} {platform.machine()}",
        "devices": devices(),
        "cuda": torch.version.cuda,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "commit": commit(root / ".git"),
    }


@cache
def versions() -> dict[str, str]:
    """Installed versions of this package and of those that it uses; what is not installed is left out."""
    used = (line for line in importlib.metadata.requires(PACKAGE) or [] if "extra == 'dev'" not in line)
    names = [PACKAGE, *map(_name, used)]
    found = {name: _version(name) for name in names}
    return {name: version for name, version in found.items() if version is not None}


def devices() -> list[str]:
    """Names of the accelerators that torch sees; none on a machine that has processors alone."""
    import torch  # as above

    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return names + ["Apple GPU"] * torch.backends.mps.is_available()


def commit(git: Path) -> str | None:
    """The commit that a clone stands on; None where there is no clone.

    The files are read here: to ask git would run what a repository's configuration names.

    Args:
        git: ``.git`` of the clone: a folder, or in a further work tree a file that names one.
    """
    try:
        if git.is_file():
            git = git.parent / git.read_text().partition("gitdir:")[2].strip()
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return _hash(head)
        ref, common = head.removeprefix("ref: "), git / "commondir"
        shared = git / common.read_text().strip() if common.is_file() else git
        if (shared / ref).is_file():
            return _hash((shared / ref).read_text())
        packed = (line.partition(" ") for line in (shared / "packed-refs").read_text().splitlines())
        return next((_hash(parts[0]) for parts in packed if parts[2] == ref), None)
    except (OSError, UnicodeDecodeError):
        return None


def _hash(text: str) -> str | None:
    found = re.match(r"[0-9a-f]{40,64}\b", text)
    return found[0] if found else None


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
