"""What a training epoch is logged as, without making the device wait."""

import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lt_lightning.data.base import Batch


class TrainingLog(Callback):
    """Logs, once an epoch, the mean of what training steps return and add, the learning rate and the speed.

    Sums stay on the device until the epoch ends; ``self.log`` in a step would cost up to a millisecond each. They are
    part of checkpoints, so the epoch in which a run was stopped and resumed is logged whole.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._numbers: dict[str, int] = {}
        self._restart_clock()

    def add(self, name: str, value: Tensor, times: int = 1) -> None:
        """Add a value, on its device, to the mean that the epoch is logged with.

        Args:
            name: What it is called, as in ``train/grad_norm``.
            value: A number, the same on all processes or one of each.
            times: What it is multiplied by.
        """
        if name not in self._sums:
            self._sums[name] = torch.zeros((), device=value.device)
        self._sums[name].add_(value.detach(), alpha=times)
        self._numbers[name] = self._numbers.get(name, 0) + 1

    def means(self) -> dict[str, Tensor]:
        """The means of the epoch so far, of this process, on their device."""
        return {name: total / self._numbers[name] for name, total in self._sums.items()}

    def speed(self) -> float | None:
        """Images a second of this process, since the epoch began or the run went on; None before the first."""
        return self._images / (self._end - self._start) if self._images else None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the unfinished epoch, of each process: one writes, but all go on."""
        progress = trainer.fit_loop.epoch_loop.batch_progress.current
        alone = progress.processed < progress.ready  # type: ignore[attr-defined]  # a step failed; others may be gone
        gather = (lambda total: total) if alone else trainer.strategy.all_gather
        sums = {name: gather(total).flatten().tolist() for name, total in self._sums.items()}
        checkpoint["callbacks"][self.state_key] = {"sums": sums, "numbers": self._numbers.copy()}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Go on with the unfinished epoch of this process."""
        state = checkpoint["callbacks"].get(self.state_key, {"sums": {}, "numbers": {}})
        for name, totals in state["sums"].items():
            of_each = torch.tensor(totals).flatten()  # or one number for all, as checkpoints once had
            self._sums[name] = of_each[trainer.global_rank % len(of_each)]
        self._numbers = dict(state["numbers"] if "numbers" in state else dict.fromkeys(state["sums"], state["steps"]))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to measure, on the device of the model."""
        self._sums = {name: total.to(pl_module.device) for name, total in self._sums.items()}
        self._restart_clock()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to measure."""
        self._sums, self._numbers = {}, {}
        self._restart_clock()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Have the clock stand still from the step before on."""
        self._validated = True

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Let it go on after validation, which may come several times an epoch."""
        if self._validated:
            self._start += time.perf_counter() - self._end
            self._validated = False

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: dict[str, Tensor],  # type: ignore[override]
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Add one step."""
        shares = {"loss": trainer.accumulate_grad_batches}  # Lightning has divided the loss by it
        for name, value in outputs.items():
            self.add(name, value, shares.get(name, 1))
        self._images += len(batch["image"])
        self._end = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the epoch; validation does not count as time of training."""
        values: dict[str, Any] = {f"train/{name}": mean for name, mean in self.means().items()}
        values["train/lr"] = trainer.optimizers[0].param_groups[0]["lr"]
        if speed := self.speed():  # none where a run is resumed at the very end of an epoch
            values["train/img_per_s"] = speed * trainer.world_size
        pl_module.log_dict(values, sync_dist=True, logger=False)
        means = {name: float(trainer.callback_metrics[name]) for name in values}
        for logger in trainer.loggers:  # now: Lightning would write them after the checkpoint of this epoch
            logger.log_metrics({**means, "epoch": trainer.current_epoch}, trainer.global_step - 1)
            logger.save()
        self._sums, self._numbers = {}, {}

    def _restart_clock(self) -> None:
        self._images, self._validated = 0, False
        self._start = self._end = time.perf_counter()
