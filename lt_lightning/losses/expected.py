"""Losses that are known for each class an image might have, so that a target may be one class or a mixture."""

from torch import Tensor
from torch.nn import functional as F

from lt_lightning.losses.base import LongTailLoss


class ExpectedLoss(LongTailLoss):
    """The expectation, under an image's target, of a loss that is given for each class.

    A mixture, as mixup makes, costs what its classes cost, weighed by their shares. Class weights give the weighted
    mean of ``torch.nn.functional.cross_entropy``; with mixtures too it is divided by the sum of the weights of what was
    averaged (where torch divides by the number of images), so that a class and its one-hot row cost the same.

    Args:
        class_counts: Training images of each class, ``(C,)``.
    """

    def each_class(self, logits: Tensor) -> Tensor:
        """Loss in nats ``(B, C)`` of each image, were it of each class, of float32 logits ``(B, C)``."""
        raise NotImplementedError

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean loss in nats of logits ``(B, C)`` against classes ``(B,)`` or class probabilities ``(B, C)``."""
        losses = self.each_class(logits.float() + self.offset)
        if not target.is_floating_point():
            return F.nll_loss(-losses, target, self.class_weight)
        share = target if self.class_weight is None else target * self.class_weight
        return (share * losses).sum() / share.sum()
