"""What a process that loads batches begins with."""

import ctypes
import signal

from lt_lightning.allocator import give_back_freed_memory

PR_SET_PDEATHSIG = 1
"""Of Linux's prctl: a signal that a process gets when the one that started it is gone."""


def begin_loading(worker: int = 0) -> None:
    """Give freed memory back, and end, on Linux, at once and without a word when the process that it loads for is gone.

    It would find that out when it hands a batch over, and print a traceback below the lines that say what happened.

    Args:
        worker: Its number, which the loader gives; all begin alike.
    """
    give_back_freed_memory()
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
