"""MCEM: experts of diverse skills that also learn to represent well.

- [Wang et al., 2024] Multiple Contrastive Experts for long-tailed image classification (MCE).
  https://doi.org/10.1016/j.eswa.2024.124613
"""

import torch
from torch import Tensor, nn

from lt_lightning.data.base import Batch, LongTailDataModule
from lt_lightning.errors import LtError
from lt_lightning.losses import (
    BalancedSoftmax,
    CombinationFactory,
    ContrastFactory,
    CrossEntropy,
    ExpertViews,
    InverseSoftmax,
    LossFactory,
    MeanLogits,
    SupSiam,
)
from lt_lightning.models.backbones import BackboneFactory, BackboneName
from lt_lightning.models.classifiers import ClassifierName
from lt_lightning.modules.base import LongTailModule
from lt_lightning.optimizers import SAM


class ContrastiveExperts(LongTailModule):
    """Multiple Contrastive Expert Model: experts that share a trunk, each with a skill and a contrastive term.

    The loss is ``skill_weight * sum_e skill_e + contrast_weight * contrast``. Skills are learnt on the batch's images,
    the contrastive term on further views of them (``data.num_views``), or on the images themselves where there are
    none. Heads belong to the term: prediction does without them.

    Args:
        class_counts: Training images of each class; the command takes them from the data.
        losses: One loss for each expert: its skill.
        contrast: What experts learn from comparing images.
        skill_weight: Weight of the experts' own losses.
        contrast_weight: Weight of the contrastive term.
        backbone: Name of the network, or a class of one's own.
        shared_stages: Stages that the experts share, from the input on.
        classifier: Last layer of each expert.
        combination: How the experts' logits become one prediction; the mean of raw logits by default.

    Raises:
        LtError: Fitting starts with data that are drawn class-balanced, or whose images are mixed and have no views, or
            with :class:`~lt_lightning.optimizers.SAM` and a term that remembers.
    """

    def __init__(
        self,
        class_counts: list[int],
        losses: list[LossFactory] = [CrossEntropy, BalancedSoftmax, InverseSoftmax],  # noqa: B006 - as in the base
        contrast: ContrastFactory = SupSiam,
        skill_weight: float = 0.5,
        contrast_weight: float = 0.5,
        backbone: BackboneName | BackboneFactory = "resnet32_reduced",
        shared_stages: int = 1,
        classifier: ClassifierName = "cosine",
        combination: CombinationFactory = MeanLogits,
    ) -> None:
        super().__init__(class_counts, losses, backbone, shared_stages, classifier, combination)
        counts = torch.tensor(class_counts, dtype=torch.float32)
        self.contrast = contrast(counts, len(losses), self.net.num_features)
        self.skill_weight, self.contrast_weight = skill_weight, contrast_weight

    def on_fit_start(self) -> None:
        """Refuse images that are compared, as there are no views, and mixed, and to remember each batch twice."""
        super().on_fit_start()
        data: LongTailDataModule = self.trainer.datamodule  # type: ignore[attr-defined]
        if data.num_views == 0 and not isinstance(data.mix, nn.Identity):
            what = "without views, images themselves are compared, and mixed ones are of no single class"
            raise LtError(what, "data.mix", "set it to null, or data.num_views to 2")
        if self.contrast.remembers and any(isinstance(optimizer, SAM) for optimizer in self.trainer.optimizers):
            what = f"SAM takes the loss of a batch twice, and {type(self.contrast).__name__} would remember it twice"
            raise LtError(what, "optimizer", "use SGD, or a contrastive term without memory or queue")

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Skills on images ``(B, 3, H, W)``, the contrastive term on their views."""
        features = self.net.features(batch["image"])
        skill = self.skill(self.net.classify(features), batch["target"])
        views = [self.net.features(view) for view in batch["views"]] or [features]  # batch norm sees view by view
        contrast = self.contrast(self.compared(torch.stack(views, 1), batch))
        return {
            "loss": self.skill_weight * skill + self.contrast_weight * contrast,
            "skill": skill.detach(),
            "contrast": contrast.detach(),
        }

    def compared(self, features: Tensor, batch: Batch) -> ExpertViews:
        """What the contrastive term may compare, of features ``(E, V, B, D)``."""
        logits = torch.stack([self.net.classify(view) for view in features.unbind(1)], 1)
        return ExpertViews(features, logits, self.net.class_vectors, batch["label"], batch["step_seed"])
