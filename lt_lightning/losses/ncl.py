"""NCL: networks learn from each other, on all classes and on the hardest.

- [Li et al., 2022] Nested Collaborative Learning for Long-Tailed Visual Recognition (NCL).
  https://arxiv.org/abs/2203.15359
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from lt_lightning.losses.ensemble import EnsembleTerm, mutual_divergence


class NestedCollaboration(EnsembleTerm):
    """What NCL adds to the experts' balanced softmax [Li et al., 2022].

    In balanced logits ``u_e = z_e + log n``: each expert's cross-entropy on its image's hardest classes, and mutual
    distillation of the experts, on all classes and on the hardest,

        sum_e CE(u_e o m) + distill_weight / (E - 1) * sum_{i != j} [KL(q_i || q_j) + KL(q_i^m || q_j^m)]

    with q = softmax(u) and q^m = softmax(u o m). The mask m keeps the image's own class and the others in which the
    *first* expert's raw logit is largest; it sets u of the rest to zero, not to minus infinity, and that is why the
    constant in u counts. Gradients flow to both sides of the divergences. All this is as in the official code. Full NCL
    also has a contrastive loss against a momentum queue (MoCo), of weight 1, which is *not* part of this term.

    log n is taken from the offsets of the experts' own losses, which NCL wants to be ``BalancedSoftmax``; its
    ``CE(u_e)`` is their loss, so this term does not repeat it. Of a mixture, as mixup makes, all classes are kept.

    Args:
        class_counts: Training images of each class, ``(C,)``.
        num_hardest: Classes that the mask keeps, the image's own included: 30 for CIFAR-100-LT, 300 for ImageNet-LT,
            122 for Places-LT, 2442 for iNaturalist 2018. More than C keeps all.
        distill_weight: Weight of mutual distillation.

    Raises:
        ValueError: ``num_hardest`` is below 2.
    """

    def __init__(self, class_counts: Tensor, num_hardest: int = 30, distill_weight: float = 0.6) -> None:
        super().__init__(class_counts)
        if num_hardest < 2:
            raise ValueError(f"num_hardest must be at least 2, the image's class and another, got {num_hardest}")
        self.log_total = class_counts.sum().log().item()  # offsets are log pi = log n - log_total
        self.num_hardest, self.distill_weight = min(num_hardest, len(class_counts)), distill_weight

    def forward(self, expert_logits: Tensor, offset: Tensor, target: Tensor) -> Tensor:
        """Loss in nats of raw logits ``(E, B, C)`` of experts trained with ``offset`` ``(E, C)``."""
        balanced = expert_logits.float() + offset.unsqueeze(1) + self.log_total
        hardest = balanced * self.mask(expert_logits[0].detach().float(), target)
        skill = torch.stack([F.cross_entropy(u, target) for u in hardest]).sum()
        distill = mutual_divergence(balanced) + mutual_divergence(hardest)
        return skill + self.distill_weight * distill / max(len(balanced) - 1, 1)

    def mask(self, logits: Tensor, target: Tensor) -> Tensor:
        """1 for an image's own class and the hardest others, 0 for the rest, ``(B, C)``, of one expert's logits."""
        own = target if target.is_floating_point() else F.one_hot(target, logits.shape[-1])
        first = logits.masked_fill(own > 0, math.inf)
        return torch.zeros_like(logits).scatter(-1, first.topk(self.num_hardest).indices, 1.0)
