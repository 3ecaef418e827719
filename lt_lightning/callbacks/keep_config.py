"""The configuration travels with the weights."""

from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.trainer.states import TrainerFn

from lt_lightning.checkpoints import (
    CLASS_COUNTS,
    CLASS_NAMES,
    CONFIG,
    STEP,
    check_classes,
    check_counts,
    check_progress,
    read_facts,
)
from lt_lightning.data.base import LongTailDataModule
from lt_lightning.environment import keep_environment
from lt_lightning.errors import LtError
from lt_lightning.steps import begin_epoch_anew, check_steps, differing, parts_of_a_step
from lt_lightning.whole_files import write_whole


class KeepConfig(SaveConfigCallback):
    """Writes the configuration to the run folder and, with the names of the classes, into each checkpoint.

    A checkpoint that is used must have been trained on the same classes as the data has, in the same order, and on as
    many images of each. A run that goes on does so in the same steps, or, if it is allowed to, from the beginning of an
    epoch.

    Args:
        *args: Parser and configuration, of Lightning.
        values: The configuration as plain values.
        **kwargs: More of Lightning's.
    """

    def __init__(self, *args: Any, values: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.values, self.text = values, yaml.safe_dump(values, allow_unicode=True, sort_keys=False)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write ``config.yaml`` when fitting starts; other commands leave none behind."""
        data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
        if self.config.ckpt_path is not None:  # the trainer knows it later
            check_classes(str(self.config.ckpt_path), data.class_names)
            check_counts(str(self.config.ckpt_path), data.class_counts)
        if stage == "fit":
            self.step = parts_of_a_step(trainer, data, self.config.trainer.accumulate_grad_batches)
            if self.config.ckpt_path is not None:
                check_progress(str(self.config.ckpt_path))
            if self.config.ckpt_path is not None and not self.config.allow_inexact:
                check_steps(read_facts(str(self.config.ckpt_path)), str(self.config.ckpt_path), self.step)
            if trainer.is_global_zero:
                write_whole(Path(trainer.default_root_dir) / self.config_filename, self.text)
                self.save_config(trainer, pl_module, stage)

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Hand the configuration to the loggers; what else a run is made of goes into ``env.json``."""
        files = [path.relative for path in self.config.config or [] if path is not None]
        used = {
            "configs": [Path(file).name for file in files],
            "accelerator": type(trainer.accelerator).__name__.removesuffix("Accelerator").lower(),
            "processes": trainer.world_size,
        }
        keep_environment(Path(trainer.default_root_dir), used)
        for logger in trainer.loggers:
            logger.log_hyperparams(self.values)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the configuration, as YAML, the classes, in order, and what a step consists of."""
        data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
        checkpoint[CONFIG] = self.text
        checkpoint[CLASS_NAMES] = data.class_names
        checkpoint[CLASS_COUNTS] = data.class_counts
        checkpoint[STEP] = self.step

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See that a resumed optimiser has all that it works with; another kind's state may lack some.

        Raises:
            LtError: It has not.
        """
        for optimizer in trainer.optimizers:
            if missing := sorted(optimizer.defaults.keys() - optimizer.param_groups[0].keys()):
                what = f"{type(optimizer).__name__} cannot go on: the checkpoint's optimiser has no {missing[0]}"
                raise LtError(what, str(self.config.ckpt_path), "give the same --optimizer, or begin a new run")

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Go on with the beginning of an epoch, if steps are others now."""
        if trainer.state.fn == TrainerFn.FITTING and differing(checkpoint, self.step):
            data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
            begin_epoch_anew(trainer, checkpoint, data.train_batches().used)
