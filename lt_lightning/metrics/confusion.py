"""Which classes are taken for which others."""

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat


class ConfusedPairs(Metric):
    """How many images of each class were predicted as each class, for pairs that occur.

    The state is one number an image, so it grows with the images and never with the square of the number of classes;
    any division into batches or processes gives the same result.

    Args:
        num_classes: Classes C.
    """

    full_state_update = False
    pairs: list[Tensor]

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.add_state("pairs", [], dist_reduce_fx="cat")

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Add logits ``(B, C)`` of images of classes ``(B,)``."""
        self.pairs.append(target * self.num_classes + logits.argmax(-1))

    def compute(self) -> Tensor:
        """Rows ``(P, 3)``, int64: class, predicted class and number of images, in the order of the classes."""
        pairs, images = dim_zero_cat(self.pairs).unique(return_counts=True)  # type: ignore[no-untyped-call]
        return torch.stack([pairs // self.num_classes, pairs % self.num_classes, images], 1)
