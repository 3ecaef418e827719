"""RIDE: experts are pushed apart.

- [Wang et al., 2021] Long-tailed Recognition by Routing Diverse Distribution-Aware Experts (RIDE).
  https://arxiv.org/abs/2010.01809
"""

import math

from torch import Tensor

from lt_lightning.losses.distillation import kl_divergence
from lt_lightning.losses.ensemble import EnsembleTerm


class DistributionAwareDiversity(EnsembleTerm):
    """Divergence of each expert from the mean of all, summed over experts [Wang et al., 2021].

    ``weight * T^2 * sum_e KL(softmax(mean / T) || softmax(z_e / T))``. The mean of logits is where that sum is least,
    so no gradient reaches the experts through it. T depends on the class whose logit it divides, in proportion to
    ``1 - r + r C pi``, and is ``temperature`` for the most frequent; its mean over classes is squared. As in the
    official code, whose experts have the loss LDAM, ``DeferredReweighting`` defers that to the epoch from which classes
    have weights: until then T is ``temperature`` for all. Without that callback T depends on the class from the start.
    Only logits count, not targets and offsets.

    Args:
        class_counts: Training images of each class, ``(C,)``.
        weight: Below zero pushes apart; the official values are -0.45 on CIFAR and -0.2 on larger sets.
        temperature: Largest T.
        r: How much T depends on the class: 0.05 on CIFAR, 0.02 on ImageNet-LT, 0.015 on iNaturalist 2018.

    Raises:
        ValueError: ``temperature`` is not positive and finite, or ``r`` is not in [0, 1).

    Attributes:
        reweighted: Whether T depends on the class.
    """

    class_temperature: Tensor
    reweighted: bool

    def __init__(self, class_counts: Tensor, weight: float = -0.45, temperature: float = 1.0, r: float = 0.05) -> None:
        super().__init__(class_counts)
        if not (0 < temperature < math.inf and 0 <= r < 1):
            raise ValueError(f"temperature must be positive and r lie in [0, 1), got {temperature} and {r}")
        self.weight, self.reweighted = weight, True
        relative = 1 - r + r * class_counts / class_counts.mean()
        self.register_buffer("class_temperature", temperature * relative / relative.max(), persistent=False)

    def forward(self, expert_logits: Tensor, offset: Tensor, target: Tensor) -> Tensor:
        """Loss in nats of raw logits ``(E, B, C)``."""
        temperature = self.class_temperature if self.reweighted else self.class_temperature.max()
        scaled = expert_logits.float() / temperature
        divergence = kl_divergence(scaled.mean(0).detach().expand_as(scaled), scaled)
        return self.weight * temperature.mean() ** 2 * len(scaled) * divergence
