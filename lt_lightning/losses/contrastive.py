"""Contrastive terms: what experts learn from comparing images.

A term owns the heads it compares with, so a model predicts, and is exported, without them. Cosines and exponentials are
computed in float32 even under autocast. On several processes the batch is that of all of them.

- [Khosla et al., 2020] Supervised Contrastive Learning (SupCon). https://arxiv.org/abs/2004.11362
- [Zhu et al., 2022] Balanced Contrastive Learning for Long-Tailed Visual Recognition (BCL).
  https://arxiv.org/abs/2207.09052
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lt_lightning.losses.gather import gather
from lt_lightning.losses.heads import directions, each, mlp, weighted_similarity
from lt_lightning.losses.memory import EMPTY, ClassMemory


class ExpertViews(NamedTuple):
    """What a contrastive term may compare: V views of each of B images, as E experts see them."""

    features: Tensor  # (E, V, B, D)
    logits: Tensor  # (E, V, B, C), raw
    class_vectors: Tensor  # (E, C, D), the rows of the experts' classifiers
    target: Tensor  # (B,), classes
    seed: int | Tensor  # of what a term draws, the same on all processes; in a compiled step a tensor on the CPU


class ContrastiveTerm(nn.Module):
    """A loss on views of images.

    Args:
        class_counts: Training images of each class, ``(C,)``.
        num_experts: E.
        num_features: D, the length of a feature vector.

    Attributes:
        remembers: Whether projections are kept for later batches, so that the loss of each batch may be taken but once.
    """

    remembers = False

    def __init__(self, class_counts: Tensor, num_experts: int, num_features: int) -> None:
        super().__init__()

    def forward(self, views: ExpertViews) -> Tensor:
        """Sum over experts of the mean loss of the whole batch."""
        raise NotImplementedError


NOWHERE = -1e9
"""A logit whose exponential is zero; finite, so that a row of nothing else has a gradient."""

ContrastFactory = Callable[[Tensor, int, int], ContrastiveTerm]
"""Builds a term from class counts ``(C,)``, E and D; in YAML, the name of a term with its own arguments."""


class SupCon(ContrastiveTerm):
    """Images of a class attract, others repel: each expert's supervised contrastive loss [Khosla et al., 2020].

    The loss of an image is the mean over its positives of ``-log(exp(z_i z_p / t) / sum_k exp(z_i z_k / t))``, k over
    all but itself; an image without positives costs nothing.

    Args:
        class_counts: Training images of each class, ``(C,)``.
        num_experts: E.
        num_features: D, the length of a feature vector.
        temperature: t.
        dim: Length of the projections that are compared.
        memory: Past projections of each class that are compared with, too.

    Raises:
        ValueError: The temperature is not positive.
    """

    def __init__(
        self,
        class_counts: Tensor,
        num_experts: int,
        num_features: int,
        temperature: float = 0.1,
        dim: int = 128,
        memory: int = 0,
    ) -> None:
        super().__init__(class_counts, num_experts, num_features)
        if not temperature > 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        self.temperature, self.num_classes = temperature, len(class_counts)
        self.projectors = nn.ModuleList(mlp(num_features, dim) for _ in range(num_experts))
        self.memory = ClassMemory(num_experts, self.num_classes, memory, dim)
        self.remembers = memory > 0

    def forward(self, views: ExpertViews) -> Tensor:
        """Sum over experts of the mean over images and views."""
        num_views = views.features.shape[1]
        anchor = gather(directions(each(self.projectors, views.features)), dim=2).flatten(1, 2)
        label = gather(views.target).repeat(num_views)
        others, others_label = self.others(views, anchor, label)
        self.memory.remember(anchor.detach(), label)
        place, known = others_label.clamp(min=0), others_label != EMPTY
        number = anchor.new_zeros(self.num_classes).index_add_(0, place, known.to(anchor.dtype))
        weight = self.log_weight(number)[place].where(known, NOWHERE)
        positives = number[label] - 1  # the anchor is none of its own
        weight = weight.where(label.unsqueeze(1) != others_label, self.log_weight(positives).unsqueeze(1))
        weight.diagonal().fill_(NOWHERE)
        normaliser = weighted_similarity(anchor / self.temperature, others, weight).logsumexp(-1)
        of_class = others.new_zeros(len(others), self.num_classes, others.shape[-1]).index_add(1, place, others)
        similar = (anchor * (of_class[:, label] - anchor)).sum(-1) / self.temperature
        loss = (normaliser - similar / positives.clamp(min=1)) * (positives > 0)
        return loss.sum() / (positives > 0).sum().clamp(min=1)

    def others(self, views: ExpertViews, anchor: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Directions ``(E, M, P)`` that anchors ``(E, N, P)`` are compared with, first of all themselves; classes."""
        remembered, remembered_label = self.memory.recall()
        return torch.cat([anchor, remembered], 1), torch.cat([label, remembered_label])

    def log_weight(self, number: Tensor) -> Tensor:
        """Logarithm of the weight in the denominator of each of so many images of a class."""
        return torch.zeros_like(number)


class BalancedContrast(SupCon):
    """Supervised contrast in which each class weighs alike [Zhu et al., 2022].

    In the denominator the terms of a class are averaged, and a learnt prototype of each class, a map of the expert's
    class vector, is one more image of it: each class is in every batch.

    Args:
        class_counts: Training images of each class, ``(C,)``.
        num_experts: E.
        num_features: D, the length of a feature vector.
        temperature: t.
        dim: Length of the projections that are compared.
        memory: Past projections of each class that are compared with, too.

    Raises:
        ValueError: The temperature is not positive.
    """

    def __init__(
        self,
        class_counts: Tensor,
        num_experts: int,
        num_features: int,
        temperature: float = 0.1,
        dim: int = 128,
        memory: int = 0,
    ) -> None:
        super().__init__(class_counts, num_experts, num_features, temperature, dim, memory)
        self.prototypes = nn.ModuleList(mlp(num_features, dim) for _ in range(num_experts))

    def others(self, views: ExpertViews, anchor: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Anchors, what is remembered, and the prototypes."""
        others, others_label = super().others(views, anchor, label)
        prototypes = directions(each(self.prototypes, views.class_vectors.unsqueeze(1))).squeeze(1)
        classes = torch.arange(prototypes.shape[1], device=label.device)
        return torch.cat([others, prototypes], 1), torch.cat([others_label, classes])

    def log_weight(self, number: Tensor) -> Tensor:
        """One over their number."""
        return -number.clamp(min=1).log()
