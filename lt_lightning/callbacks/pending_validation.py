"""A run that is resumed between a step and the validation that follows it."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class PendingValidation(Callback):
    """A run that goes on from a step that validation follows begins with that validation.

    Lightning leaves it out, and with it what the end of the epoch does; it counts one epoch too few from there on. But
    it goes back to a validation in which a run was stopped, so that is what such a checkpoint says.
    """

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Say so, where this is the checkpoint of such a step."""
        loop = trainer.fit_loop.epoch_loop
        progress = loop.batch_progress.current
        stepped = progress.completed < progress.processed  # type: ignore[attr-defined]  # but not yet validated
        if stepped and loop._should_check_val_fx(trainer.fit_loop._data_fetcher):  # type: ignore[arg-type]
            state = checkpoint["loops"]["fit_loop"]
            for count in ("total", "current"):
                state["epoch_loop.batch_progress"][count]["completed"] += 1
                state["epoch_loop.val_loop.batch_progress"][count] |= {"ready": 1, "started": 1}
                state["epoch_loop.val_loop.batch_progress"][count] |= {"processed": 0, "completed": 0}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin with the first batch of that validation."""
        validation = trainer.fit_loop.epoch_loop.val_loop
        if validation.restarted_mid_evaluation:
            validation.batch_progress.reset()
