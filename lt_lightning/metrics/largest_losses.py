"""The images that a model is most wrong about."""

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat


class LargestLosses(Metric):
    """The images of largest cross-entropy; of equal ones, the first.

    The state holds no more than these, and any division into batches or processes gives the same result.

    Args:
        num_images: How many.
    """

    full_state_update = False
    rows: list[Tensor]

    def __init__(self, num_images: int = 32) -> None:
        super().__init__()
        self.num_images = num_images
        self.add_state("rows", [], dist_reduce_fx="cat")

    def update(self, logits: Tensor, target: Tensor, index: Tensor) -> None:
        """Add logits ``(B, C)`` of images of classes ``(B,)`` at places ``(B,)`` of their split."""
        loss = F.cross_entropy(logits.double(), target, reduction="none")
        kept = self._largest(index, loss)
        confidence, predicted = logits[kept].double().softmax(-1).max(-1)
        columns = index[kept], target[kept], predicted, confidence, loss[kept]
        new = torch.stack([column.double() for column in columns], 1)  # exact, for whole numbers below 2^53
        rows = torch.cat([*self.rows, new])
        self.rows = [rows[self._largest(rows[:, 0], rows[:, 4])]]

    def compute(self) -> Tensor:
        """Rows ``(K, 5)``, float64: index, class, predicted class, its probability, loss in nats; K is at most that."""
        rows = dim_zero_cat(self.rows)
        return rows[self._largest(rows[:, 0], rows[:, 4])]

    def _largest(self, index: Tensor, loss: Tensor) -> Tensor:
        """Which images to keep, in order."""
        first = index.argsort()
        return first[loss[first].argsort(descending=True, stable=True)][: self.num_images]
