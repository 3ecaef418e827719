"""A loss or a gradient that is not finite never reaches the weights."""

import math
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from lt_lightning.callbacks.training import TrainingLog
from lt_lightning.callbacks.watchdog import PATIENCE
from lt_lightning.checkpoint_io import write_checkpoint
from lt_lightning.data.base import Batch, LongTailDataModule
from lt_lightning.errors import LtError

DIVERGED = "diverged.ckpt"
"""The step that failed, ready to be taken again."""
SKIPS = 16
"""Steps in a row that the loss scaling of 16-mixed may skip: from 65,536 it is at 1 by then."""


class Finite(Callback):
    """Ends a run before an update by a loss or a gradient that is not finite; the checkpoints keep their weights.

    The weights before that update, the optimiser's state and the names of the images go to ``diverged.ckpt``. As all
    that is random follows from the step, ``lt fit --ckpt_path RUN/diverged.ckpt`` meets the same loss at once: to look
    into it. To go on, take ``last.ckpt``: running means of normalisation layers have seen the step that failed.

    The device has to answer once a step for this. The norm of all gradients, before they are clipped, is at hand here,
    and is logged as ``train/grad_norm``; updates that loss scaling skips have none.

    Args:
        log: Where it is added up.
    """

    def __init__(self, log: TrainingLog) -> None:
        self._training = log
        self._loss: Tensor | float = 0.0
        self._skips = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look for the parameters once: it takes as long as the rest of what is done here each step."""
        self._parameters = [*pl_module.parameters()]

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Remember which images they are."""
        self._index = batch["index"]

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Remember the loss, on its device."""
        self._loss = self._loss + loss.detach()

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Look at the sum of losses, and at gradients, which all processes have in common: they agree.

        Raises:
            LtError: They are not finite.
        """
        loss, self._loss = trainer.strategy.reduce(self._loss, reduce_op="sum"), 0.0
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        norm = get_total_norm(gradients)
        if math.isfinite(norm + loss):
            self._skips = 0
            self._training.add("grad_norm", norm)
            return
        self._skips += 1
        scaler: torch.amp.GradScaler | None = getattr(trainer.precision_plugin, "scaler", None)
        if scaler is None or self._skips > SKIPS:  # else it skips this update itself, and scales by less
            raise self._refusal(trainer, pl_module, float(loss))

    def _refusal(self, trainer: Trainer, pl_module: LightningModule, loss: float) -> LtError:
        data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
        file = Path(trainer.default_root_dir) / DIVERGED
        names = [data.image_name("train", i) for i in self._index.tolist()]
        if trainer.is_global_zero:  # alone: trainer.save_checkpoint would gather what others may not have any more
            state: dict[str, Any] = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
            write_checkpoint(state | {"lt_images": names}, file)
        bad = (name for name, p in pl_module.named_parameters() if p.grad is not None and not p.grad.isfinite().all())
        gradient = next((f"the gradient of {name} is not finite" for name in bad), "gradients are finite one by one")
        what = f"the loss is {loss:.4g}, {gradient}; nothing was updated"
        trainer.strategy.barrier("diverged")
        if not trainer.is_global_zero:
            time.sleep(PATIENCE)  # the first process says it, and ends the others
        shown = ", ".join(names[:3])
        where = f"step {trainer.global_step} of epoch {trainer.current_epoch}, images {shown}, ...: {file}"
        fix = "lower --optimizer.lr or set --trainer.gradient_clip_val 1; the checkpoints before are finite"
        return LtError(what, where, fix)
