"""How long a tail is.

The Gini coefficient as a measure of long-tailedness: [Yang et al., 2022], https://arxiv.org/abs/2205.13775.
"""

from collections.abc import Sequence

GROUPS = ("many", "medium", "few")
"""Groups of classes by their training images."""


def group(count: int, many: int, few: int) -> str:
    """The group of a class: ``many`` above one threshold, ``few`` below the other, ``medium`` between."""
    return "many" if count > many else "few" if count < few else "medium"


def imbalance_factor(counts: Sequence[int]) -> float:
    """Largest count over the smallest of those that are not 0; 1 if all are."""
    present = [count for count in counts if count]
    return max(present) / min(present) if present else 1.0


def gini(counts: Sequence[int]) -> float:
    r"""Gini coefficient of counts.

    With the C counts in ascending order, :math:`n_1 \le \dots \le n_C`, it is

    .. math:: G = \frac{2 \sum_i i\, n_i}{C \sum_i n_i} - \frac{C + 1}{C},

    which is half the mean absolute difference of two counts over their mean: 0 if all are equal, (C - 1) / C if one
    class has everything. It is 0 if nobody has anything.
    """
    total, size = sum(counts), len(counts)
    if not total:
        return 0.0
    return 2 * sum(i * count for i, count in enumerate(sorted(counts), start=1)) / (size * total) - (size + 1) / size
