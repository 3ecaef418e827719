"""Models trained on labels alone."""

from torch import Tensor

from lt_lightning.data.base import Batch
from lt_lightning.modules.base import LongTailModule


class Teacher(LongTailModule):
    """A model that learns from labels alone: a teacher, and every baseline.

    With one loss it is a single network; with several, an ensemble, of independent networks or with shared stages.

    Args:
        class_counts: Training images of each class; the command takes them from the data.
        losses: One loss for each expert; their number is E.
        backbone: Name of the network.
        shared_stages: Stages that the experts share, from the input on; 0 makes independent networks.
        classifier: Last layer of each expert.
        combination: How the experts' logits become one prediction; the mean of raw logits by default.
    """

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Sum of the experts' losses on images ``(B, 3, H, W)``."""
        return {"loss": self.skill(self.net(batch["image"]), batch["target"])}
