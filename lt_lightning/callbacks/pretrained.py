"""Training begins with the weights of another network."""

import re
from urllib.error import URLError

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torchvision.models import get_weight

from lt_lightning.checkpoints import read_weights
from lt_lightning.errors import LtError
from lt_lightning.models.pretrained import load_backbone


class Pretrained(Callback):
    """Puts pretrained weights into the backbone when a run begins.

    A run that is resumed has its own, a second stage those of its first, which they go to instead.

    Args:
        weights: None; or a file, such as ``resnet152-394f9c45.pth``, whose name holds the first digits of its sha256,
            which are compared; or the name of torchvision's, such as ``ResNet152_Weights.IMAGENET1K_V1``, which are
            downloaded, with torchvision's hash.
    """

    def __init__(self, weights: str | None = None) -> None:
        self.weights = weights

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Load them, in the first process before the others.

        Raises:
            LtError: They are not there, are others, or do not fit the backbone.
        """
        if self.weights is None or trainer.ckpt_path is not None or hasattr(pl_module, "first_stage"):
            return
        if not trainer.is_global_zero:
            trainer.strategy.barrier("pretrained")
        weights = self._read(self.weights)
        if trainer.is_global_zero:
            trainer.strategy.barrier("pretrained")
        try:
            load_backbone(pl_module.net, weights)  # type: ignore[arg-type]
        except ValueError as error:
            fix = "name weights of the same network as model.backbone, or leave pretrained.weights out"
            raise LtError(str(error), self.weights, fix) from error

    @staticmethod
    def _read(name: str) -> dict[str, Tensor]:
        if not re.fullmatch(r"\w+_Weights\.\w+", name):
            return read_weights(name)
        try:
            published = get_weight(name)
        except (ValueError, KeyError, AttributeError) as error:
            fix = "name one of torchvision's, such as ResNet50_Weights.IMAGENET1K_V2, or a file"
            raise LtError(f"no such weights ({error})", name, fix) from error
        try:
            state: dict[str, Tensor] = published.get_state_dict(check_hash=True, weights_only=True, map_location="cpu")
        except (URLError, OSError, RuntimeError) as error:
            fix = f"fetch {published.url} by hand and name the file by --pretrained.weights"
            raise LtError(f"these weights cannot be downloaded ({error})", published.url, fix) from error
        return state
