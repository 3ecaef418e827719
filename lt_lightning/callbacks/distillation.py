"""A frozen teacher's targets for the images that students see."""

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lt_lightning.checkpoints import load_module
from lt_lightning.data.base import Batch, LongTailDataModule


class DistillationTargets(Callback):
    """Adds a teacher's logits ``(B, C)``, and the offset ``(C,)`` of its loss, to each training batch.

    The teacher is loaded when fitting starts. It is in evaluation mode, takes no gradient, and is part of no state
    dict and no optimiser; the trainer's precision applies to it. The logits of a teacher of several experts are the
    mean of theirs, and so is its offset.

    Args:
        teacher: Checkpoint of a trained model.

    Raises:
        LtError: The checkpoint is missing, damaged, or was trained on other classes.
    """

    def __init__(self, teacher: str) -> None:
        self.path = teacher

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Load the teacher onto the students' device."""
        data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
        self.teacher = load_module(self.path, data.class_names).to(pl_module.device).eval().requires_grad_(False)
        self.offset = self.teacher.offset.mean(0)  # type: ignore[operator]

    def on_train_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Teach this batch."""
        # a callback runs outside autocast
        with torch.no_grad(), trainer.precision_plugin.forward_context():
            batch["teacher_logits"] = self.teacher.net(batch["image"]).float().mean(0)  # type: ignore[operator]
        batch["teacher_offset"] = self.offset
