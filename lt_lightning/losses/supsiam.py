"""The contrastive term of MCEM as published: attraction without negatives.

- [Wang et al., 2024] Multiple Contrastive Experts for long-tailed image classification (MCE).
  https://doi.org/10.1016/j.eswa.2024.124613
- [Chen & He, 2021] SimSiam. https://arxiv.org/abs/2011.10566
"""

import torch
from torch import Tensor, nn

from lt_lightning.losses.contrastive import ContrastiveTerm, ExpertViews
from lt_lightning.losses.gather import gather
from lt_lightning.losses.heads import directions, each, predictor, projector, similarity
from lt_lightning.losses.memory import ClassMemory


@torch.compiler.disable  # type: ignore[untyped-decorator]  # a generator of its own is nothing for a compiler
def draw_positives(label: Tensor, others_label: Tensor, num_experts: int, positives: int, seed: int | Tensor) -> Tensor:
    """Draw up to ``positives`` others of the class of each image, for each expert anew.

    Args:
        label: Classes of the images, ``(B,)``.
        others_label: Classes of those to draw from, ``(M,)``, first of all the images themselves.
        num_experts: E.
        positives: Draws for an image; fewer where its class has fewer others.
        seed: Of the draws.

    Returns:
        Mask ``(E, B, M)``.
    """
    generator = torch.Generator(label.device).manual_seed(int(seed))
    same = (label.unsqueeze(1) == others_label).fill_diagonal_(False)
    lot = torch.rand(num_experts, *same.shape, generator=generator, device=label.device).masked_fill(~same, -1)
    highest = lot.topk(min(positives, len(others_label)), dim=-1)
    return torch.zeros_like(lot, dtype=torch.bool).scatter_(-1, highest.indices, highest.values >= 0)


class SupSiam(ContrastiveTerm):
    """Each expert draws images of a class, and views of an image, together [Wang et al., 2024].

    With p what the predictor and z what the projector gives, z without gradient, the loss is ``1 + sup_weight * sup +
    self_weight * self``. ``sup`` sums over experts, and over the positives that each drew for an image, the negative
    mean of cos(p_i, z_j) and cos(p_j, z_i) in the first view; ``self`` is the mean over experts and pairs of views of
    -cos(p_i, z_i'). Both are means over images. An image whose class is alone in the batch has ``self`` only, and
    with a single view there is no ``self``. The constant is the published one; it has no gradient.

    Args:
        class_counts: Training images of each class, ``(C,)``.
        num_experts: E.
        num_features: D, the length of a feature vector.
        positives: Images of its class drawn for each image, by each expert anew.
        sup_weight: 1 as published; 1 / E makes the loss's scale independent of E.
        self_weight: 0 leaves attraction between images only.
        hidden: Width of the projector; on CIFAR 1024, for ResNeXt-50 1536, for ResNet-50 and 152 2048.
        dim: Length of projections; on CIFAR 1024, on larger images 2048.
        memory: Past projections of each class that may be drawn, too: positives for poor classes.

    Raises:
        ValueError: ``positives`` is below 1.
    """

    def __init__(
        self,
        class_counts: Tensor,
        num_experts: int,
        num_features: int,
        positives: int = 1,
        sup_weight: float = 1.0,
        self_weight: float = 1.0,
        hidden: int = 1024,
        dim: int = 1024,
        memory: int = 0,
    ) -> None:
        super().__init__(class_counts, num_experts, num_features)
        if positives < 1:
            raise ValueError(f"positives must be at least 1, got {positives}")
        self.positives, self.sup_weight, self.self_weight = positives, sup_weight, self_weight
        self.projectors = nn.ModuleList(projector(num_features, hidden, dim) for _ in range(num_experts))
        self.predictors = nn.ModuleList(predictor(dim) for _ in range(num_experts))
        self.memory = ClassMemory(num_experts, len(class_counts), memory, dim)
        self.remembers = memory > 0

    def forward(self, views: ExpertViews) -> Tensor:
        """``1 + sup_weight * sup + self_weight * self`` of the whole batch."""
        projection = each(self.projectors, directions(views.features))
        prediction = gather(directions(each(self.predictors, projection)), dim=2)
        target = gather(directions(projection.detach()), dim=2)
        label = gather(views.target)
        sup = self.attraction(prediction[:, 0], target[:, 0], label, views.seed)
        return 1 + self.sup_weight * sup + self.self_weight * self_attraction(prediction, target)

    def draw(self, label: Tensor, others_label: Tensor, num_experts: int, seed: int | Tensor) -> Tensor:
        """Which of the others, of classes ``(M,)``, each expert draws for each image, ``(E, B, M)``."""
        drawn: Tensor = draw_positives(label, others_label, num_experts, self.positives, seed)
        return drawn

    def attraction(self, prediction: Tensor, target: Tensor, label: Tensor, seed: int | Tensor) -> Tensor:
        """``sup`` of directions ``(E, B, P)`` of images of classes ``(B,)``."""
        remembered, remembered_label = self.memory.recall()
        others_label = torch.cat([label, remembered_label])
        drawn = self.draw(label, others_label, len(prediction), seed)
        cosine = similarity(prediction, torch.cat([target, remembered], 1))
        inside = cosine[..., : len(label)]
        symmetric = torch.cat([(inside + inside.mT) / 2, cosine[..., len(label) :]], -1)
        self.memory.remember(target, label)
        return -(symmetric * drawn).sum() / len(label)


class SharedSupSiam(SupSiam):
    """:class:`SupSiam` whose experts all draw the same positives; for ablations. Arguments are the same."""

    def draw(self, label: Tensor, others_label: Tensor, num_experts: int, seed: int | Tensor) -> Tensor:
        """Which of the others, of classes ``(M,)``, are drawn for each image, ``(E, B, M)``."""
        return super().draw(label, others_label, 1, seed).expand(num_experts, -1, -1)


def self_attraction(prediction: Tensor, target: Tensor) -> Tensor:
    """Negative mean cosine between different views of an image, of directions ``(E, V, B, P)``; 0 for one view."""
    num_experts, num_views, size = prediction.shape[:3]
    cosine = similarity(prediction.transpose(1, 2), target.transpose(1, 2))  # (E, B, V, V)
    between = cosine.sum() - cosine.diagonal(dim1=-2, dim2=-1).sum()
    return -between / (num_experts * size * max(num_views * (num_views - 1), 1))
