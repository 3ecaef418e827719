"""What experts owe each other: terms on the logits of all of them at once."""

from collections.abc import Callable

from torch import Tensor, nn

from lt_lightning.losses.distillation import kl_divergence


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


def mutual_divergence(expert_logits: Tensor) -> Tensor:
    """Sum over ordered pairs of experts of KL(softmax(z_i) || softmax(z_j)) in nats, mean over images.

    Gradients flow to both sides; a single expert gives 0.

    Args:
        expert_logits: z, ``(E, B, C)``.
    """
    logits = expert_logits.float()  # once for all pairs: their gradients are added up before they are rounded
    pairs = (len(logits), *logits.shape)
    return len(logits) ** 2 * kl_divergence(logits.unsqueeze(1).expand(pairs), logits.expand(pairs))
