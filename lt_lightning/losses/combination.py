"""How the experts' logits become one prediction.

- [Aimar et al., 2023] Balanced Product of Calibrated Experts (BalPoE). https://arxiv.org/abs/2206.05260
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lt_lightning.losses.priors import log_prior


class MeanLogits(nn.Module):
    """The mean of raw logits: the normalised geometric mean of the experts' probabilities.

    Args:
        class_counts: Training images of each class, ``(C,)``.
    """

    def __init__(self, class_counts: Tensor) -> None:
        super().__init__()

    def members(self, expert_logits: Tensor, offset: Tensor) -> Tensor:
        """The logits ``(E, B, C)`` that are averaged, of experts trained with ``offset`` ``(E, C)``, in float32."""
        return expert_logits.float()

    def forward(self, expert_logits: Tensor, offset: Tensor) -> Tensor:
        """Combine logits ``(E, B, C)`` of experts trained with ``offset`` ``(E, C)`` to ``(B, C)``."""
        return self.members(expert_logits, offset).mean(0)


class PriorCorrected(MeanLogits):
    """Mean logits, corrected for a known prior of the test set [Aimar et al., 2023].

    The experts' mean raw logit carries the prior ``log pi - mean_e b_e``; this takes it away and adds ``test_prior``.

    Args:
        class_counts: Training images of each class, ``(C,)``.
        test_prior: Weight of each class in the test set, C positive numbers; uniform by default.
    """

    correction: Tensor

    def __init__(self, class_counts: Tensor, test_prior: list[float] | None = None) -> None:
        super().__init__(class_counts)
        prior = torch.ones(len(class_counts)) if test_prior is None else torch.tensor(test_prior)
        if prior.shape != class_counts.shape or not ((prior > 0) & prior.isfinite()).all():
            raise ValueError(f"test_prior must be {len(class_counts)} positive numbers, got {test_prior}")
        self.register_buffer("correction", log_prior(prior) - log_prior(class_counts), persistent=False)

    def members(self, expert_logits: Tensor, offset: Tensor) -> Tensor:
        """The logits ``(E, B, C)`` that are averaged, of experts trained with ``offset`` ``(E, C)``, in float32."""
        return expert_logits.float() + offset.unsqueeze(1) + self.correction


class MeanProbabilities(MeanLogits):
    """The logarithm of the mean of the experts' probabilities.

    Args:
        class_counts: Training images of each class, ``(C,)``.
    """

    def forward(self, expert_logits: Tensor, offset: Tensor) -> Tensor:
        """Combine logits ``(E, B, C)`` of experts trained with ``offset`` ``(E, C)`` to ``(B, C)``."""
        log_probabilities = self.members(expert_logits, offset).log_softmax(-1)
        return log_probabilities.logsumexp(0) - math.log(len(expert_logits))


CombinationFactory = Callable[[Tensor], MeanLogits]
"""Builds a combination from class counts ``(C,)``."""
