"""A frozen teacher's targets for the images that students see."""

from collections.abc import Callable
from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lt_lightning.callbacks.target_cache import NoCache, TargetCache
from lt_lightning.checkpoints import load_module
from lt_lightning.data.base import Batch, LongTailDataModule
from lt_lightning.losses.priors import log_prior


class DistillationTargets(Callback):
    """Adds a teacher's logits ``(B, C)``, and the offset ``(C,)`` of its loss, to each training batch.

    The teacher is loaded when fitting starts. It is in evaluation mode, takes no gradient, and is part of no state
    dict and no optimiser; the trainer's precision applies to it. The logits of a teacher of several experts are the
    mean of theirs, and so is its offset. Where the teacher was trained on other class counts, the offset leads to the
    prior of the students' images all the same. What it says may be kept in a :class:`TargetCache` beside its
    checkpoint.

    Args:
        teacher: Checkpoint of a trained model.
        cache: Whether to keep its logits in files, or take them from there.

    Raises:
        LtError: The checkpoint is missing, damaged, or was trained on other classes.
    """

    def __init__(self, teacher: str, cache: bool = False) -> None:
        self.path, self.cached, self.cache = teacher, cache, NoCache()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Load the teacher onto the students' device."""
        data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
        self.teacher = load_module(self.path, data.class_names).to(pl_module.device).eval().requires_grad_(False)
        self.network: Callable[[Tensor], Tensor] = self.teacher.net  # type: ignore[assignment]
        ours, its = (log_prior(torch.tensor(counts)) for counts in (data.class_counts, self.teacher.class_counts))
        self.offset = self.teacher.offset.mean(0) + (ours - its).to(pl_module.device)  # type: ignore[operator]
        made_of = {
            "seed": data.seed,
            "precision": trainer.precision,
            "process": f"{trainer.global_rank}_of_{trainer.world_size}",
        }
        if self.cached:
            self.cache = TargetCache(Path(self.path), made_of)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See :meth:`on_train_epoch_start`, which a run that is resumed within an epoch begins without."""
        self.cache.open(trainer.current_epoch)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look for what is known of this epoch."""
        self.cache.open(trainer.current_epoch)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep what is known of this epoch now."""
        data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
        self.cache.close(data.train_batches().used)

    def on_train_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Teach this batch."""
        logits = self.cache.recall(batch_idx, batch["image"])
        if logits is None:
            logits = self.ask(trainer, batch["image"])
            self.cache.keep(batch_idx, batch["image"], logits)
        batch["teacher_logits"], batch["teacher_offset"] = logits, self.offset

    def ask(self, trainer: Trainer, image: Tensor) -> Tensor:
        """The teacher's logits ``(B, C)`` of images."""
        # a callback runs outside autocast
        with torch.no_grad(), trainer.precision_plugin.forward_context():
            logits = self.network(image)
        return logits.float().mean(0)

    def compile(self, mode: str) -> None:
        """Have the teacher answer by a compiled program from now on, where it teaches.

        Args:
            mode: A mode of ``torch.compile``.
        """
        self.network = torch.compile(self.network, mode=mode, dynamic=False)


class CompiledTeachers(Callback):
    """Compiles the teachers of a run once they are loaded.

    Args:
        mode: A mode of ``torch.compile``.
    """

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compile them, from the next step on."""
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, DistillationTargets):
                callback.compile(self.mode)
