"""Losses that weigh classes or images differently.

- [Cui et al., 2019] Class-Balanced Loss Based on Effective Number of Samples. https://arxiv.org/abs/1901.05555
- [Lin et al., 2017] Focal Loss for Dense Object Detection. https://arxiv.org/abs/1708.02002
- [Zhong et al., 2021] Improving Calibration for Long-Tailed Recognition (MiSLAS). https://arxiv.org/abs/2104.00466
- [Cao et al., 2019] LDAM-DRW, whose settings the field took over. https://arxiv.org/abs/1906.07413
"""

import math

import torch
from torch import Tensor

from lt_lightning.losses.expected import ExpectedLoss
from lt_lightning.losses.softmax import CrossEntropy


def effective_number_weights(class_counts: Tensor, beta: float) -> Tensor:
    """Inverse of the effective number of images, ``(1 - beta) / (1 - beta^n)``, normalised to sum C [Cui et al., 2019].

    A class without images weighs as much as one with a single image, so no weight is zero or infinite.

    Args:
        class_counts: Training images of each class, ``(C,)``.
        beta: 0 weighs all classes alike; towards 1 weights approach the inverse of the counts.

    Returns:
        Weights, ``(C,)``, float32.

    Raises:
        ValueError: ``beta`` is not in [0, 1).
    """
    if not 0 <= beta < 1:
        raise ValueError(f"beta must lie in [0, 1), got {beta}")
    # in float32, 1 - beta^n of a beta near 1 has few digits left
    weight = (1 - beta) / (1 - beta ** class_counts.double().clamp(min=1))
    return (weight * len(weight) / weight.sum()).float()


class ClassBalanced(CrossEntropy):
    """Cross-entropy with classes weighted by the inverse of their effective number of images [Cui et al., 2019].

    The mean over a batch is the weighted one, as in the code of [Cao et al., 2019]. To weigh only late in a run, use
    :class:`CrossEntropy` with the callback ``DeferredReweighting``.

    Args:
        class_counts: Training images of each class, ``(C,)``.
        beta: See :func:`effective_number_weights`; 0 is cross-entropy.

    Raises:
        ValueError: ``beta`` is not in [0, 1).
    """

    is_exact = False  # weights shift the prior that logits carry

    def __init__(self, class_counts: Tensor, beta: float = 0.9999) -> None:
        super().__init__(class_counts)
        self.class_weight = effective_number_weights(class_counts, beta)


class Focal(ExpectedLoss):
    """Cross-entropy of each image times ``(1 - p)^gamma``, p being the probability of its class [Lin et al., 2017].

    In the softmax form of the long-tailed field: easy images, mostly of the head, count less.

    Args:
        class_counts: Training images of each class, ``(C,)``.
        gamma: Focus; 0 is cross-entropy, 1 the setting of [Cao et al., 2019], 2 that of [Lin et al., 2017].

    Raises:
        ValueError: ``gamma`` is negative or not finite.
    """

    def __init__(self, class_counts: Tensor, gamma: float = 1.0) -> None:
        super().__init__(class_counts)
        if not 0 <= gamma < math.inf:
            raise ValueError(f"gamma must not be negative and must be finite, got {gamma}")
        self.gamma = gamma

    def each_class(self, logits: Tensor) -> Tensor:
        """``-(1 - p)^gamma log p``, ``(B, C)``, of float32 logits ``(B, C)``."""
        log_p = logits.log_softmax(-1)
        remainder = (1 - log_p.exp()).clamp(min=torch.finfo(log_p.dtype).tiny)  # 0 to a power below 1 has no gradient
        return -(remainder**self.gamma) * log_p


class LabelAwareSmoothing(ExpectedLoss):
    """Cross-entropy with labels smoothed more for frequent classes, which are over-confident [Zhong et al., 2021].

    A class of n images gives the share ``tail + (head - tail) sin(pi/2 (n - n_min) / (n_max - n_min))`` of its label
    to all classes alike: the concave form, which the official code uses on every set. It is the second stage of MiSLAS,
    after training with mixup. The official values of ``head`` and ``tail`` are 0.4 and 0.1 for CIFAR-100-LT of
    imbalance factor 100 and for Places-LT, 0.3 and 0 for factor 50, ImageNet-LT and iNaturalist 2018, and 0.2 and 0 for
    factor 10.

    Args:
        class_counts: Training images of each class, ``(C,)``.
        head: Smoothing of the most frequent class.
        tail: Smoothing of the rarest class, and of all where counts are equal.

    Raises:
        ValueError: Not ``0 <= tail <= head < 1``.
    """

    smoothing: Tensor

    def __init__(self, class_counts: Tensor, head: float = 0.4, tail: float = 0.1) -> None:
        super().__init__(class_counts)
        if not 0 <= tail <= head < 1:
            raise ValueError(f"smoothing must fall from head to tail within [0, 1), got head {head} and tail {tail}")
        above = class_counts - class_counts.min()
        share = torch.sin(math.pi / 2 * above / above.max().clamp(min=1))
        self.register_buffer("smoothing", tail + (head - tail) * share, persistent=False)

    def each_class(self, logits: Tensor) -> Tensor:
        """``-(1 - s) log p - s mean(log p)``, ``(B, C)``, with the smoothing s of each class, of float32 logits."""
        log_p = logits.log_softmax(-1)
        return -torch.lerp(log_p, log_p.mean(-1, keepdim=True), self.smoothing)
