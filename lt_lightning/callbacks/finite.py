"""A loss or a gradient that is not finite never reaches the weights."""

import math
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from lt_lightning.callbacks.training import TrainingLog
from lt_lightning.callbacks.watchdog import PATIENCE
from lt_lightning.checkpoint_io import write_checkpoint
from lt_lightning.data.base import Batch, LongTailDataModule
from lt_lightning.errors import LtError

DIVERGED = "diverged.ckpt"
"""The step that failed, ready to be taken again."""
SKIPS = 16
"""Steps in a row that the loss scaling of 16-mixed may skip: from 65,536 it is at 1 by then."""


class Step(NamedTuple):
    """A step of the optimiser whose loss and gradients the device was asked about.

    Attributes:
        finite: Waits for the answer.
        loss: Summed over its batches and all processes.
        names: Of the parameters that have gradients.
        norms: Of these gradients.
        norm: Of all of them.
        images: Of its last batch, by their places.
        counters: Of Lightning, as they were in it; none where it has not gone on since.
    """

    finite: Callable[[], bool]
    loss: Tensor
    names: list[str]
    norms: Tensor
    norm: Tensor
    images: Tensor
    counters: list[tuple[object, dict[str, Any]]]


class Finite(Callback):
    """Ends a run before an update by a loss or a gradient that is not finite; the checkpoints keep their weights.

    The weights before that update, the optimiser's state and the names of the images go to ``diverged.ckpt``. As all
    that is random follows from the step, ``lt fit --ckpt_path RUN/diverged.ckpt`` meets the same loss at once: to look
    into it. To go on, take ``last.ckpt``: running means of normalisation layers have seen the step that failed.

    The device has to answer for this, and a step waits for it; but a fused optimiser can be told on the device to leave
    out an update. Then the answer is read a step later, while the device is busy with that one, or before anybody
    looks at the weights. The norm of all gradients, before they are clipped, is at hand here, and is logged as
    ``train/grad_norm``; updates that loss scaling skips have none.

    Args:
        log: Where it is added up.
    """

    def __init__(self, log: TrainingLog) -> None:
        self._training = log
        self._loss: Tensor | float = 0.0
        self._skips = 0
        self._asked = deque[Step]()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look for the parameters once: it takes as long as the rest of what is done here each step."""
        self._parameters = [*pl_module.named_parameters()]
        self._spoilt = torch.zeros((), device=pl_module.device)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Remember which images they are."""
        self._index = batch["index"]

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Remember the loss, on its device."""
        self._loss = self._loss + loss.detach()

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Ask about the sum of losses and the gradients, which all processes have in common: they agree.

        Raises:
            LtError: They, or those of the step before, are not finite.
        """
        loss, self._loss = trainer.strategy.reduce(self._loss, reduce_op="sum"), 0.0
        gradients = {name: p.grad for name, p in self._parameters if p.grad is not None}
        norms = torch.stack(torch._foreach_norm([*gradients.values()]))
        norm = norms.norm()
        both, may_wait = norm + loss, 0
        if _scaler(trainer) is None and all(group.get("fused") for group in optimizer.param_groups):
            self._spoilt = torch.maximum(self._spoilt, 1 - both.isfinite().float())
            optimizer.found_inf = self._spoilt  # type: ignore[attr-defined]  # where loss scaling says it, too
            may_wait = int(not trainer.is_last_batch)  # then rates change, and counters are set to nought
        now = counters(trainer) if may_wait else []
        self._asked.append(Step(finite(both), loss, [*gradients], norms, norm, self._index, now))
        self._look(trainer, pl_module, may_wait)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See that what is measured are weights that all updates have reached.

        Raises:
            LtError: A step was not finite.
        """
        self._look(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """See that what is kept are weights that all updates have reached.

        Raises:
            LtError: A step was not finite.
        """
        self._look(trainer, pl_module)

    def _look(self, trainer: Trainer, pl_module: LightningModule, may_wait: int = 0) -> None:
        """Read the answers, but for so many of the last ones."""
        while len(self._asked) > may_wait:
            step = self._asked.popleft()
            if step.finite():
                self._skips = 0
                self._training.add("grad_norm", step.norm)
                continue
            self._skips += 1
            if _scaler(trainer) is None or self._skips > SKIPS:  # else it skips this update itself, and scales by less
                raise self._refusal(trainer, pl_module, step)

    def _refusal(self, trainer: Trainer, pl_module: LightningModule, step: Step) -> LtError:
        self._asked.clear()
        for owner, values in step.counters:
            vars(owner).update(values)
        data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
        file = Path(trainer.default_root_dir) / DIVERGED
        names = [data.image_name("train", i) for i in step.images.tolist()]
        if trainer.is_global_zero:  # alone: trainer.save_checkpoint would gather what others may not have any more
            state: dict[str, Any] = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
            write_checkpoint(state | {"lt_images": names}, file)
        bad = (name for name, norm in zip(step.names, step.norms.tolist(), strict=True) if not math.isfinite(norm))
        gradient = next((f"the gradient of {name} is not finite" for name in bad), "gradients are finite one by one")
        loss = float(step.loss) / (1 if (scaler := _scaler(trainer)) is None else scaler.get_scale())
        what = f"the loss is {loss:.4g}, {gradient}; nothing was updated"
        trainer.strategy.barrier("diverged")
        if not trainer.is_global_zero:
            time.sleep(PATIENCE)  # the first process says it, and ends the others
        shown = ", ".join(names[:3])
        where = f"step {trainer.global_step} of epoch {trainer.current_epoch}, images {shown}, ...: {file}"
        fix = "lower --optimizer.lr or set --trainer.gradient_clip_val 1; the checkpoints before are finite"
        return LtError(what, where, fix)


def finite(number: Tensor) -> Callable[[], bool]:
    """Ask the device whether a number is finite; what is returned waits for that, and not for what it is told later."""
    copy = number.to("cpu", non_blocking=True)
    if copy is number:  # there is nobody to wait for
        return lambda: math.isfinite(number)
    event = torch.Event(number.device)
    event.record()

    def wait() -> bool:
        event.synchronize()
        return math.isfinite(copy)

    return wait


def counters(trainer: Trainer) -> list[tuple[object, dict[str, Any]]]:
    """What Lightning counts in a step, with the values of now."""
    loop = trainer.fit_loop.epoch_loop
    steps = loop.automatic_optimization.optim_progress.optimizer
    progress = [trainer.fit_loop.epoch_progress, loop.batch_progress, loop.val_loop.batch_progress]
    progress += [steps.step, steps.zero_grad]
    parts = [part for of in progress for part in (of, of.total, of.current)]
    return [(loop, {"_batches_that_stepped": loop._batches_that_stepped}), *((part, {**vars(part)}) for part in parts)]


def _scaler(trainer: Trainer) -> torch.amp.GradScaler | None:
    return getattr(trainer.precision_plugin, "scaler", None)
