"""SHIKE: experts of different depth teach each other.

Both terms divide by the number of classes: the official code averages divergences over images *and* classes, and its
weights, 10 and 1, belong to that.

- [Jin et al., 2023] Long-Tailed Visual Recognition via Self-Heterogeneous Integration with Knowledge Excavation
  (SHIKE). https://arxiv.org/abs/2304.01279
"""

import torch
from torch import Tensor

from lt_lightning.losses.distillation import kl_divergence
from lt_lightning.losses.ensemble import EnsembleTerm, mutual_divergence


class MutualDistillation(EnsembleTerm):
    """``weight / C * sum_{i != j} KL(q_i || q_j)`` of the experts' raw probabilities q, as in the code of SHIKE.

    Gradients flow to both sides. Only logits count; targets and offsets do not.

    Args:
        class_counts: Training images of each class, ``(C,)``.
        weight: Weight of the term.
    """

    def __init__(self, class_counts: Tensor, weight: float = 1.0) -> None:
        super().__init__(class_counts)
        self.weight = weight / len(class_counts)

    def forward(self, expert_logits: Tensor, offset: Tensor, target: Tensor) -> Tensor:
        """Loss in nats of raw logits ``(E, B, C)``."""
        return self.weight * mutual_divergence(expert_logits)


class HardNegatives(EnsembleTerm):
    """Suppression of the hardest negative class, SHIKE's dynamic knowledge transfer [Jin et al., 2023].

    Among the classes that an image does not have, the hardest is the one whose mean logit over experts is largest. A
    reference takes that mean for it and the largest logit of any expert for every other, so the hardest loses against
    them; each expert's distribution over these C - 1 classes learns from it,
    ``weight / C * sum_e KL(reference || expert e)``. Gradients flow to both sides, as in the official code.

    The image's own class takes no part here. The official code leaves it in, with logit 0 in the reference and -30 in
    the experts, which is the same once logits are spread over some units. Of class probabilities, the most probable
    class is the image's own. Offsets do not count.

    Args:
        class_counts: Training images of each class, ``(C,)``.
        weight: Weight of the term.
    """

    def __init__(self, class_counts: Tensor, weight: float = 10.0) -> None:
        super().__init__(class_counts)
        self.weight = weight / len(class_counts)

    def forward(self, expert_logits: Tensor, offset: Tensor, target: Tensor) -> Tensor:
        """Loss in nats of raw logits ``(E, B, C)`` against classes ``(B,)`` or class probabilities ``(B, C)``."""
        own = (target.argmax(-1) if target.is_floating_point() else target).unsqueeze(-1)
        rank = torch.arange(expert_logits.shape[-1] - 1, device=own.device)
        negative = rank + (rank >= own)  # (B, C - 1): every class but the image's own
        logits = expert_logits.float().gather(-1, negative.expand(len(expert_logits), -1, -1))
        mean = logits.mean(0)
        hardest = mean.argmax(-1, keepdim=True)
        reference = logits.amax(0).scatter(-1, hardest, mean.gather(-1, hardest))
        return self.weight * len(logits) * kl_divergence(reference.expand_as(logits), logits)
