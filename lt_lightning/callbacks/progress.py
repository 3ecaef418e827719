"""How far a run is, and how good, while it trains."""

import datetime
import math
import time

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar, RichProgressBar
from lightning.pytorch.trainer.states import TrainerFn
from rich.console import Console
from rich.progress import ProgressColumn

from lt_lightning.callbacks.report import Report
from lt_lightning.callbacks.screen import validation_line
from lt_lightning.callbacks.training import TrainingLog

EVERY = 0.5
"""Seconds between looks at the loss: the device must have come to it, so a look in each step would slow it down."""

WIDTH = 12
"""Characters of the bar, so that all stands in a line."""


class Progress(RichProgressBar):
    """A bar with loss, learning rate, images a second and the end of the run, and a line after each validation.

    Where there is no terminal, there is no bar, and the line says what the bar would. Both are turned off by
    ``--trainer.enable_progress_bar false``.

    Args:
        training: What is known of the epoch that runs.
        report: What is known of validations; it must come before this callback.
    """

    def __init__(self, training: TrainingLog, report: Report) -> None:
        super().__init__(refresh_rate=10 if Console().is_terminal else 0)
        self._training, self._report = training, report
        self._shown: dict[str, int | str | float | dict[str, float]] = {}
        self._looked = -math.inf

    def configure_columns(self, trainer: Trainer) -> list[ProgressColumn]:
        """Epoch, bar and batches; images a second and the end of the run say more than those of batches."""
        epoch, bar, batches, *_ = super().configure_columns(trainer)
        bar.bar_width = WIDTH
        return [epoch, bar, batches]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to measure how long the run takes."""
        super().on_train_start(trainer, pl_module)
        self._began, self._first = time.monotonic(), trainer.global_step
        self._steps = trainer.estimated_stepping_batches

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """What the bar shows, twice a second anew; nothing before training has begun."""
        if trainer.sanity_checking:
            return {}
        if (now := time.monotonic()) - self._looked > EVERY:
            self._looked, self._shown = now, {**self._now(trainer), **self._rest(trainer, now)}
        return self._shown

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say what it found."""
        super().on_validation_end(trainer, pl_module)
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking or not trainer.is_global_zero:
            return
        last, best = self._report.last, self._report.best
        if self.progress is None:
            print(validation_line(last, best, trainer.max_epochs, self._now(trainer)), flush=True)
        else:
            line = validation_line(last, best, trainer.max_epochs, {})
            self.progress.console.print(line, highlight=False, soft_wrap=True)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the bar away, so that the report stands below it."""
        self.teardown(trainer, pl_module, "fit")

    def _now(self, trainer: Trainer) -> dict[str, str]:
        """Loss, learning rate and images a second of the epoch that runs."""
        means, speed = self._training.means(), self._training.speed()
        loss = {"loss": f"{float(means['loss']):.3f}"} if "loss" in means else {}
        rate = {"lr": f"{trainer.optimizers[0].param_groups[0]['lr']:.2g}"}
        return {**loss, **rate, **({"img/s": f"{speed * trainer.world_size:,.0f}"} if speed else {})}

    def _rest(self, trainer: Trainer, now: float) -> dict[str, str]:
        """How long the rest of the run takes, with its validations, if it goes on as it did."""
        done, rest = trainer.global_step - self._first, self._steps - trainer.global_step
        if not done or math.isinf(rest):
            return {}
        return {"left": str(datetime.timedelta(seconds=round((now - self._began) / done * rest)))}

    def _get_train_description(self, current_epoch: int) -> str:
        """Epochs are counted from 1, as everywhere else."""
        epochs = self.trainer.max_epochs or 0
        return f"epoch {current_epoch + 1}{f'/{epochs}' if epochs > 0 else ''}"


def has_bar(callbacks: Callback | list[Callback]) -> bool:
    """Whether a user has chosen another bar; Lightning takes one."""
    return any(isinstance(c, ProgressBar) for c in (callbacks if isinstance(callbacks, list) else [callbacks]))
