"""Class priors, as SADE and MCE compute them.

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
