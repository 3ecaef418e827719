"""Learning-rate schedules of the field that torch lacks: a linear warm-up, then cosine or steps.

The warm-up is that of LDAM-DRW [Cao et al., 2019], https://arxiv.org/abs/1906.07413: epoch t has rate lr (t+1) / w.
"""

import math
from bisect import bisect_right
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lt_lightning.errors import LtError


class WarmupCosine(LRScheduler):
    """Linear warm-up, then half a cosine down to zero.

    Args:
        optimizer: What it drives.
        epochs: Epochs of the run; the command sets it to ``trainer.max_epochs``.
        warmup: Epochs of warm-up.
        last_epoch: Epoch that the schedule stands at; -1 at the start.

    Raises:
        LtError: The number of epochs is not known, or the warm-up is negative.
    """

    def __init__(self, optimizer: Optimizer, epochs: int | None, warmup: int = 5, last_epoch: int = -1) -> None:
        if epochs is None or epochs < 1:
            raise LtError(f"this schedule needs the number of epochs, got {epochs}", "trainer.max_epochs", "set it")
        if warmup < 0:
            raise LtError(f"warmup must not be negative, got {warmup}", "lr_scheduler.warmup", "raise it; 0 is none")
        self.epochs, self.warmup = epochs, warmup
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Where the schedule stands; how long it is, the run that goes on decides."""
        return {name: value for name, value in super().state_dict().items() if name != "epochs"}

    def factor(self, epoch: int) -> float:
        """What the base rate is multiplied by after the warm-up."""
        return (1 + math.cos(math.pi * (epoch - self.warmup) / max(self.epochs - self.warmup, 1))) / 2

    def get_lr(self) -> list[float | Tensor]:
        """Rates of the parameter groups in this epoch."""
        epoch = self.last_epoch
        factor = (epoch + 1) / self.warmup if epoch < self.warmup else self.factor(epoch)
        return [base * factor for base in self.base_lrs]


class WarmupMultiStep(WarmupCosine):
    """Linear warm-up, then a constant rate that falls by ``gamma`` at each milestone.

    Args:
        optimizer: What it drives.
        milestones: Epochs at which the rate falls.
        gamma: Factor by which it falls.
        epochs: Epochs of the run; not used.
        warmup: Epochs of warm-up.
        last_epoch: Epoch that the schedule stands at; -1 at the start.

    Raises:
        LtError: Milestones are negative or not in order, ``gamma`` is not positive, or the warm-up is negative.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: list[int],
        gamma: float = 0.1,
        epochs: int | None = None,
        warmup: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if milestones != sorted(milestones) or min(milestones, default=0) < 0:
            what = f"milestones must be epochs in rising order, got {milestones}"
            raise LtError(what, "lr_scheduler.milestones", "sort them")
        if gamma <= 0:
            raise LtError(f"gamma must be positive, got {gamma}", "lr_scheduler.gamma", "0.1 is usual")
        self.milestones, self.gamma = milestones, gamma
        super().__init__(optimizer, max(epochs or 1, 1), warmup, last_epoch)

    def factor(self, epoch: int) -> float:
        """What the base rate is multiplied by after the warm-up."""
        return self.gamma ** bisect_right(self.milestones, epoch)
