"""Measures, in validation, by which temperature the model's logits should be divided."""

import json
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from lt_lightning.calibration import beside
from lt_lightning.callbacks.measurement import measuring_device
from lt_lightning.checkpoints import read_facts
from lt_lightning.data.base import Batch, LongTailDataModule
from lt_lightning.metrics.temperature import BestTemperature
from lt_lightning.whole_files import write_whole


class Calibration(Callback):
    """Logs ``val/temperature`` and ``val/nll_calibrated``, and keeps the temperature in checkpoints.

    Two are measured: of what the model predicts, and of its logits that carry a uniform prior, to which the prior of
    the validation images is added. The latter serves predictions that are corrected for a known prior. After
    ``lt validate`` they are written beside the checkpoint's run, as ``best.temperature.json``.
    """

    def __init__(self) -> None:
        self.measured: dict[str, Any] = {}

    def state_dict(self) -> dict[str, Any]:
        """What was measured last, and after which step."""
        return self.measured

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.measured = dict(state_dict)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to measure."""
        data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
        target: Tensor = torch.as_tensor(data.dataset("val").target)  # type: ignore[attr-defined]
        counts = target.bincount(minlength=len(data.class_counts))
        log_prior = (counts / counts.sum()).log()  # that of a class without images is never asked for
        self.device = measuring_device(pl_module)
        self.plain, self.balanced = BestTemperature().to(self.device), BestTemperature(log_prior).to(self.device)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *_: int
    ) -> None:
        """Add one batch."""
        target = batch["target"].to(self.device)
        self.plain.update(pl_module.combine(outputs).to(self.device), target)  # type: ignore[operator]
        self.balanced.update(pl_module.balance(outputs).to(self.device), target)  # type: ignore[operator]

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log, and keep what was measured for the checkpoints that are written next."""
        data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
        figures, balanced = self.plain.compute(), self.balanced.compute()
        pl_module.log_dict({f"val/{name}": value.float() for name, value in figures.items()})
        if trainer.sanity_checking:
            return
        of_checkpoint = trainer.state.fn == TrainerFn.VALIDATING and trainer.ckpt_path is not None
        self.measured = {
            "temperature": float(figures["temperature"]),
            "temperature_balanced": float(balanced["temperature"]),
            "measured_on": "test" if data.selected_on_test else "validation",
            "step": read_facts(str(trainer.ckpt_path))["global_step"] if of_checkpoint else trainer.global_step,
        }
        if of_checkpoint and trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            write_whole(
                Path(trainer.default_root_dir) / beside(str(trainer.ckpt_path)), json.dumps(self.measured) + "\n"
            )
