"""One run, one folder, one process that trains in it."""

from pathlib import Path

from filelock import FileLock
from lightning.pytorch import Callback, LightningModule, Trainer

from lt_lightning.run_folder import check_room, hold

VALUES = 3
"""Numbers that a checkpoint keeps for each of the model's: itself, and at most two of the optimiser's."""


class RunLock(Callback):
    """Keeps the run's folder for as long as its process trains; the system lets go of it if that dies.

    The folder must have room for the run's checkpoints when it begins.
    """

    def __init__(self) -> None:
        self.lock: FileLock | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take it.

        Raises:
            LtError: Another process trains in it, or the disk is nearly full.
        """
        if stage == "fit" and trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            folder = Path(trainer.default_root_dir)
            folder.mkdir(parents=True, exist_ok=True)
            self.lock = hold(folder)
            check_room(folder, VALUES * sum(t.nbytes for t in pl_module.state_dict().values()))

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Let go of it."""
        if self.lock is not None:
            self.lock.release(force=True)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Let go of it."""
        self.teardown(trainer, pl_module, "fit")
