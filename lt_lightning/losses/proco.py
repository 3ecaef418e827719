"""Probabilistic contrast: against the distribution of each class instead of the images of a batch.

- [Du et al., 2024] Probabilistic Contrastive Learning for Long-Tailed Visual Recognition (ProCo).
  https://arxiv.org/abs/2403.06726
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lt_lightning.losses.contrastive import ContrastiveTerm, ExpertViews
from lt_lightning.losses.gather import gather
from lt_lightning.losses.heads import directions, each, mlp, similarity
from lt_lightning.losses.priors import log_prior
from lt_lightning.losses.von_mises_fisher import MIN_DIM, concentration, log_normaliser_ratio


class EpochMeans(nn.Module):
    """Mean projection of each class over the last epoch and what was seen of the present one; part of checkpoints.

    An epoch is over when as many images were seen as the training set has. Counted so, it needs no one to tell it, and
    a run that resumes goes on exactly. Where an epoch leaves images out, because they make no whole batch, the count
    is late by those few.

    Args:
        num_experts: E.
        class_counts: Training images of each class, ``(C,)``.
        dim: P, the length of a projection.
    """

    total: Tensor  # (2, E, C, P), sums over the last epoch and the present one
    count: Tensor  # (2, C), how many were summed
    seen: Tensor  # (), images of the present epoch

    def __init__(self, num_experts: int, class_counts: Tensor, dim: int) -> None:
        super().__init__()
        self.epoch = int(class_counts.sum())
        self.register_buffer("total", torch.zeros(2, num_experts, len(class_counts), dim))
        self.register_buffer("count", torch.zeros(2, len(class_counts)))
        self.register_buffer("seen", torch.tensor(0))

    @torch.no_grad()
    def include(self, projection: Tensor, label: Tensor, num_images: int) -> None:
        """Add projections ``(E, N, P)`` of classes ``(N,)``, which are views of so many images."""
        over = self.seen >= self.epoch
        self.seen += num_images - self.epoch * over
        for sums in (self.total, self.count):
            sums[0] = torch.where(over, sums[1], sums[0])
            sums[1] *= ~over
        self.total[1].index_add_(1, label, projection.to(self.total.dtype))
        self.count[1].index_add_(0, label, torch.ones_like(label, dtype=self.count.dtype))

    def forward(self) -> Tensor:
        """Means ``(E, C, P)``; zero for a class that was not seen."""
        return self.total.sum(0) / self.count.sum(0).clamp(min=1).unsqueeze(-1)


class ProbabilisticContrast(ContrastiveTerm):
    """Each class is a von Mises-Fisher distribution, and images are drawn to their own: ProCo [Du et al., 2024].

    The loss of a view is the cross-entropy of the logits ``log pi_c + log C_p(kappa_c) - log C_p(kappa~_c)`` with
    ``kappa~_c = |kappa_c mu_c + z / t|``: the limit of a supervised contrastive loss that compares z with ever more
    images drawn from the distributions. Directions mu and concentrations kappa follow from each class's mean projection
    over the last epoch and the present one, the batch itself included; they have no gradient.

    Small things differ from the published code: concentrations are [Banerjee et al., 2005]'s, where the code leaves out
    a term below 1 / p; all views of a batch are in the means when the first of them is compared; a class that was not
    seen yet has concentration 0, so it is uniform on the sphere, instead of a random direction; the Bessel functions
    are exact for all concentrations.

    Args:
        class_counts: Training images of each class, ``(C,)``.
        num_experts: E.
        num_features: D, the length of a feature vector.
        temperature: t.
        dim: p, the length of the projections.

    Raises:
        ValueError: The temperature is not positive, or ``dim`` is too small for the expansion of the Bessel functions.
    """

    remembers = True
    log_prior: Tensor

    def __init__(
        self,
        class_counts: Tensor,
        num_experts: int,
        num_features: int,
        temperature: float = 0.1,
        dim: int = 128,
    ) -> None:
        super().__init__(class_counts, num_experts, num_features)
        if not temperature > 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        if dim < MIN_DIM:
            raise ValueError(f"dim must be at least {MIN_DIM}, got {dim}")
        self.temperature = temperature
        self.register_buffer("log_prior", log_prior(class_counts), persistent=False)
        self.projectors = nn.ModuleList(mlp(num_features, dim) for _ in range(num_experts))
        self.means = EpochMeans(num_experts, class_counts, dim)

    def forward(self, views: ExpertViews) -> Tensor:
        """Sum over experts of the mean over images and views of the whole batch."""
        projection = gather(directions(each(self.projectors, views.features)), dim=2).flatten(1, 2)
        label = gather(views.target)
        labels = label.repeat(views.features.shape[1])
        self.means.include(projection, labels, len(label))
        logits = (self.log_ratio(projection, self.means()) + self.log_prior).flatten(0, 1)
        return F.cross_entropy(logits, labels.repeat(len(projection)), reduction="sum") / len(labels)

    def log_ratio(self, projection: Tensor, mean: Tensor) -> Tensor:
        """``log C_p(kappa_c) - log C_p(kappa~_c)``, ``(E, N, C)``, of ``(E, N, P)`` and class means ``(E, C, P)``."""
        kappa = concentration(mean)
        centre = kappa.unsqueeze(-1) * F.normalize(mean, dim=-1)  # has no gradient that a short mean could blow up
        pull = similarity(projection, centre) * 2 / self.temperature
        length = (projection / self.temperature).square().sum(-1, keepdim=True)
        return log_normaliser_ratio(kappa.square().unsqueeze(1), pull + length, mean.shape[-1])
