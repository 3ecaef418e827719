"""One side of a pair in a process of its own, where what others left on the heap does not matter.

Memory that is freed stays with a process, in pieces: small tensors, and large ones, cost more there than in a new one.
"""

import lt_lightning  # noqa: F401  # first: it makes torchvision importable

# isort: split
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from lt_lightning.allocator import keep_freed_memory
from speed.measure import Call, timed

WARM_UP, REPEATS = 2, 3


def in_a_process(name: str, kept: bool) -> Callable[[], float]:
    """CPU seconds of a call, the median of three, in a new process.

    Args:
        name: Of a call of :func:`main`.
        kept: Whether the process keeps the memory that it frees, as the command does.
    """

    def run() -> float:
        command = [sys.executable, "-m", "speed.alone", name, "kept" if kept else "plain"]
        done = subprocess.run(command, cwd=Path(__file__).parents[1], check=True, capture_output=True, text=True)
        return float(done.stdout)

    return run


def main(name: str, how: str) -> None:
    """Time a call."""
    from speed.measuring import contrasts
    from speed.training import batch, repeat, step, teacher

    torch.set_num_threads(1)
    if how == "kept":
        keep_freed_memory()
    calls: dict[str, Callable[[], Call]] = {
        "contrast": lambda: contrasts(8142)[0],
        "dense": lambda: contrasts(8142)[1],
        "large batch": lambda: step(teacher(), batch(512)),
        "four batches": lambda: repeat(step(teacher(), batch()), 4),
    }
    call, times = calls[name](), list[float]()
    for _ in range(WARM_UP + REPEATS):
        times.append(timed(call)[0])
    print(statistics.median(times[WARM_UP:]))


if __name__ == "__main__":
    main(*sys.argv[1:])
