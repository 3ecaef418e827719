"""The checkpoint to resume from and to report."""

import shlex
import signal
import sys
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.trainer.states import TrainerFn

from lt_lightning.signals import SIGNALS, StopRequest, end_as_told

AGREE_EVERY = 8
"""Steps after which processes ask each other whether one was told to stop: a collective in each would cost speed."""


class LastCheckpoint(Checkpoint):
    """Writes ``last.ckpt`` at the end of every epoch, after its validation, and within epochs if asked to.

    A run that is told to stop (SIGTERM, SIGINT, SIGUSR1) ends the step it is in, or the validation, writes it, and
    exits with 128 and the signal's number; all processes of a run after the same step, at most eight later.

    Args:
        dirpath: Folder of the run; the command sets it.
        every_n_train_steps: How often to write within epochs, too; 0 for never.

    Raises:
        ValueError: ``every_n_train_steps`` is negative.
    """

    def __init__(self, dirpath: str = "runs", every_n_train_steps: int = 0) -> None:
        if every_n_train_steps < 0:
            raise ValueError(f"last.every_n_train_steps must not be negative, got {every_n_train_steps}")
        self.path, self.every_n_train_steps = Path(dirpath) / "last.ckpt", every_n_train_steps
        self.stop = StopRequest()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to listen, in the place of Lightning, which would exit with 0 and save nothing."""
        self.stop.listen()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let a command that only measures, and has nothing to save, end when it is told to."""
        if trainer.state.fn != TrainerFn.FITTING:
            for number in SIGNALS:
                signal.signal(number, end_as_told)  # Lightning's own handler would have it exit with 0

    on_test_start = on_predict_start = on_validation_start

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Listen no more."""
        self.stop.release()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Listen no more."""
        self.stop.release()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write within an epoch."""
        step, loop = trainer.global_step, trainer.fit_loop.epoch_loop
        stopped = self._told(trainer, agree=step % AGREE_EVERY == 0 and not loop._should_accumulate())
        if not stopped and (not self.every_n_train_steps or step % self.every_n_train_steps):
            return
        if loop._should_accumulate() or (trainer.is_last_batch and not loop._should_check_val_epoch()):
            return  # gradients are not saved; an epoch that nothing but its end is left of ends at once
        self._save(trainer)
        if stopped:
            self._exit(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write at its end."""
        self._save(trainer)
        if self._told(trainer, agree=True):
            self._exit(trainer)

    def _told(self, trainer: Trainer, agree: bool) -> bool:
        told = self.stop.signum is not None
        if trainer.world_size == 1:
            return told
        return agree and trainer.strategy.reduce_boolean_decision(told, all=False)

    def _exit(self, trainer: Trainer) -> None:
        if trainer.is_global_zero:
            print(
                f"lt: stopped; go on by: lt fit --resume {shlex.quote(str(self.path.parent))}",
                file=sys.stderr,
                flush=True,
            )
        # of those that Lightning started, the first says for all how the run ended
        raise SystemExit(self.stop.exit_status if trainer.local_rank == 0 else 0)

    def _save(self, trainer: Trainer) -> None:
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            trainer.save_checkpoint(self.path, weights_only=False)  # with optimiser and progress
