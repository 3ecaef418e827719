"""A moving average of the weights is what is measured and kept.

- [Polyak & Juditsky, 1992] Acceleration of Stochastic Approximation by Averaging. https://doi.org/10.1137/0330046
"""

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

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
        self._average_model.module.to(pl_module.device)
        self._average, self._current = self._kept(pl_module)

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
        self._latest_update_step = trainer.global_step

    def _kept(self, module: LightningModule) -> tuple[list[Tensor], list[Tensor]]:
        """Of the average and of the module what checkpoints keep, but for numbers of batches and labels."""
        assert self._average_model is not None
        now = module.state_dict()  # schedules may have given the module further buffers, which no checkpoint keeps
        pairs = [(value, now[name]) for name, value in self._average_model.module.state_dict().items()]
        average, current = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
        return list(average), list(current)

    def _swap_models(self, pl_module: LightningModule) -> None:
        average, current = self._kept(pl_module)
        before = [value.clone() for value in average]
        torch._foreach_copy_(average, current)
        torch._foreach_copy_(current, before)

    def _copy_average_to_current(self, pl_module: LightningModule) -> None:
        average, current = self._kept(pl_module)
        torch._foreach_copy_(current, average)
