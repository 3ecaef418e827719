"""What a second stage begins with: the weights of the first."""

from lightning.pytorch import Callback, LightningModule, Trainer

from lt_lightning.checkpoints import load_module
from lt_lightning.data.base import LongTailDataModule
from lt_lightning.errors import LtError


class FirstStage(Callback):
    """Hands a trained model's network to ``start_from`` of the module when fitting begins.

    That is before Lightning restores a checkpoint, so a second stage that is resumed goes on with its own weights.

    Args:
        path: Checkpoint of a trained model.

    Raises:
        LtError: The checkpoint is missing, damaged, of other classes, or of another network.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Load the first stage; commands that do not train need it no more."""
        if stage != "fit":
            return
        data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
        first = load_module(self.path, data.class_names)
        try:
            pl_module.start_from(first.net)  # type: ignore[operator]
        except RuntimeError as error:  # torch's own lists every tensor that does not fit
            what = "the first stage's network is another than the model's"
            fix = "give both the same backbone, stages, classifier and number of losses, by --config: flags reach one"
            raise LtError(what, self.path, fix) from error
