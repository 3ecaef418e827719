"""Memory that one step frees and the next one asks for again stays with the process.

glibc gives the end of the heap back to the system when enough of it is free; then the system clears the pages of the
next step anew. Blocks from 32 MiB on, a mapping each, still go back at once: kept on the heap they would leave gaps
that others do not fill. Other C libraries are left as they are.
"""

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt, by the numbers of its malloc.h."""
NEVER = 2**31 - 1
OWN_MAPPING = 2**25
"""Bytes from which on a block is a mapping of its own: where glibc itself arrives at most."""


def keep_freed_memory(trim: int = NEVER) -> bool:
    """Set the thresholds.

    Args:
        trim: Free bytes at the end of the heap that go back to the system.

    Returns:
        Whether the C library has them.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(TRIM_THRESHOLD, trim)) and bool(mallopt(MMAP_THRESHOLD, OWN_MAPPING))
