"""Models trained on labels alone."""

from torch import Tensor

from lt_lightning.data.base import Batch
from lt_lightning.modules.base import LongTailModule


class Teacher(LongTailModule):
    """A model that learns from labels alone: a teacher, and every baseline.

    With one loss it is a single network; with several, an ensemble, of independent networks or with shared stages.
    Its arguments are those of :class:`~lt_lightning.modules.base.LongTailModule`.
    """

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Sum of the experts' losses on images ``(B, 3, H, W)``."""
        return {"loss": self.skill(self.net(batch["image"]), batch["target"])}
