"""What a run's folder must be, seen to before anything is built: writable, with room, nobody else's; what is in it."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lt_lightning.errors import LtError
from lt_lightning.whole_files import sweep

TRACES = (".lock", "wandb_run_id", "last.ckpt")
"""Files by one of which a folder shows itself as a run's."""
TEACHER = "teacher"
"""Folder, within a run's, of the teacher that was trained for it."""
TRAINED_FIRST = (TEACHER, "first_stage")
"""Arguments of a model that name another model, and the folders, within a run's, of those that are trained for it."""
PER_IMAGE = "per_image.csv"
"""Class and predicted class of each test image, in the order of the set."""
DIGITS = 15
"""Of the largest number that any run has."""
ANOTHER = "name another folder by --trainer.default_root_dir"


def check_writable(folder: Path, instead: str = ANOTHER) -> None:
    """See that files can be written in a folder, which is made if it is not there.

    Args:
        folder: The folder.
        instead: What else the user can do.

    Raises:
        LtError: They cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"room for a byte")
    except OSError as error:
        what = f"nothing can be written here ({error.strerror})"
        raise LtError(what, str(folder), f"allow it, or {instead}") from error


def check_ours(folder: Path) -> None:
    """See that a folder that a run will write to holds no files of others, such as a ``config.yaml``, to be replaced.

    Raises:
        LtError: It does.
    """
    files = [path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    if files and not any((folder / name).exists() for name in TRACES):
        what = f"this folder holds {len(files)} files, such as {min(files)}, and is no run's"
        raise LtError(what, str(folder), ANOTHER)


def hold(folder: Path) -> FileLock:
    """Keep a run's folder for this process, and sweep away what was left half written in it.

    Held twice in one process it is the same lock; the system lets go of it if the process dies.

    Raises:
        LtError: Another process trains in it.
    """
    lock = FileLock(folder / ".lock", is_singleton=True)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise LtError(
            "another process trains in this folder", str(folder), f"wait for it, stop it, or {ANOTHER}"
        ) from error
    sweep(folder)
    return lock


def check_room(folder: Path, checkpoint: int) -> None:
    """See that three checkpoints fit: the last, the best, and a new one beside that which it replaces.

    Args:
        folder: Which exists.
        checkpoint: Size of one, in bytes.

    Raises:
        LtError: They do not.
    """
    free = shutil.disk_usage(folder).free
    if free < 3 * checkpoint:
        what = f"three checkpoints need up to {3 * checkpoint / 2**20:,.0f} MiB, {free / 2**20:,.0f} MiB are free"
        raise LtError(what, str(folder), f"make room, or {ANOTHER}")


def is_finished(run: Path) -> bool:
    """Whether a run folder holds a training run that came to its end."""
    summary = run / "summary.json"
    return (run / "last.ckpt").is_file() and "val" in read_summary(summary)


def read_summary(file: Path) -> dict[str, Any]:
    """What a run's ``summary.json``, or its ``env.json``, says; nothing where it is not there.

    Raises:
        LtError: It is damaged.
    """
    try:
        summary = json.loads(file.read_text(), parse_int=_whole) if file.is_file() else {}
    except (ValueError, RecursionError) as error:
        raise LtError(
            f"this file is damaged ({error})", str(file), "remove it; `lt test` measures figures anew"
        ) from error
    if not isinstance(summary, dict):
        raise LtError("this is no file of a run", str(file), "remove it; `lt test` measures figures anew")
    return summary


def _whole(text: str) -> int:
    """A whole number that a float can hold exactly, too."""
    if len(text) > DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)
