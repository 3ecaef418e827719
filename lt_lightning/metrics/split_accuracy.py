"""Accuracy where the training set is rich and where it is poor.

Groups follow [Liu et al., 2019] Large-Scale Long-Tailed Recognition in an Open World (OLTR),
https://arxiv.org/abs/1904.05160: many-shot classes have more than 100 training images, few-shot fewer than 20.
"""

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric


def shot_groups(class_counts: Tensor, many: int = 100, few: int = 20) -> dict[str, Tensor]:
    """Masks ``(C,)`` of the groups many, medium and few; a group without classes is left out.

    Args:
        class_counts: Training images of each class, ``(C,)``.
        many: A class with more training images than this is many-shot.
        few: A class with fewer training images than this is few-shot.

    Raises:
        ValueError: ``few`` is larger than ``many + 1``, so that a class could belong to two groups.
    """
    if few > many + 1:
        raise ValueError(f"few ({few}) must not be larger than many + 1 ({many + 1})")
    is_many, is_few = class_counts > many, class_counts < few
    groups = {"many": is_many, "medium": ~is_many & ~is_few, "few": is_few}
    return {name: mask for name, mask in groups.items() if mask.any()}


class SplitAccuracy(Metric):
    """Accuracy of all images, of many-, medium- and few-shot classes, and what follows from the same sums.

    States are sums a class, so any division into batches or processes gives the same result, in time and memory linear
    in the number of classes. A figure of a group is the mean over its classes that occur among the targets; classes
    that do not occur are left out, never counted as 0.

    Args:
        class_counts: Training images of each class, ``(C,)``.
        many: A class with more training images than this is many-shot.
        few: A class with fewer training images than this is few-shot.
    """

    full_state_update = False
    class_accuracy: Tensor
    """Accuracy of each class, ``(C,)`` in [0, 1], as of the last :meth:`compute`; NaN for a class without images."""
    class_images: Tensor
    """Images of each class, ``(C,)``, as of the last :meth:`compute`."""
    correct: Tensor
    total: Tensor
    predicted: Tensor
    nll: Tensor

    def __init__(self, class_counts: Tensor, many: int = 100, few: int = 20) -> None:
        super().__init__()
        self.groups = shot_groups(class_counts, many, few)
        for name in ("correct", "total", "predicted"):
            self.add_state(name, torch.zeros(len(class_counts), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("nll", torch.zeros(len(class_counts), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Add logits ``(B, C)`` of images of classes ``(B,)``."""
        self.count(logits.argmax(-1), target)
        nll = F.cross_entropy(logits.double(), target, reduction="none")
        self.nll.index_add_(0, target, nll)

    def count(self, predicted: Tensor, target: Tensor) -> None:
        """Add predicted classes ``(B,)`` of images of classes ``(B,)``, whose losses count as 0."""
        one = torch.ones_like(target)  # bincount asks a GPU for the least and the largest
        self.total.index_add_(0, target, one)
        self.predicted.index_add_(0, predicted, one)
        self.correct.index_add_(0, target, (predicted == target).long())

    def compute(self) -> dict[str, Tensor]:
        """Figures by name.

        Returns:
            ``acc`` over images; ``acc_many``, ``acc_medium``, ``acc_few`` (groups that have images only); ``bal_acc``,
            the mean over classes; ``macro_f1``; ``nll`` in nats.
        """
        present, accuracy = self.total > 0, self.correct / self.total
        self.class_accuracy, self.class_images = accuracy, self.total.clone()  # here sums are those of all processes
        f1 = 2 * self.correct / (self.total + self.predicted)
        groups = {name: mask.to(present.device) & present for name, mask in self.groups.items()}
        return {
            "acc": self.correct.sum() / self.total.sum(),
            **{f"acc_{name}": accuracy[mask].mean() for name, mask in groups.items() if mask.any()},
            "bal_acc": accuracy[present].mean(),
            "macro_f1": f1[present].mean(),
            "nll": self.nll.sum() / self.total.sum(),
        }
