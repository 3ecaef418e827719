"""What a run that goes on must have in common with the run of its checkpoint, for its steps to be those."""

from typing import Any

from lightning.pytorch import Trainer

from lt_lightning.checkpoints import STEP
from lt_lightning.data.base import LongTailDataModule
from lt_lightning.errors import LtError

FLAGS = {
    "processes": "--trainer.devices",
    "batch_size": "--data.batch_size",
    "accumulate_grad_batches": "--trainer.accumulate_grad_batches",
    "seed": "--seed_everything",
}
"""What a step consists of, and the flags that set it."""


def parts_of_a_step(trainer: Trainer, data: LongTailDataModule, accumulated: int) -> dict[str, int]:
    """Processes, training images of a batch on each, batches, and what draws them: what a step consists of."""
    return dict(zip(FLAGS, (trainer.world_size, data.batch_size, accumulated, data.seed), strict=True))


def differing(checkpoint: dict[str, Any], ours: dict[str, int]) -> dict[str, tuple[int, int]]:
    """What of a step is another in a checkpoint's run: theirs and ours, by name; nothing where it does not say."""
    theirs = ours | checkpoint.get(STEP, {})
    return {name: (theirs[name], ours[name]) for name in FLAGS if theirs[name] != ours[name]}


def check_steps(checkpoint: dict[str, Any], path: str, ours: dict[str, int]) -> None:
    """See that a run goes on in the steps that it began with.

    Raises:
        LtError: They would be others.
    """
    if others := differing(checkpoint, ours):
        says = ", ".join(f"{name} {theirs}, now {now}" for name, (theirs, now) in others.items())
        same = " ".join(f"{FLAGS[name]} {theirs}" for name, (theirs, _) in others.items())
        fix = f"give the same ({same}), or go on inexactly (--allow_inexact true)"
        raise LtError(f"the steps of this run would be others: it was trained with {says}", path, fix)


def begin_epoch_anew(trainer: Trainer, checkpoint: dict[str, Any], used: int) -> None:
    """Leave a checkpoint's place within its epoch, which is a number of batches of other images.

    Args:
        trainer: It begins with that epoch; with the next one, if only the validation was left to do.
        checkpoint: Loses the progress of its loops, by which Lightning would look for that place.
        used: Batches that an epoch has now.
    """
    state, loop = checkpoint.pop("loops")["fit_loop"], trainer.fit_loop
    epochs, batches = state["epoch_progress"]["total"], state["epoch_loop.batch_progress"]
    done = epochs["started"] if batches["is_last_batch"] else epochs["processed"]
    loop.epoch_progress.increment_by(done)
    loop.epoch_loop.batch_progress.total.increment_by(done * used)
    optimisation = state["epoch_loop.automatic_optimization.optim_progress"]
    loop.epoch_loop.automatic_optimization.optim_progress.load_state_dict(optimisation)
    loop.epoch_loop._batches_that_stepped = loop.epoch_loop.global_step
