"""Losses that ask more of rare classes.

- [Cao et al., 2019] Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss (LDAM).
  https://arxiv.org/abs/1906.07413
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from lt_lightning.losses.expected import ExpectedLoss


def others(logits: Tensor) -> Tensor:
    """Logarithm of the summed exponentials of all classes but one, for each one, ``(B, C)``, of logits ``(B, C)``.

    Exact to the precision of the logits where one class has nearly all probability, too: the sum without the largest
    is taken anew, and of any other class at most half the sum is taken away.
    """
    largest = logits.argmax(-1, keepdim=True)
    without_largest = logits.scatter(-1, largest, -math.inf).logsumexp(-1, keepdim=True)
    taken = logits.softmax(-1).scatter(-1, largest, 0.0)
    rest = logits.logsumexp(-1, keepdim=True) + torch.log1p(-taken)
    return rest.scatter(-1, largest, without_largest)


class LDAM(ExpectedLoss):
    """Cross-entropy after an image's class has lost a margin of cosine that grows as ``n^(-1/4)`` [Cao et al., 2019].

    For the cosine classifier, whose logits are ``scale * cosine``: the logit loses ``scale * margin``. LDAM-DRW is this
    loss with the callback ``DeferredReweighting``. The raw logits keep the training prior, so its ``offset`` is zero: a
    margin is a demand in training, not an estimate of the prior. Of a mixture, as mixup makes, each class gets its own
    margin.

    Args:
        class_counts: Training images of each class, ``(C,)``; a class without images has the margin of one image.
        max_margin: Margin of the rarest class, in cosine.
        scale: Scale of the classifier.

    Raises:
        ValueError: ``max_margin`` is negative, or ``scale`` is not positive.
    """

    margin: Tensor

    def __init__(self, class_counts: Tensor, max_margin: float = 0.5, scale: float = 30.0) -> None:
        super().__init__(class_counts)
        if not (0 <= max_margin < math.inf and 0 < scale < math.inf):
            raise ValueError(f"max_margin must be at least 0 and scale positive, got {max_margin} and {scale}")
        relative = class_counts.clamp(min=1) ** -0.25
        self.register_buffer("margin", scale * max_margin * relative / relative.max(), persistent=False)

    def each_class(self, logits: Tensor) -> Tensor:
        """``log(1 + sum_{j != c} exp(z_j - z_c + margin_c))``, ``(B, C)``, of float32 logits z ``(B, C)``."""
        return F.softplus(others(logits) - logits + self.margin)
