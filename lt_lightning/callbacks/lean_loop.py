"""A training step costs what is done in it, not what could be."""

import inspect
from contextlib import nullcontext
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.profilers import PassThroughProfiler
from torch.optim import SGD, Optimizer

IN_EACH_STEP = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)
"""Hooks of a callback, and of a module, that Lightning calls in a training step."""


class LeanLoop(Callback):
    """Has Lightning pass over what does nothing in a training step.

    Of all callbacks and of the module it calls each hook, empty or not; a hook that is None it leaves out. It does so,
    and much else, within contexts of a profiler, fifty a step, where there is none, too. And it finds out anew in each
    step which arguments ``training_step`` takes, unless that is written down at the function.

    SGD updates weights on a GPU by one kernel, unless a configuration says how: ``optimizer.fused`` or
    ``optimizer.foreach``. :class:`Finite` then need not wait.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take it away: by now the module has added its own callbacks, too."""
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            _leave_out_empty_hooks(callback, Callback)
        _leave_out_empty_hooks(pl_module, LightningModule)
        if type(trainer.profiler) is PassThroughProfiler:  # type: ignore[attr-defined]
            nothing = nullcontext()
            vars(trainer.profiler)["profile"] = lambda action: nothing  # type: ignore[attr-defined]
        step: Any = inspect.unwrap(pl_module.training_step)
        function = getattr(step, "__func__", step)
        function.__signature__ = inspect.signature(function)
        for optimizer in trainer.optimizers:
            _fuse_on_gpu(optimizer)


def _leave_out_empty_hooks(owner: Callback | LightningModule, base: type) -> None:
    for hook in IN_EACH_STEP:  # Lightning's is_overridden knows functions alone, a hook may be any callable
        if hook not in vars(owner) and getattr(type(owner), hook) is getattr(base, hook):
            setattr(owner, hook, None)


def _fuse_on_gpu(optimizer: Optimizer) -> None:
    for group in optimizer.param_groups:
        unsaid = isinstance(optimizer, SGD) and group["fused"] is None and group["foreach"] is None
        if unsaid and all(p.is_cuda for p in group["params"]):
            group["fused"] = True
