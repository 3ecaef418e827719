"""MDCS: experts under different priors, each of which teaches itself from easier images.

- [Zhao et al., 2023] MDCS: More Diverse Experts with Consistency Self-distillation for Long-tailed Recognition.
  https://arxiv.org/abs/2308.09922
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lt_lightning.data.base import Batch, LongTailDataModule
from lt_lightning.errors import LtError
from lt_lightning.losses import (
    Aligned,
    BalancedSoftmax,
    CombinationFactory,
    CrossEntropy,
    InverseSoftmax,
    LossFactory,
    MeanLogits,
)
from lt_lightning.models.backbones import BackboneFactory, BackboneName
from lt_lightning.models.classifiers import ClassifierName
from lt_lightning.models.experts import MultiExpert, NetworkFactory
from lt_lightning.modules.base import LongTailModule


class SelfDistillation(LongTailModule):
    """More Diverse experts with Consistency Self-distillation: each expert learns from its own view of easier images.

    The batch's image is strongly augmented, its one view (``data.num_views``, ``data.view_augment``) weakly. The loss
    is ``sum_e skill_e + distill_weight * sum_e kl_e``. Skills are means over both. kl_e is KL(view || image) in the
    logits of expert e plus the offset of its loss, without gradient to the view: a mean over the images whose view
    these logits put into the right class [Zhao et al., 2023].

    Args:
        class_counts: Training images of each class; the command takes them from the data.
        losses: One loss for each expert; [Zhao et al., 2023] take logit adjustment of strength -0.5, 1 and 2.5.
        distill_weight: Weight of self-distillation; the authors let it rise from 0 in the first 20 epochs.
        backbone: Name of the network, or a class of one's own.
        shared_stages: Stages that the experts share, from the input on.
        classifier: Last layer of each expert.
        combination: How the experts' logits become one prediction; the mean of raw logits by default.
        network: How experts share the backbone; by default each owns the stages that are not shared.

    Raises:
        LtError: Fitting starts with data of no view, or of several, or whose images are mixed.
    """

    def __init__(
        self,
        class_counts: list[int],
        losses: list[LossFactory] = [CrossEntropy, BalancedSoftmax, InverseSoftmax],  # noqa: B006 - as in the base
        distill_weight: float = 0.6,
        backbone: BackboneName | BackboneFactory = "resnet32_reduced",
        shared_stages: int = 1,
        classifier: ClassifierName = "cosine",
        combination: CombinationFactory = MeanLogits,
        network: NetworkFactory = MultiExpert,
    ) -> None:
        super().__init__(class_counts, losses, backbone, shared_stages, classifier, combination, network)
        self.distill_weight, self.aligned = distill_weight, Aligned()

    def on_fit_start(self) -> None:
        """Refuse data without the view, or whose images are not those of the view, or drawn class-balanced."""
        super().on_fit_start()
        data: LongTailDataModule = self.trainer.datamodule  # type: ignore[attr-defined]
        if data.num_views != 1:
            what = f"self-distillation compares an image with one view of it, got {data.num_views}"
            raise LtError(what, "data.num_views", "set it to 1, and data.view_augment to weak augmentations")
        if not isinstance(data.mix, nn.Identity):
            what = "self-distillation compares an image with its view, of which mixing would leave the one as it is"
            raise LtError(what, "data.mix", "set it to null")

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Skills and self-distillation on images and views ``(B, 3, H, W)``, which batch norm sees together."""
        expert_logits = self.net(torch.cat([batch["image"], *batch["views"]]))
        strong, weak = expert_logits.chunk(2, dim=1)
        skill = (self.skill(strong, batch["target"]) + self.skill(weak, batch["label"])) / 2
        distill = consistency(self.aligned(weak, self.offset), self.aligned(strong, self.offset), batch["label"])
        return {
            "loss": skill + self.distill_weight * distill,
            "skill": skill.detach(),
            "distill": distill.detach(),
        }


def consistency(weak: Tensor, strong: Tensor, label: Tensor) -> Tensor:
    """KL(softmax(weak) || softmax(strong)) in nats, without gradient to ``weak``.

    The sum over experts of means over the images whose weak view the expert puts into the right class; 0 for an expert
    that is never right.

    Args:
        weak: Logits ``(E, B, C)``.
        strong: Logits ``(E, B, C)``.
        label: Classes ``(B,)``.
    """
    right = weak.argmax(-1) == label
    weak, strong = F.log_softmax(weak.detach().float(), dim=-1), F.log_softmax(strong.float(), dim=-1)
    divergence = F.kl_div(strong, weak, reduction="none", log_target=True).sum(-1)
    return ((divergence * right).sum(1) / right.sum(1).clamp(min=1)).sum()
