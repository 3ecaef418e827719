"""The configuration travels with the weights."""

import json
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback

from lt_lightning.checkpoints import CLASS_NAMES, CONFIG
from lt_lightning.data.base import LongTailDataModule


class KeepConfig(SaveConfigCallback):
    """Writes the configuration to the run folder and, with the names of the classes, into each checkpoint."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write ``config.yaml`` when fitting starts; other commands leave none behind."""
        if stage == "fit":
            super().setup(trainer, pl_module, stage)

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Hand the configuration to the loggers."""
        for logger in trainer.loggers:
            logger.log_hyperparams(json.loads(self.parser.dump(self.config, format="json", skip_none=False)))

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the configuration, as YAML, and the classes, in order."""
        data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
        checkpoint[CONFIG] = self.parser.dump(self.config, skip_none=False)
        checkpoint[CLASS_NAMES] = data.class_names
