"""How sure a difference between two methods is, given that both saw the same images.

- [Efron, 1979] Bootstrap Methods: Another Look at the Jackknife. https://doi.org/10.1214/aos/1176344552
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SAMPLES = 10_000
"""Sets of images, and of seeds, that are drawn."""
LEVEL = 0.95
NUMBERS = 10_000_000
"""Numbers that are drawn at once: 80 MB."""


class Interval(NamedTuple):
    """A difference and the interval that holds it with a probability of 95 %."""

    difference: float
    low: float
    high: float


def paired_interval(
    reference: NDArray[np.bool_], other: NDArray[np.bool_], weight: NDArray[np.float64], samples: int = SAMPLES
) -> Interval:
    """Difference in accuracy between two methods, with the 95 % interval of a paired bootstrap [Efron, 1979].

    Images are drawn with replacement, the same for both methods and all their runs: what is easy is easy for both, and
    cancels. Of each method, its runs are drawn with replacement, too, independently of the other's: they differ by
    seeds, which nothing pairs. With a single run a method the interval says nothing of what another seed would do; with
    few, it understates it.

    Images on which all runs do alike are alike, so how many of each kind are drawn is one multinomial number.

    Args:
        reference: Whether each run of the reference is right, ``(R, N)``.
        other: The same of the other method on the same images, ``(S, N)``.
        weight: What each image counts, ``(N,)``.
        samples: Draws.

    Returns:
        The other's accuracy minus that of the reference, in [-1, 1].
    """
    runs, split = np.concatenate([reference, other]), len(reference)
    kinds, number = np.unique(np.vstack([weight, runs]), axis=1, return_counts=True)
    weights, right = kinds[0], kinds[1:]  # (K,), (R + S, K)
    generator = np.random.default_rng(0)
    parts = []
    for size in _sizes(samples, max(1, NUMBERS // len(number))):
        drawn = generator.multinomial(number.sum(), number / number.sum(), size=size) * weights  # (size, K)
        parts.append(drawn @ right.T / drawn.sum(1, keepdims=True))
    accuracy = np.concatenate(parts)  # (samples, R + S)
    differences = _of_drawn_runs(accuracy[:, split:], generator) - _of_drawn_runs(accuracy[:, :split], generator)
    means = runs @ weight / weight.sum()
    low, high = np.quantile(differences, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(means[split:].mean() - means[:split].mean()), float(low), float(high))


def _sizes(total: int, most: int) -> list[int]:
    return [min(most, total - start) for start in range(0, total, most)]


def _of_drawn_runs(accuracy: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
    """Mean ``(samples,)`` over runs drawn with replacement, of ``(samples, runs)``."""
    runs = accuracy.shape[1]
    drawn = generator.multinomial(runs, [1 / runs] * runs, size=len(accuracy))
    mean: NDArray[np.float64] = (drawn * accuracy).mean(1)
    return mean
