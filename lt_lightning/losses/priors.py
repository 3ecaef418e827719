"""What class counts say: priors, as SADE and MCE compute them, and weights.

- [Cui et al., 2019] Class-Balanced Loss Based on Effective Number of Samples. https://arxiv.org/abs/1901.05555
- [Zhang et al., 2022] Self-Supervised Aggregation of Diverse Experts for Test-Agnostic Long-Tailed Recognition (SADE).
  https://arxiv.org/abs/2107.09249
"""

import torch
from torch import Tensor

EPS = 1e-9  # keeps the logarithm of an empty class finite


def log_prior(class_counts: Tensor) -> Tensor:
    """Logarithm of the training prior, ``(C,)``, from training counts ``(C,)``."""
    return (class_counts / class_counts.sum() + EPS).log()


def log_reversed_prior(class_counts: Tensor) -> Tensor:
    """Logarithm of the prior whose order is reversed: the class of rank r gets the prior of rank C-1-r.

    Ties keep the order of the classes, so the result is the same on every machine.

    Args:
        class_counts: Training counts, ``(C,)``.
    """
    order = torch.argsort(class_counts, stable=True)
    reversed_counts = torch.empty_like(class_counts)
    reversed_counts[order] = class_counts[order.flip(0)]
    return log_prior(reversed_counts)


def effective_number_weights(class_counts: Tensor, beta: float) -> Tensor:
    """Weights ``(1 - beta) / (1 - beta^n)`` of classes, ``(C,)``, scaled to a sum of C [Cui et al., 2019].

    A class without images counts as one of a single image.

    Args:
        class_counts: Training counts, ``(C,)``.
        beta: From 0, where all weigh alike, to below 1, the inverse of the counts in the limit.

    Raises:
        ValueError: ``beta`` lies outside [0, 1).
    """
    if not 0 <= beta < 1:
        raise ValueError(f"beta must lie in [0, 1), got {beta}")
    seen = class_counts.double().clamp(min=1)
    weight = (1 - beta) / (1 - beta**seen)
    return (weight * len(weight) / weight.sum()).to(class_counts.dtype)
