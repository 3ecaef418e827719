"""Errors of the system, torch and Lightning that a user can mend, said as such; all others are bugs."""

import errno
import re
import shutil
from pathlib import Path

from lt_lightning.errors import LtError

BUG = "this is a bug of lt_lightning or of a plugin: report it with all lines above (README.md, SECURITY.md)"
"""The last line of an error that is no user's mistake."""

SPEAKER: list[str] = []
"""Which of several processes this one is; what launchers say of it is gone from the environment when it fails."""

MEMORY = r"out of memory|not enough memory|can't allocate memory"
WORKER = r"DataLoader worker|shared memory|unable to (?:open|mmap|resize|write)|ancdata"
SHARED = Path("/dev/shm")  # nosec B108
"""Where processes share memory; only its size is looked at."""
FIXES = {
    errno.ENOSPC: "make room on the disk of the run, of $TMPDIR or of the file that takes the output",
    errno.EDQUOT: "make room: a quota is used up",
    errno.EMFILE: "allow more open files (ulimit -n 4096), or lower --data.num_workers",
    errno.ENOMEM: "free memory, or lower --data.num_workers and --data.batch_size",
}


def as_mistake(error: Exception) -> LtError | None:
    """The user's mistake that an error is, or None for a bug."""
    text = " ".join(str(error).split())[:300]
    if isinstance(error, LtError):
        return error
    from lightning.fabric.utilities.exceptions import MisconfigurationException  # seconds, for whom it is not there yet

    if isinstance(error, MisconfigurationException):
        return LtError(text, "the trainer", "change what it names in trainer, optimizer, lr_scheduler or checkpoint")
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and re.search(MEMORY, text, re.IGNORECASE)):
        fix = "lower --data.batch_size and --data.eval_batch_size, or set --trainer.precision bf16-mixed"
        return LtError(f"not enough memory ({text or type(error).__name__})", "a batch, or the model", fix)
    if isinstance(error, RuntimeError) and re.search(WORKER, text):
        fix = "lower --data.num_workers (0 reads without processes), or give the container more (docker --shm-size 8g)"
        return LtError(f"a process that reads images died ({text})", f"data.num_workers; {_shared_memory()}", fix)
    if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
        missing = re.search("compiler found|triton", text, re.IGNORECASE)
        first = "install a C++ compiler (on a GPU also triton), or" if missing else "see what --debug shows, and"
        fix = f"{first} train without --compile"
        return LtError(f"training steps cannot be compiled ({text})", "--compile", fix)
    if isinstance(error, UnicodeDecodeError):
        where = f"a file that holds {error.object[max(error.start - 20, 0) : error.start + 20]!r}"
        return LtError(f"this is no text in UTF-8 ({error.reason})", where, "save the file as UTF-8")
    if isinstance(error, OSError):
        fix = FIXES.get(error.errno or 0, "allow it, or name another one")
        return LtError(f"the system refuses: {error.strerror or text}", str(error.filename or "no file is named"), fix)
    return None


def introduce(process: str) -> None:
    """Say which of several processes this one is, for the beginning of its errors."""
    SPEAKER[:] = [f"{process}: "]


def speaker() -> str:
    """Who speaks, for the beginning of an error: ``process 1 of 2: `` where there are several."""
    return "".join(SPEAKER)


def _shared_memory() -> str:
    if not SHARED.is_dir():
        return "memory that processes share"
    usage = shutil.disk_usage(SHARED)
    return f"{SHARED} has {usage.total / 2**20:,.0f} MiB, of which {usage.free / 2**20:,.0f} are free"
