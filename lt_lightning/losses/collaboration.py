"""Experts that teach each other.

- [Li et al., 2022] Nested Collaborative Learning for Long-Tailed Visual Recognition (NCL).
  https://arxiv.org/abs/2203.15359
- [Jin et al., 2023] Long-Tailed Visual Recognition via Self-Heterogeneous Integration with Knowledge Excavation
  (SHIKE). https://arxiv.org/abs/2304.01279
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from lt_lightning.losses.distillation import kl_divergence
from lt_lightning.losses.ensemble import EnsembleTerm

NOWHERE = -1e9
"""A logit whose probability is zero; finite, so that it has a gradient."""


def hard(target: Tensor) -> Tensor:
    """Classes ``(B,)``; of class probabilities ``(B, C)`` the most probable."""
    return target.argmax(-1) if target.is_floating_point() else target


def mutual_divergence(logits: Tensor) -> Tensor:
    """Sum over ordered pairs of experts of KL(softmax of one || softmax of the other), of logits ``(E, B, C)``."""
    means = (kl_divergence(logits.roll(i, 0), logits) for i in range(1, len(logits)))
    return len(logits) * sum(means, start=logits.new_zeros(()))


class NestedCollaboration(EnsembleTerm):
    """Experts agree on all classes and on the hardest, where each also learns [Li et al., 2022].

    With ``u_e = v_e + log n`` and m the mask of an image's class and its highest others, ``hardest`` in all, as the
    first expert sees them, it is the sum over experts of the cross-entropy of ``u_e * m``, and ``weight / (E - 1)``
    times the divergences of all ordered pairs of ``u``, and of ``u * m``. What is masked is zero, as published, not
    left out. The experts' own loss on all classes is balanced softmax. NCL's momentum contrast is not part
    of it.

    Args:
        class_counts: Training images of each class, ``(C,)``.
        weight: Of agreement.
        hardest: Classes that a mask leaves: 30 on CIFAR-100-LT, 300 on ImageNet-LT.

    Raises:
        ValueError: ``hardest`` is below 1.
    """

    log_counts: Tensor

    def __init__(self, class_counts: Tensor, weight: float = 0.6, hardest: int = 30) -> None:
        super().__init__(class_counts)
        if hardest < 1:
            raise ValueError(f"hardest must be at least 1, got {hardest}")
        self.weight, self.hardest = weight, min(hardest, len(class_counts))
        self.register_buffer("log_counts", class_counts.clamp(min=1).log(), persistent=False)

    def forward(self, expert_logits: Tensor, offset: Tensor, target: Tensor) -> Tensor:
        """Loss in nats of raw logits ``(E, B, C)``, a mean over images; a mixed target's mask is its main class's."""
        logits = expert_logits.float()
        kept = logits[0].scatter(-1, hard(target).unsqueeze(-1), torch.inf).topk(self.hardest).indices
        mask = torch.zeros_like(logits[0]).scatter_(-1, kept, 1.0)
        balanced = logits + self.log_counts
        masked = balanced * mask
        learnt = torch.stack([F.cross_entropy(u, target) for u in masked]).sum()
        agreement = mutual_divergence(balanced) + mutual_divergence(masked)
        return learnt + self.weight / max(len(logits) - 1, 1) * agreement


class MutualDistillation(EnsembleTerm):
    """The divergence of all ordered pairs of experts, divided by the number of classes [Jin et al., 2023].

    Args:
        class_counts: Training images of each class, ``(C,)``.
        weight: Of the divergence.
    """

    def __init__(self, class_counts: Tensor, weight: float = 1.0) -> None:
        super().__init__(class_counts)
        self.weight = weight

    def forward(self, expert_logits: Tensor, offset: Tensor, target: Tensor) -> Tensor:
        """Loss in nats of raw logits ``(E, B, C)``, a mean over images; it takes no notice of targets."""
        logits = expert_logits.float()
        return self.weight * mutual_divergence(logits) / logits.shape[-1]


class HardNegatives(EnsembleTerm):
    """Experts learn of wrong classes: the hardest as the mean has it, others as the surest has them [Jin et al., 2023].

    The teacher's logit of the class that is hardest on average is that average, of all other wrong classes the largest
    of any expert. The loss sums KL(teacher || expert) over experts, on wrong classes alone, divided by the number of
    classes. Teacher and experts learn, as in the official code, where however the teacher gives the right class a
    logit of 0.

    Args:
        class_counts: Training images of each class, ``(C,)``.
        weight: Of the divergence.
    """

    def __init__(self, class_counts: Tensor, weight: float = 10.0) -> None:
        super().__init__(class_counts)
        self.weight = weight

    def forward(self, expert_logits: Tensor, offset: Tensor, target: Tensor) -> Tensor:
        """Loss in nats of raw logits ``(E, B, C)``, a mean over images; a mixed target counts as its main class."""
        right = hard(target).unsqueeze(-1)
        wrong = expert_logits.float().scatter(-1, right.expand(len(expert_logits), -1, -1), NOWHERE)
        mean = wrong.mean(0)
        hardest = mean.argmax(-1, keepdim=True)
        teacher = wrong.max(0).values.scatter(-1, hardest, mean.gather(-1, hardest))
        divergence = kl_divergence(teacher.expand_as(wrong), wrong) * len(wrong)
        return self.weight * divergence / wrong.shape[-1]
