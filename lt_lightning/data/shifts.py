"""Parts of a balanced test set whose class priors follow the training set's, or turn it round.

- [Zhang et al., 2022] SADE: test-agnostic evaluation. https://arxiv.org/abs/2107.09249
"""

import numpy as np
from numpy.typing import NDArray

from lt_lightning.data.counts import exponential_counts, select_long_tail

STRENGTHS = (2, 5, 10, 25, 50)


def shifted_parts(target: NDArray[np.int64], class_counts: list[int]) -> dict[str, NDArray[np.int64]]:
    """Draw ``forward50``, ..., ``uniform``, ..., ``backward50`` [Zhang et al., 2022].

    Classes are ranked by training images, equal ones in label order; from the first to the last rank counts fall
    (forward) or rise (backward) exponentially by the strength. Images are chosen by the rule of CIFAR-LT's training
    sets with seed 0. A strength that would leave a class without an image is left out.

    Args:
        target: Classes of the test images, ``(N,)``.
        class_counts: Training images of each class, C of them.

    Returns:
        Indices into ``target`` of each part, by name.
    """
    available = np.bincount(target, minlength=len(class_counts))
    largest = int(available.min())
    rank = np.argsort(np.argsort(-np.asarray(class_counts), kind="stable"), kind="stable")
    counts = {"uniform": [largest] * len(class_counts)} if largest else {}
    for strength in (s for s in STRENGTHS if s <= largest):
        falling = exponential_counts(largest, len(class_counts), strength)
        counts[f"forward{strength}"] = [falling[r] for r in rank]
        counts[f"backward{strength}"] = [falling[::-1][r] for r in rank]
    return {name: select_long_tail(target, kept) for name, kept in counts.items()}
