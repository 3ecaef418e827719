"""One run, one folder, one process that trains in it."""

from pathlib import Path

from filelock import FileLock, Timeout
from lightning.pytorch import Callback, LightningModule, Trainer

from lt_lightning.errors import LtError


class RunLock(Callback):
    """Keeps the run's folder for as long as its process trains; the system lets go of it if that dies."""

    def __init__(self) -> None:
        self.lock: FileLock | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take it.

        Raises:
            LtError: Another process trains in it.
        """
        if stage == "fit" and trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            folder = Path(trainer.default_root_dir)
            folder.mkdir(parents=True, exist_ok=True)
            self.lock = FileLock(folder / ".lock")
            try:
                self.lock.acquire(timeout=0)
            except Timeout as error:
                fix = "wait for it, stop it, or name another folder by --trainer.default_root_dir"
                raise LtError("another process trains in this folder", str(folder), fix) from error

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Let go of it."""
        if self.lock is not None:
            self.lock.release()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Let go of it."""
        self.teardown(trainer, pl_module, "fit")
