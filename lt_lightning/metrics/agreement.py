"""How often students predict what their teacher predicts."""

import torch
from torch import Tensor
from torchmetrics import Metric

from lt_lightning.metrics.diversity import split_means, sum_by_class
from lt_lightning.metrics.split_accuracy import shot_groups


class Agreement(Metric):
    """Share of images on which predictors say what another one says, of all images and by shot group.

    States are sums a class, so any division into batches or processes gives the same result.

    Args:
        class_counts: Training images of each class, ``(C,)``.
        many: A class with more training images than this is many-shot.
        few: A class with fewer training images than this is few-shot.
        num_predictors: Predictors P.
    """

    full_state_update = False
    agreed: Tensor
    total: Tensor

    def __init__(self, class_counts: Tensor, many: int = 100, few: int = 20, num_predictors: int = 1) -> None:
        super().__init__()
        self.groups = shot_groups(class_counts, many, few)
        agreed = torch.zeros(num_predictors, len(class_counts), dtype=torch.float64)
        self.add_state("agreed", agreed, dist_reduce_fx="sum")
        self.add_state("total", torch.zeros(len(class_counts), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predicted: Tensor, reference: Tensor, target: Tensor) -> None:
        """Add a batch.

        Args:
            predicted: Classes that each predictor says, ``(P, B)``.
            reference: Classes that the other one says, ``(B,)``.
            target: Classes that the images are of, ``(B,)``.
        """
        self.agreed += sum_by_class((predicted == reference).double(), target, len(self.total))
        self.total.index_add_(0, target, torch.ones_like(target))

    def compute(self) -> dict[str, Tensor]:
        """Shares ``(P,)`` by split, as :func:`~lt_lightning.metrics.diversity.split_means` names them."""
        return split_means(self.agreed, self.total, self.groups)
