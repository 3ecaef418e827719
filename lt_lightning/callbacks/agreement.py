"""How often students say what their teacher says."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from lt_lightning.callbacks.distillation import DistillationTargets
from lt_lightning.callbacks.measurement import measuring_device
from lt_lightning.data.base import Batch, LongTailDataModule
from lt_lightning.metrics import Agreement


class TeacherAgreement(Callback):
    """Logs ``val/agreement``, ``val/agreement_few``, ``val/expert1/agreement``, ... while students are trained.

    It is the share of validation images on which the class of the largest logit is the teacher's. The teacher sees them
    once: they are the same in each epoch, and so is what it says.

    Args:
        targets: Which holds the teacher when fitting has started.
    """

    def __init__(self, targets: DistillationTargets) -> None:
        self.targets = targets
        self.said: list[Tensor] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget what another teacher said."""
        self.said = []

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to measure."""
        data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
        members = len(pl_module.losses) if len(pl_module.losses) > 1 else 0  # type: ignore[arg-type]
        counts = torch.tensor(data.class_counts)
        self.metric = Agreement(counts, data.many, data.few, 1 + members).to(measuring_device(pl_module))

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int, *_: int
    ) -> None:
        """Add one batch."""
        if trainer.state.fn != TrainerFn.FITTING:  # what is not trained needs no teacher
            return
        if batch_idx == len(self.said):
            with torch.no_grad(), trainer.precision_plugin.forward_context():
                self.said.append(self.targets.teacher(batch["image"]).argmax(-1))
        combined: Tensor = pl_module.combine(outputs)  # type: ignore[operator]
        predictors = [combined, *outputs] if len(outputs) > 1 else [combined]
        predicted = torch.stack([logits.argmax(-1) for logits in predictors])
        device = self.metric.device
        self.metric.update(predicted.to(device), self.said[batch_idx].to(device), batch["target"].to(device))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log it."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        for split, found in self.metric.compute().items():
            shares, suffix = found.reshape(-1), "" if split == "all" else f"_{split}"  # torchmetrics squeezes one
            names = ["val/agreement", *(f"val/expert{m}/agreement" for m in range(1, len(shares)))]
            pl_module.log_dict({f"{name}{suffix}": float(share) for name, share in zip(names, shares, strict=True)})
