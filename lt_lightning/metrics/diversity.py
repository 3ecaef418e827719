"""The theory of ensembles, measured: what the members' diversity is worth to their ensemble.

Every quantity is one number an image, and every identity between them holds image by image. They therefore hold for any
mean over images: of all, of a group of classes, of all classes alike. ``docs/theory.md`` states and proves them; the
letters below are its own.

- A [Krogh & Vedelsby, 1995] Neural Network Ensembles, Cross Validation, and Active Learning, NIPS 7.
- B [Wood et al., 2023] A Unified Theory of Diversity in Ensemble Learning. https://arxiv.org/abs/2301.03962
- D1 [Brown & Kuncheva, 2010] "Good" and "Bad" Diversity in Majority Vote Ensembles, MCS 2010.
- D6 [Masegosa et al., 2020] Second Order PAC-Bayesian Bounds for the Weighted Majority Vote.
  https://arxiv.org/abs/2007.13532
- D8 [Theisen et al., 2023] When are ensembles really effective? https://arxiv.org/abs/2305.12313
"""

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric

from lt_lightning.metrics.split_accuracy import shot_groups

QUANTITIES = (
    *("nll_avg", "nll_ens", "div_kl", "brier_avg", "brier_ens", "amb_brier"),
    *("err_avg", "err_ens", "div_good", "div_bad", "double_fault", "dis_correct", "dis_label", "dis_drawn"),
    *("err_mv", "tandem_bound_mv", "oracle_err"),
)
"""What is summed by class; all else follows from means of these."""


def decompose(expert_logits: Tensor, target: Tensor) -> dict[str, Tensor]:
    """The quantities of the theory for each image, in float64.

    ``ens`` is the mean of logits (``nll_ens``, ``err_ens``), the mean of probabilities (``brier_ens``) or the plurality
    vote (``mv``; the lowest class wins a tie). Pairs are of two different members, but in ``dis_drawn``, whose two are
    drawn with replacement.

    Args:
        expert_logits: The logits that are averaged, ``(E, B, C)``.
        target: Classes, ``(B,)``.

    Returns:
        ``(B,)`` for each of :data:`QUANTITIES`; NLL and ``div_kl`` in nats.

    Raises:
        ValueError: There are fewer than two members.
    """
    if len(expert_logits) < 2:
        raise ValueError(f"diversity needs at least two members, got {len(expert_logits)}")
    logits = expert_logits.double()
    return {**_cross_entropy(logits, target), **_brier(logits, target), **_zero_one(logits, target)}


def _cross_entropy(logits: Tensor, target: Tensor) -> dict[str, Tensor]:
    ensemble = logits.mean(0)
    return {
        "nll_avg": F.cross_entropy(logits.mT, target.expand(len(logits), -1), reduction="none").mean(0),
        "nll_ens": F.cross_entropy(ensemble, target, reduction="none"),
        "div_kl": logits.logsumexp(-1).mean(0) - ensemble.logsumexp(-1),  # B2; mean_m KL(q- || q_m)
    }


def _brier(logits: Tensor, target: Tensor) -> dict[str, Tensor]:
    probability, truth = logits.softmax(-1), F.one_hot(target, logits.shape[-1])
    ensemble = probability.mean(0)
    return {
        "brier_avg": (probability - truth).square().sum(-1).mean(0),
        "brier_ens": (ensemble - truth).square().sum(-1),
        "amb_brier": (probability - ensemble).square().sum(-1).mean(0),
    }


def _zero_one(logits: Tensor, target: Tensor) -> dict[str, Tensor]:
    members, classes = len(logits), logits.shape[-1]
    pairs = members * (members - 1)  # ordered
    vote = logits.argmax(-1)
    agree = (vote.unsqueeze(0) == vote.unsqueeze(1)).sum(0)  # (E, B): members, itself too, that vote alike
    winner = (agree * classes - vote).argmax(0, keepdim=True)  # most votes, then the lowest class
    num_wrong = (vote != target).sum(0).double()
    share, ens_wrong = num_wrong / members, logits.mean(0).argmax(-1) != target
    disagree = members**2 - agree.sum(0).double()  # ordered pairs
    return {
        "err_avg": share,
        "err_ens": ens_wrong.double(),
        "div_good": share * ~ens_wrong,
        "div_bad": (1 - share) * ens_wrong,
        "double_fault": num_wrong * (num_wrong - 1) / pairs,
        "dis_correct": 2 * num_wrong * (members - num_wrong) / pairs,
        "dis_label": disagree / pairs,
        "dis_drawn": disagree / members**2,
        "err_mv": (vote.gather(0, winner)[0] != target).double(),
        "tandem_bound_mv": 4 * share.square(),
        "oracle_err": (num_wrong == members).double(),
    }


def sum_by_class(values: Tensor, target: Tensor, num_classes: int) -> Tensor:
    """Sums ``(K, C)`` of K values an image, ``(K, B)``, over the images of each class; classes ``(B,)``."""
    return values.new_zeros(len(values), num_classes).index_add_(1, target, values)


def split_means(sums: Tensor, total: Tensor, groups: dict[str, Tensor]) -> dict[str, Tensor]:
    """Means over splits, from sums over classes.

    Args:
        sums: Sums of K quantities over the images of each class, ``(K, C)``.
        total: Images of each class, ``(C,)``.
        groups: Masks ``(C,)`` of groups of classes.

    Returns:
        ``(K,)`` a split: ``all``, the mean over images; each group and ``balanced``, all classes, the mean over classes
        that have images. A split without images is left out.
    """
    present, by_class = total > 0, sums / total
    splits = {**{name: mask.to(total.device) & present for name, mask in groups.items()}, "balanced": present}
    means = {name: by_class[:, mask].mean(1) for name, mask in splits.items() if mask.any()}
    return {"all": sums.sum(1) / total.sum(), **means}


class EnsembleTheory(Metric):
    """What members lose, what their ensemble loses, and what lies between, by shot group.

    States are sums a class, so any division into batches or processes gives the same result, in time and memory linear
    in the number of classes.

    Args:
        class_counts: Training images of each class, ``(C,)``.
        many: A class with more training images than this is many-shot.
        few: A class with fewer training images than this is few-shot.
    """

    full_state_update = False
    sums: Tensor
    total: Tensor

    def __init__(self, class_counts: Tensor, many: int = 100, few: int = 20) -> None:
        super().__init__()
        self.groups = shot_groups(class_counts, many, few)
        sums = torch.zeros(len(QUANTITIES), len(class_counts), dtype=torch.float64)
        self.add_state("sums", sums, dist_reduce_fx="sum")
        self.add_state("total", torch.zeros(len(class_counts), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, expert_logits: Tensor, target: Tensor) -> None:
        """Add the logits that are averaged, ``(E, B, C)``, of images of classes ``(B,)``."""
        quantities = decompose(expert_logits, target)
        values = torch.stack([quantities[name] for name in QUANTITIES])
        self.sums += sum_by_class(values, target, len(self.total))
        self.total.index_add_(0, target, torch.ones_like(target))

    def compute(self) -> dict[str, Tensor]:
        """Figures by name, in float64.

        Returns:
            All of :data:`QUANTITIES` but ``dis_drawn``; what the identities leave, ``nll_gap_check`` and
            ``brier_gap_check``; ``div_effect``; and, where members err at all, the ratios ``eir`` and ``der``. Over all
            images they have these names, over a split ``nll_avg_many``, ``_medium``, ``_few``, ``_balanced``. Splits
            without images are left out.
        """
        figures: dict[str, Tensor] = {}
        for split, means in split_means(self.sums, self.total, self.groups).items():
            suffix = "" if split == "all" else f"_{split}"
            derived = _derive(dict(zip(QUANTITIES, means, strict=True)))
            figures |= {f"{name}{suffix}": value for name, value in derived.items()}
        return figures


def _derive(means: dict[str, Tensor]) -> dict[str, Tensor]:
    """What follows from means over one split."""
    error, drawn = means["err_avg"], means.pop("dis_drawn")
    ratios = {"eir": (error - means["err_mv"]) / error, "der": drawn / error} if error > 0 else {}
    return {
        **means,
        "nll_gap_check": means["nll_avg"] - means["nll_ens"] - means["div_kl"],
        "brier_gap_check": means["brier_avg"] - means["brier_ens"] - means["amb_brier"],
        "div_effect": means["div_good"] - means["div_bad"],
        **ratios,
    }
