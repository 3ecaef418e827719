"""What experts owe each other: terms on the logits of all of them at once."""

from collections.abc import Callable

from torch import Tensor, nn


class EnsembleTerm(nn.Module):
    """A loss of several experts together, beside each one's own.

    Args:
        class_counts: Training images of each class, ``(C,)``.
    """

    def __init__(self, class_counts: Tensor) -> None:
        super().__init__()

    def forward(self, expert_logits: Tensor, offset: Tensor, target: Tensor) -> Tensor:
        """Loss in nats, a mean over images.

        Args:
            expert_logits: Raw logits, ``(E, B, C)``.
            offset: Offsets of the experts' own losses, ``(E, C)``.
            target: Classes ``(B,)``, or class probabilities ``(B, C)``.
        """
        raise NotImplementedError


TermFactory = Callable[[Tensor], EnsembleTerm]
"""Builds a term from class counts ``(C,)``; in YAML, the name of a term with its own arguments."""
