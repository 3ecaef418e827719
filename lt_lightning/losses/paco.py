"""Parametric contrast: learnable class centres among the images that a softmax compares.

- [Cui et al., 2021] Parametric Contrastive Learning (PaCo). https://arxiv.org/abs/2107.12028
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lt_lightning.losses.contrastive import NOWHERE, ContrastiveTerm, ExpertViews
from lt_lightning.losses.gather import gather
from lt_lightning.losses.heads import directions, each, mlp, similarity
from lt_lightning.losses.memory import EMPTY
from lt_lightning.losses.priors import log_prior


class ProjectionQueue(nn.Module):
    """The last projections, whatever their class, for each expert; part of checkpoints.

    Args:
        num_experts: E.
        size: Projections K that are kept; 0 keeps nothing.
        dim: P, the length of a projection.

    Attributes:
        vectors: ``(E, K, P)``, the oldest first.
        label: Their classes ``(K,)``; ``EMPTY`` where nothing was kept yet.

    Raises:
        ValueError: The size is negative.
    """

    vectors: Tensor
    label: Tensor

    def __init__(self, num_experts: int, size: int, dim: int) -> None:
        super().__init__()
        if size < 0:
            raise ValueError(f"queue must not be negative, got {size}")
        self.register_buffer("vectors", torch.zeros(num_experts, size, dim))
        self.register_buffer("label", torch.full((size,), EMPTY))

    def push(self, projection: Tensor, label: Tensor) -> None:
        """Add projections ``(E, B, P)`` of classes ``(B,)``; as many of the oldest leave."""
        projection = projection.detach().to(self.vectors.dtype)
        self.vectors.copy_(torch.cat([self.vectors, projection], 1)[:, len(label) :])
        self.label.copy_(torch.cat([self.label, label])[len(label) :])


class ParametricContrast(ContrastiveTerm):
    """Images against class centres, other images and a queue, in one softmax: PaCo [Cui et al., 2021].

    Of an image of the first view, the logit of class c is ``(v_c + log pi_c) / centre_temperature``, where v are the
    expert's own logits: its classifier holds the centres, and prediction is the classifier's. The logit of another
    image is ``z_i z_k / temperature``, k over the other images of the view, all of the further views and the queue. The
    loss is the mean of ``-log softmax`` over the own centre, with weight 1, and images of the own class, each with
    weight ``alpha``. It contains the classification loss, so the experts' own losses have weight 0; these should be
    ``BalancedSoftmax``, which says that the logits carry a uniform prior.

    One thing differs from the published method: there is no second, slowly following network. Projections of further
    views, and those in the queue, are the network's own, without gradient; the queue takes those of the last view.

    Args:
        class_counts: Training images of each class, ``(C,)``.
        num_experts: E.
        num_features: D, the length of a feature vector.
        alpha: Weight of an image of the own class, where that of the centre is 1; 0.01 on CIFAR, 0.05 on larger sets.
        temperature: Of images; 0.05 on CIFAR.
        centre_temperature: Of the class centres.
        dim: Length of the projections that are compared; 32 on CIFAR.
        queue: Past projections that are compared with, too; 1024 on CIFAR, 8192 on larger sets.

    Raises:
        ValueError: A temperature is not positive, ``alpha`` or ``queue`` is negative.
    """

    log_prior: Tensor

    def __init__(
        self,
        class_counts: Tensor,
        num_experts: int,
        num_features: int,
        alpha: float = 0.01,
        temperature: float = 0.05,
        centre_temperature: float = 1.0,
        dim: int = 32,
        queue: int = 1024,
    ) -> None:
        super().__init__(class_counts, num_experts, num_features)
        if not min(temperature, centre_temperature) > 0:
            raise ValueError(f"temperatures must be positive, got {temperature} and {centre_temperature}")
        if not alpha >= 0:
            raise ValueError(f"alpha must not be negative, got {alpha}")
        self.alpha, self.temperature, self.centre_temperature = alpha, temperature, centre_temperature
        self.register_buffer("log_prior", log_prior(class_counts), persistent=False)
        self.projectors = nn.ModuleList(mlp(num_features, dim) for _ in range(num_experts))
        self.queue = ProjectionQueue(num_experts, queue, dim)
        self.remembers = queue > 0

    def forward(self, views: ExpertViews) -> Tensor:
        """Sum over experts of the mean over images of the whole batch, in their first view."""
        num_views = views.features.shape[1]
        projection = gather(directions(each(self.projectors, views.features)), dim=2)
        label = gather(views.target)
        logits = gather(views.logits[:, 0].float(), dim=1) + self.log_prior
        anchor, keys = projection[:, 0], projection[:, 1:].detach().flatten(1, 2)
        others = torch.cat([anchor, keys, self.queue.vectors], 1)
        others_label = torch.cat([label.repeat(num_views), self.queue.label])
        self.queue.push(projection[:, -1], label)
        compared = others_label != EMPTY
        compared = compared & ~torch.eye(len(label), len(others_label), dtype=torch.bool, device=label.device)
        similar = (similarity(anchor, others) / self.temperature).masked_fill(~compared, NOWHERE)
        log_prob = torch.cat([logits / self.centre_temperature, similar], -1).log_softmax(-1)
        positive = compared & (label.unsqueeze(1) == others_label)
        weight = torch.cat([F.one_hot(label, logits.shape[-1]), self.alpha * positive], -1)
        return -((weight * log_prob).sum(-1) / weight.sum(-1)).mean(1).sum()
