"""What measures validation and test alike."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lt_lightning.data.base import Batch


class Measurement(Callback, ABC):
    """Measures expert logits in validation and in test, one epoch at a time."""

    @abstractmethod
    def start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to measure."""

    @abstractmethod
    def update(self, pl_module: LightningModule, expert_logits: Tensor, batch: Batch) -> None:
        """Add one batch, of logits ``(E, B, C)``."""

    @abstractmethod
    def finish(self, pl_module: LightningModule, split: str) -> None:
        """Log, or keep, what was measured of ``val`` or ``test``."""

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to measure."""
        self.start(trainer, pl_module)

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to measure."""
        self.start(trainer, pl_module)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *_: int
    ) -> None:
        """Add one batch."""
        self.update(pl_module, outputs, batch)

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *_: int
    ) -> None:
        """Add one batch."""
        self.update(pl_module, outputs, batch)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log, or keep, what was measured."""
        self.finish(pl_module, "val")

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log, or keep, what was measured."""
        self.finish(pl_module, "test")


def measuring_device(pl_module: LightningModule) -> torch.device:
    """Where figures are summed up: on the model's device, but for mps, which has no float64."""
    return torch.device("cpu") if pl_module.device.type == "mps" else pl_module.device
