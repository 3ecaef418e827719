"""Whether a model is right as often as it says.

- [Guo et al., 2017] On Calibration of Modern Neural Networks. https://arxiv.org/abs/1706.04599
"""

import torch
from torch import Tensor
from torchmetrics import Metric

from lt_lightning.metrics.split_accuracy import shot_groups

NUM_BINS = 15
"""Bins of confidence, each as wide as the others; the last one holds confidence 1, too."""


def place_in_bins(logits: Tensor, num_bins: int) -> tuple[Tensor, Tensor, Tensor]:
    """Confidence ``(B,)`` in float64, predicted classes ``(B,)`` and bins of confidence ``(B,)``, of ``(B, C)``."""
    confidence, predicted = logits.double().softmax(-1).max(-1)
    # where confidence is NaN, any bin will do: so is the error
    return confidence, predicted, (confidence * num_bins).long().clamp(0, num_bins - 1)


class CalibrationError(Metric):
    """Expected calibration error: how far confidence is from accuracy, over bins of confidence [Guo et al., 2017].

    Bins have equal width, and the last one holds confidence 1, too, which torchmetrics gives a bin of its own. States
    are sums a bin, so any division into batches or processes gives the same result.

    Args:
        num_bins: Bins.
    """

    full_state_update = False
    count: Tensor
    surplus: Tensor

    def __init__(self, num_bins: int = NUM_BINS) -> None:
        super().__init__()
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("surplus", torch.zeros(num_bins, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Add logits ``(B, C)`` of images of classes ``(B,)``."""
        confidence, predicted, place = place_in_bins(logits, len(self.surplus))
        self.surplus.index_add_(0, place, confidence - (predicted == target).double())
        self.count += len(target)

    def compute(self) -> Tensor:
        """Sum over bins of their share of images times ``|mean confidence - accuracy|``, in [0, 1]."""
        return self.surplus.abs().sum() / self.count


class Reliability(Metric):
    """Images, confidence and accuracy of each bin of confidence, by shot group of the images' classes.

    States are sums a bin, so any division into batches or processes gives the same result.

    Args:
        class_counts: Training images of each class, ``(C,)``.
        many: A class with more training images than this is many-shot.
        few: A class with fewer training images than this is few-shot.
        num_bins: Bins.
    """

    full_state_update = False
    group_of: Tensor
    sums: Tensor

    def __init__(self, class_counts: Tensor, many: int = 100, few: int = 20, num_bins: int = NUM_BINS) -> None:
        super().__init__()
        groups = shot_groups(class_counts, many, few)
        self.names, self.num_bins = list(groups), num_bins
        self.register_buffer("group_of", torch.stack(list(groups.values())).int().argmax(0), persistent=False)
        sums = torch.zeros(3, len(groups) * num_bins, dtype=torch.float64)
        self.add_state("sums", sums, dist_reduce_fx="sum")

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Add logits ``(B, C)`` of images of classes ``(B,)``."""
        confidence, predicted, place = place_in_bins(logits, self.num_bins)
        values = torch.stack([torch.ones_like(confidence), confidence, (predicted == target).double()])
        self.sums.index_add_(1, self.group_of[target] * self.num_bins + place, values)

    def compute(self) -> dict[str, Tensor]:
        """Sums over ``all`` images and over those of each group: images, confidence, correct, ``(3, bins)``."""
        sums = self.sums.view(3, len(self.names), self.num_bins)
        return {"all": sums.sum(1), **dict(zip(self.names, sums.unbind(1), strict=True))}
