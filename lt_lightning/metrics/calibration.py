"""Whether a model is right as often as it says.

- [Guo et al., 2017] On Calibration of Modern Neural Networks. https://arxiv.org/abs/1706.04599
"""

import torch
from torch import Tensor
from torchmetrics import Metric


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

    def __init__(self, num_bins: int = 15) -> None:
        super().__init__()
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("surplus", torch.zeros(num_bins, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Add logits ``(B, C)`` of images of classes ``(B,)``."""
        confidence, predicted = logits.double().softmax(-1).max(-1)
        # where confidence is NaN, any bin will do: so is the error
        place = (confidence * len(self.surplus)).long().clamp(0, len(self.surplus) - 1)
        self.surplus.index_add_(0, place, confidence - (predicted == target).double())
        self.count += len(target)

    def compute(self) -> Tensor:
        """Sum over bins of their share of images times ``|mean confidence - accuracy|``, in [0, 1]."""
        return self.surplus.abs().sum() / self.count
