"""Parts of a set in which each class keeps its share.

Which image goes where follows from its path and a seed alone, whatever the machine and the order of files.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lt_lightning.data.base import Split


def stratified_split(
    paths: Sequence[str], target: NDArray[np.integer], fractions: dict[Split, float], seed: int = 0
) -> dict[Split, NDArray[np.int64]]:
    """Hold out parts of a set; what is left is ``train``.

    Of a class of n images a part has ``round(fraction * n)`` and at least one, but training keeps at least one: a class
    of one image is in training alone, one of two in the first of the parts as well.

    Args:
        paths: Of the images, N of them, each another.
        target: Their classes, ``(N,)``.
        fractions: Of each part that is held out, in the order in which small classes serve them.
        seed: Another one holds out other images.

    Returns:
        Indices of each part and of ``train``, ascending.

    Raises:
        ValueError: Fractions are negative or leave nothing for training.
    """
    if min(fractions.values(), default=0) < 0 or sum(fractions.values()) >= 1:
        raise ValueError(f"held-out fractions must not be negative and leave something for training, got {fractions}")
    drawn = [hashlib.sha256(f"{seed}:{path}".encode("utf-8", "surrogateescape")).digest() for path in paths]
    parts: dict[Split, list[int]] = {"train": [], **{part: [] for part in fractions}}
    by_class = np.split(np.argsort(target, kind="stable"), np.cumsum(np.bincount(target))[:-1]) if len(target) else []
    for members in by_class:
        left = sorted(members.tolist(), key=lambda i: drawn[i])
        for part, fraction in fractions.items():
            size = min(max(1, round(fraction * len(members))) if fraction else 0, len(left) - 1) if left else 0
            parts[part] += left[:size]
            left = left[size:]
        parts["train"] += left
    return {part: np.array(sorted(chosen), dtype=np.int64) for part, chosen in parts.items()}
