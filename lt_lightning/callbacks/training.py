"""What a training epoch is logged as, without making the device wait."""

import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lt_lightning.data.base import Batch


class TrainingLog(Callback):
    """Logs, once an epoch, the mean of what training steps return, the learning rate and the speed.

    Sums stay on the device until the epoch ends; ``self.log`` in a step would cost up to a millisecond each.
    """

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start anew."""
        self._sums: dict[str, Tensor] = {}
        self._steps = self._images = 0
        self._start = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: dict[str, Tensor],  # type: ignore[override]
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Add one step."""
        if not self._sums:
            self._sums = {name: torch.zeros_like(value, dtype=torch.float32) for name, value in outputs.items()}
        for name, value in outputs.items():
            self._sums[name] += value.detach()
        self._steps += 1
        self._images += len(batch["image"])

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the epoch."""
        seconds = time.perf_counter() - self._start
        values: dict[str, Any] = {f"train/{name}": total / self._steps for name, total in self._sums.items()}
        values["train/lr"] = trainer.optimizers[0].param_groups[0]["lr"]
        values["train/img_per_s"] = self._images * trainer.world_size / seconds
        pl_module.log_dict(values)
