"""Every figure of an evaluation once more, from its definition, in numpy float64: no torch, no sums by class."""

from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
BINS, MANY, FEW = 15, 100, 20
RANKS, LEAST = 256, 1e-7


def softmax(z: Array) -> Array:
    powers = np.exp(z - z.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def log_softmax(z: Array) -> Array:
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def groups(counts: Array) -> dict[str, Array]:
    masks = {"many": counts > MANY, "medium": (counts <= MANY) & (counts >= FEW), "few": counts < FEW}
    return {name: mask for name, mask in masks.items() if mask.any()}


def group(count: int) -> str:
    return "many" if count > MANY else "few" if count < FEW else "medium"


def splits(values: Array, target: Array, counts: Array) -> dict[str, float]:
    """Mean of one number an image over all, over each group's classes and over all classes that have images."""
    means = {c: values[target == c].mean() for c in set(target.tolist())}
    chosen = {**groups(counts), "balanced": np.ones(len(counts), bool)}
    of_split = {name: [m for c, m in means.items() if mask[c]] for name, mask in chosen.items()}
    return {"all": float(values.mean()), **{name: float(np.mean(m)) for name, m in of_split.items() if m}}


def accuracy_figures(z: Array, target: Array, counts: Array) -> dict[str, float]:
    """Of one predictor, logits ``(N, C)``."""
    predicted, confidence = z.argmax(-1), softmax(z).max(-1)
    right = (predicted == target).astype(float)
    means = splits(right, target, counts)
    f1 = [2 * right[target == c].sum() / ((target == c).sum() + (predicted == c).sum()) for c in set(target.tolist())]
    ece = 0.0
    for b in range(BINS):
        inside = (confidence >= b / BINS) & ((confidence < (b + 1) / BINS) | (b == BINS - 1))
        if inside.any():
            ece += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    p = np.clip(softmax(z), LEAST, 1 - LEAST)
    odds = np.log(p / (1 - p)) / np.log((1 - LEAST) / LEAST)
    place = np.clip(np.floor((odds + 1) / 2 * RANKS), 0, RANKS - 1)
    return {
        "acc": means.pop("all"),
        "auprc": float(np.mean([average_precision(place[:, c], target == c) for c in set(target.tolist())])),
        "bal_acc": means.pop("balanced"),
        **{f"acc_{name}": value for name, value in means.items()},
        "macro_f1": float(np.mean(f1)),
        "nll": float(-log_softmax(z)[np.arange(len(z)), target].mean()),
        "ece": float(ece),
    }


def average_precision(place: Array, right: Array) -> float:
    """Mean over the right images of precision, where as many of their bin as not have passed."""
    precision = [
        (sum(right & (place > b)) + (sum(right & (place == b)) + 1) / 2) / (sum(place > b) + (sum(place == b) + 1) / 2)
        for b in place[right]
    ]
    return float(np.mean(precision))


def class_accuracy(z: Array, target: Array, counts: Array) -> list[float]:
    right = z.argmax(-1) == target
    return [float(right[target == c].mean()) if (target == c).any() else np.nan for c in range(len(counts))]


def theory_figures(z: Array, target: Array, counts: Array) -> dict[str, float]:
    """Of members' logits ``(E, N, C)``: ``docs/theory.md``, image by image and pair by pair."""
    members, classes = len(z), z.shape[-1]
    rows, truth = np.arange(len(target)), np.eye(classes)[target]
    nll = np.array([-log_softmax(m)[rows, target] for m in z])
    ensemble = z.mean(0)
    log_ens, p = log_softmax(ensemble), softmax(z)
    wrong = np.array([m.argmax(-1) != target for m in z]).astype(float)
    ens_wrong = (ensemble.argmax(-1) != target).astype(float)
    votes = np.array([np.bincount(v, minlength=classes) for v in z.argmax(-1).T])
    pairs = list(permutations(range(members), 2))
    differ = [z[i].argmax(-1) != z[j].argmax(-1) for i in range(members) for j in range(members)]
    share = wrong.mean(0)
    each = {
        "nll_avg": nll.mean(0),
        "nll_ens": -log_ens[rows, target],
        "div_kl": np.mean([(np.exp(log_ens) * (log_ens - log_softmax(m))).sum(-1) for m in z], axis=0),
        "brier_avg": np.mean([((q - truth) ** 2).sum(-1) for q in p], axis=0),
        "brier_ens": ((p.mean(0) - truth) ** 2).sum(-1),
        "amb_brier": np.mean([((q - p.mean(0)) ** 2).sum(-1) for q in p], axis=0),
        "err_avg": share,
        "err_ens": ens_wrong,
        "div_good": share * (1 - ens_wrong),
        "div_bad": (1 - share) * ens_wrong,
        "double_fault": np.mean([wrong[i] * wrong[j] for i, j in pairs], axis=0),
        "dis_correct": np.mean([wrong[i] != wrong[j] for i, j in pairs], axis=0),
        "dis_label": np.mean([z[i].argmax(-1) != z[j].argmax(-1) for i, j in pairs], axis=0),
        "dis_drawn": np.mean(differ, axis=0),
        "err_mv": (votes.argmax(-1) != target).astype(float),
        "tandem_bound_mv": 4 * share**2,
        "oracle_err": wrong.min(0),
    }
    by_split: dict[str, dict[str, float]] = {}
    for name, values in each.items():
        for split, value in splits(np.asarray(values, float), target, counts).items():
            by_split.setdefault(split, {})[name] = value
    figures = {}
    for split, m in by_split.items():
        drawn = m.pop("dis_drawn")
        m["nll_gap_check"] = m["brier_gap_check"] = 0.0
        m["div_effect"] = m["div_good"] - m["div_bad"]
        if m["err_avg"] > 0:
            m |= {"eir": (m["err_avg"] - m["err_mv"]) / m["err_avg"], "der": drawn / m["err_avg"]}
        figures |= {name if split == "all" else f"{name}_{split}": value for name, value in m.items()}
    return figures


def log_prior(counts: Array) -> Array:
    return np.log(counts / counts.sum() + 1e-9)


def shifted_figures(
    combined: Array, balanced: Array, target: Array, parts: dict[str, Array], classes: int
) -> dict[str, float]:
    """Accuracy on parts of the test set, of logits ``(N, C)`` and of those of a uniform prior plus the part's."""
    figures = {}
    for name, chosen in parts.items():
        prior = np.log(np.bincount(target[chosen], minlength=classes) / len(chosen))
        figures[f"{name}/acc"] = float((combined[chosen].argmax(-1) == target[chosen]).mean())
        figures[f"{name}/acc_known"] = float(((balanced[chosen] + prior).argmax(-1) == target[chosen]).mean())
    return figures
