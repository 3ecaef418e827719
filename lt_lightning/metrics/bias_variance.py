"""Bias, variance and diversity of the cross-entropy of an ensemble that is trained with several seeds.

Let q_m be the probabilities of member m, q- those of the mean logits over members and q*_m over seeds d. Theorem B5 of
``docs/theory.md`` says of every single image:

    mean_d CE(y, q-) = mean_m CE(y, q*_m) + mean_dm KL(q*_m || q_m) - mean_dm KL(q- || q_m)

- [Wood et al., 2023] A Unified Theory of Diversity in Ensemble Learning. https://arxiv.org/abs/2301.03962
- [Yang et al., 2020] Rethinking Bias-Variance Trade-off for Generalization of Neural Networks, for one member.
  https://arxiv.org/abs/2002.11328
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from lt_lightning.metrics.diversity import split_means, sum_by_class
from lt_lightning.metrics.split_accuracy import shot_groups


def bias_variance(logits: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Decompose the risk of the mean of logits, image by image, in float64 nats.

    Args:
        logits: Logits of D seeds and M members, ``(D, M, N, C)``; of single models M is 1.
        target: Classes, ``(N,)``.

    Returns:
        ``risk``, the mean over seeds of the ensemble's NLL, ``bias``, which includes the noise of labels, ``variance``
        and ``diversity``, each ``(N,)``: ``risk = bias + variance - diversity``.
    """
    logits = logits.double()
    ensemble, central = logits.mean(1), logits.mean(0)  # (D, N, C) of a seed, (M, N, C) of a member
    normaliser = logits.logsumexp(-1)
    return {
        "risk": _nll(ensemble, target).mean(0),
        "bias": _nll(central, target).mean(0),
        "variance": (normaliser.mean(0) - central.logsumexp(-1)).mean(0),
        "diversity": (normaliser.mean(1) - ensemble.logsumexp(-1)).mean(0),
    }


def _nll(logits: Tensor, target: Tensor) -> Tensor:
    """``(K, N, C)`` to ``(K, N)``."""
    return F.cross_entropy(logits.mT, target.expand(len(logits), -1), reduction="none")


def means_by_split(
    quantities: dict[str, Tensor], target: Tensor, class_counts: Tensor, many: int = 100, few: int = 20
) -> dict[str, dict[str, float]]:
    """Means of per-image quantities over all images, each shot group and all classes alike.

    Args:
        quantities: Values of each image, ``(N,)``, by name.
        target: Classes, ``(N,)``.
        class_counts: Training images of each class, ``(C,)``.
        many: A class with more training images than this is many-shot.
        few: A class with fewer training images than this is few-shot.

    Returns:
        By split (``all``, ``many``, ``medium``, ``few``, ``balanced``) and name; splits without images are left out.
    """
    sums = sum_by_class(torch.stack(list(quantities.values())), target, len(class_counts))
    total = target.bincount(minlength=len(class_counts))
    means = split_means(sums, total, shot_groups(class_counts, many, few))
    return {split: dict(zip(quantities, values.tolist(), strict=True)) for split, values in means.items()}
