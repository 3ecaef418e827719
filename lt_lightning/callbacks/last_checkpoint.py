"""The checkpoint to resume from and to report."""

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint


class LastCheckpoint(Checkpoint):
    """Writes ``last.ckpt`` at the end of every epoch, after its validation, and within epochs if asked to.

    Args:
        dirpath: Folder of the run; the command sets it.
        every_n_train_steps: How often to write within epochs, too; 0 for never.
    """

    def __init__(self, dirpath: str = "runs", every_n_train_steps: int = 0) -> None:
        self.path, self.every_n_train_steps = Path(dirpath) / "last.ckpt", every_n_train_steps

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Write within an epoch."""
        if self.every_n_train_steps and trainer.global_step % self.every_n_train_steps == 0:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write at its end."""
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            trainer.save_checkpoint(self.path, weights_only=False)  # with optimiser and progress
