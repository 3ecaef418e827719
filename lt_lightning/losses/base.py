"""What every loss for long-tailed classification is."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class LongTailLoss(nn.Module):
    """A classification loss that knows the training counts.

    Args:
        class_counts: Training images of each class, ``(C,)``.

    Attributes:
        offset: ``(C,)``; ``logits + offset`` estimates the log-posterior under the *training* prior, up to a constant.
            Zero for a loss that leaves the logits as they are. Not stored in checkpoints.
        class_weight: ``(C,)``, weight of each class's images; None weighs all alike. Not stored in checkpoints.
    """

    is_exact = False
    """Whether ``logits + offset`` is exactly that estimate, as where the loss is their plain cross-entropy."""
    offset: Tensor
    class_weight: Tensor | None

    def __init__(self, class_counts: Tensor) -> None:
        super().__init__()
        self.register_buffer("offset", torch.zeros(len(class_counts)), persistent=False)
        self.register_buffer("class_weight", None, persistent=False)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean loss in nats of logits ``(B, C)`` against classes ``(B,)`` or class probabilities ``(B, C)``."""
        raise NotImplementedError


LossFactory = Callable[[Tensor], LongTailLoss]
"""Builds a loss from class counts ``(C,)``; in YAML, the name of a loss with its own arguments."""
