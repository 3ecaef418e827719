"""A moving average of the weights is what is measured and kept.

- [Polyak & Juditsky, 1992] Acceleration of Stochastic Approximation by Averaging. https://doi.org/10.1137/0330046
"""

from itertools import chain

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor, nn

from lt_lightning.data.base import Batch


class EMA(WeightAveraging):
    """Exponential moving average of weights and running means [Polyak & Juditsky, 1992], which validation sees.

    Checkpoints have it in the place of the weights, and these beside it, so that a run goes on from them. After t steps
    it keeps ``min(decay, (1 + t) / (10 + t))`` of itself: it remembers about the last ninth of a short run, and never
    the weights that the run began with, as Lightning's ``EMAWeightAveraging`` does. It lies on the model's device.

    Args:
        decay: What it keeps of itself in a step; so it remembers about 1 / (1 - decay) of them.

    Raises:
        ValueError: ``decay`` is not in [0, 1).
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay must lie in [0, 1), got {decay}")
        super().__init__()
        self.decay = decay

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Follow the weights to their device, where they were not yet when the average was made of them."""
        assert self._average_model is not None
        self._average, self._average_counts = _tensors(self._average_model.module.to(pl_module.device))
        self._current, self._current_counts = _tensors(pl_module)

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: STEP_OUTPUT, batch: Batch, batch_idx: int
    ) -> None:
        """Move the average, after each step of the optimiser."""
        steps = self._latest_update_step
        if trainer.global_step == steps:  # gradients of several batches are being added up
            return
        decay = min(self.decay, (1 + steps) / (10 + steps))
        torch._foreach_lerp_(self._average, self._current, 1 - decay)
        if self._current_counts:
            torch._foreach_copy_(self._average_counts, self._current_counts)
        self._latest_update_step = trainer.global_step


def _tensors(module: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Those that have an average, and numbers of batches and labels, which have none."""
    tensors = [tensor.detach() for tensor in chain(module.parameters(), module.buffers())]
    return [t for t in tensors if t.is_floating_point()], [t for t in tensors if not t.is_floating_point()]
