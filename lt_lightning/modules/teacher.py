"""Models trained on labels alone."""

from torch import Tensor

from lt_lightning.data.base import Batch
from lt_lightning.losses import CombinationFactory, CrossEntropy, LossFactory, MeanLogits, TermFactory
from lt_lightning.models.backbones import BackboneFactory, BackboneName
from lt_lightning.models.classifiers import ClassifierName
from lt_lightning.models.experts import MultiExpert, NetworkFactory
from lt_lightning.modules.base import LongTailModule


class Teacher(LongTailModule):
    """A model that learns from labels alone: a teacher, and most baselines.

    With one loss it is a single network; with several, an ensemble, of independent networks or with shared stages. Its
    loss is ``skill_weight * sum_e skill_e`` and the sum of ``terms``.

    Args:
        class_counts: Training images of each class; the command takes them from the data.
        losses: One loss for each expert; their number is E.
        terms: Losses of all experts together.
        skill_weight: Weight of the experts' own losses; 1 / E takes their mean.
        backbone: Name of the network, or a class of one's own.
        shared_stages: Stages that the experts share, from the input on; 0 makes independent networks.
        classifier: Last layer of each expert.
        combination: How the experts' logits become one prediction; the mean of raw logits by default.
        network: How experts share the backbone; by default each owns the stages that are not shared.
    """

    def __init__(
        self,
        class_counts: list[int],
        losses: list[LossFactory] = [CrossEntropy],  # noqa: B006 - as in the base
        terms: list[TermFactory] = [],  # noqa: B006 - as in the base
        skill_weight: float = 1.0,
        backbone: BackboneName | BackboneFactory = "resnet32",
        shared_stages: int = 0,
        classifier: ClassifierName = "linear",
        combination: CombinationFactory = MeanLogits,
        network: NetworkFactory = MultiExpert,
    ) -> None:
        super().__init__(class_counts, losses, backbone, shared_stages, classifier, combination, network, terms)
        self.skill_weight = skill_weight

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Skills and terms on images ``(B, 3, H, W)``."""
        expert_logits = self.net(batch["image"])
        skill, mutual = self.skill(expert_logits, batch["target"]), self.mutual(expert_logits, batch["target"])
        return {"loss": self.skill_weight * skill + mutual}
