"""Memory that one step frees and the next one asks for again stays with the process.

glibc gives large blocks, and the end of the heap when enough of it is free, back to the system, which clears the pages
of the next step anew. Activations of large batches are such blocks. Other C libraries are left as they are.
"""

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt, by the numbers of its malloc.h."""
NEVER, LARGEST = 2**31 - 1, 2**30
"""Free bytes at the end of the heap that go back, and bytes from which on a block is a mapping of its own."""


def keep_freed_memory() -> bool:
    """Keep what is freed, blocks of a gibibyte and more apart: between large blocks the heap may have gaps.

    Returns:
        Whether the C library can be told so.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(TRIM_THRESHOLD, NEVER)) and bool(mallopt(MMAP_THRESHOLD, LARGEST))


def give_back_freed_memory() -> None:
    """Give it back, as where images of any size are read, one after another."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(TRIM_THRESHOLD, 2**26)
        mallopt(MMAP_THRESHOLD, 2**25)  # where glibc's own thresholds arrive at most
