"""Callbacks cost a training step only what they do in it."""

from lightning.pytorch import Callback, LightningModule, Trainer

IN_EACH_STEP = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)
"""Hooks of a callback that Lightning calls in a training step."""


class IdleHooks(Callback):
    """Has Lightning pass over what a callback leaves empty in each training step.

    It calls these hooks of all callbacks there, each within a profiler's context, empty or not; a hook that is
    None it leaves out.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Empty them: by now the module has added its own callbacks, too."""
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            for hook in IN_EACH_STEP:  # Lightning's is_overridden knows functions alone, a hook may be any callable
                if hook not in vars(callback) and getattr(type(callback), hook) is getattr(Callback, hook):
                    setattr(callback, hook, None)
