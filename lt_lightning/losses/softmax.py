"""Cross-entropy under a prior: the skills of students and experts.

Each loss is the cross-entropy of ``logits + offset``. Trained so, the raw logits behave as if classes had the training
prior (no offset), a uniform prior (offset log pi) or a reversed one: that is what makes each student good at different
classes.

- [Menon et al., 2021] Long-tail learning via logit adjustment. https://arxiv.org/abs/2007.07314
- [Ren et al., 2020] Balanced Meta-Softmax for Long-Tailed Visual Recognition. https://arxiv.org/abs/2007.10740
- [Zhang et al., 2022] SADE. https://arxiv.org/abs/2107.09249
"""

from torch import Tensor
from torch.nn import functional as F

from lt_lightning.losses.base import LongTailLoss
from lt_lightning.losses.priors import log_prior, log_reversed_prior


class CrossEntropy(LongTailLoss):
    """Cross-entropy; the raw logits keep the training prior, so the head is favoured.

    Args:
        class_counts: Training images of each class, ``(C,)``.
    """

    is_exact = True

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy in nats of ``logits + offset``, ``(B, C)``, in float32 even under autocast.

        The mean over images, weighted where classes have weights, as in
        :class:`~lt_lightning.losses.expected.ExpectedLoss`: a class and its one-hot row cost the same.
        """
        loss = F.cross_entropy(logits.float() + self.offset, target, self.class_weight)
        if self.class_weight is None or not target.is_floating_point():
            return loss
        return loss * len(target) / (target * self.class_weight).sum()  # torch divides mixtures by their number


class LogitAdjustment(CrossEntropy):
    """Cross-entropy of ``logits + tau * log pi`` [Menon et al., 2021].

    Args:
        class_counts: Training images of each class, ``(C,)``.
        tau: Strength; 0 is cross-entropy, 1 balanced softmax, more favours the tail.
    """

    def __init__(self, class_counts: Tensor, tau: float = 1.0) -> None:
        super().__init__(class_counts)
        self.offset.copy_(tau * log_prior(class_counts))


class BalancedSoftmax(LogitAdjustment):
    """Cross-entropy of ``logits + log pi``; the raw logits have a uniform prior [Ren et al., 2020].

    Args:
        class_counts: Training images of each class, ``(C,)``.
    """

    def __init__(self, class_counts: Tensor) -> None:
        super().__init__(class_counts, tau=1.0)


class InverseSoftmax(CrossEntropy):
    """Cross-entropy of ``logits + log pi - tau * log pi~``; the raw logits favour the tail [Zhang et al., 2022].

    ``pi~`` is the prior with its order reversed. On an exponential profile the offset is ``(1 + tau) log pi`` up to a
    constant.

    Args:
        class_counts: Training images of each class, ``(C,)``.
        tau: Strength of the reversed prior.
    """

    def __init__(self, class_counts: Tensor, tau: float = 2.0) -> None:
        super().__init__(class_counts)
        self.offset.copy_(log_prior(class_counts) - tau * log_reversed_prior(class_counts))
