import math
from itertools import combinations, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from lt_lightning.metrics import SplitAccuracy, shot_groups
from lt_lightning.metrics.diversity import QUANTITIES, EnsembleTheory, decompose

COUNTS = torch.tensor([500, 101, 100, 60, 20, 19, 3, 0])
GROUPS = {"many": [0, 1], "medium": [2, 3, 4], "few": [5, 6, 7], "balanced": list(range(8))}
ABSENT = [[], [1], [5, 6, 7], [0, 1, 2, 3]]
SUFFIXES = ("", "_many", "_medium", "_few", "_balanced")
RATIOS = {"eir", "der"}
CHECKS = {"nll_gap_check", "brier_gap_check"}
NAMES = {*QUANTITIES, "div_effect"} - {"dis_drawn"} | CHECKS


def random_members(
    members: int = 3, number: int = 200, classes: int = 8, absent: tuple[int, ...] = (), seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Logits ``(E, N, C)`` of members that are right about half the time, and classes ``(N,)`` without those absent."""
    generator = torch.Generator().manual_seed(seed)
    present = torch.tensor([c for c in range(classes) if c not in absent])
    target = present[torch.randint(len(present), (number,), generator=generator)]
    common = torch.randn(number, classes, generator=generator, dtype=torch.float64)
    own = torch.randn(members, number, classes, generator=generator, dtype=torch.float64)
    return common + own + 1.5 * F.one_hot(target, classes), target


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def softmax(row: list[float]) -> list[float]:
    top = max(row)
    weights = [math.exp(v - top) for v in row]
    return [w / math.fsum(weights) for w in weights]


def nll(row: list[float], y: int) -> float:
    return math.log(math.fsum(math.exp(v - max(row)) for v in row)) + max(row) - row[y]


def by_hand(rows: list[list[float]], y: int) -> dict[str, float]:
    """The quantities of one image, from the logits of its members and from the definitions, in plain floats."""
    members, classes = range(len(rows)), range(len(rows[0]))
    pairs = list(combinations(members, 2))
    q = [softmax(row) for row in rows]
    logits = [mean([row[k] for row in rows]) for k in classes]
    geometric, arithmetic = softmax(logits), [mean([p[k] for p in q]) for k in classes]
    truth = [float(k == y) for k in classes]

    def distance(a: list[float], b: list[float]) -> float:
        return math.fsum((u - v) ** 2 for u, v in zip(a, b, strict=True))

    vote = [row.index(max(row)) for row in rows]
    wrong = [v != y for v in vote]
    ensemble_wrong = logits.index(max(logits)) != y
    counts = [vote.count(k) for k in classes]
    return {
        "nll_avg": mean([nll(row, y) for row in rows]),
        "nll_ens": nll(logits, y),
        "div_kl": mean([math.fsum(g * (math.log(g) - math.log(p[k])) for k, g in enumerate(geometric)) for p in q]),
        "brier_avg": mean([distance(p, truth) for p in q]),
        "brier_ens": distance(arithmetic, truth),
        "amb_brier": mean([distance(p, arithmetic) for p in q]),
        "err_avg": mean([float(w) for w in wrong]),
        "err_ens": float(ensemble_wrong),
        "div_good": 0.0 if ensemble_wrong else mean([float(w) for w in wrong]),
        "div_bad": mean([float(not w) for w in wrong]) if ensemble_wrong else 0.0,
        "double_fault": mean([float(wrong[m] and wrong[n]) for m, n in pairs]),
        "dis_correct": mean([float(wrong[m] != wrong[n]) for m, n in pairs]),
        "dis_label": mean([float(vote[m] != vote[n]) for m, n in pairs]),
        "dis_drawn": mean([float(vote[m] != vote[n]) for m, n in product(members, members)]),
        "err_mv": float(counts.index(max(counts)) != y),
        "tandem_bound_mv": 4 * mean([float(wrong[m] and wrong[n]) for m, n in product(members, members)]),
        "oracle_err": float(all(wrong)),
    }


def measure(logits: Tensor, target: Tensor) -> dict[str, float]:
    metric = EnsembleTheory(COUNTS)
    metric.update(logits, target)
    return {name: value.item() for name, value in metric.compute().items()}


@pytest.mark.parametrize("members", [2, 3, 4, 6])
def test_each_quantity_is_its_definition(members: int) -> None:
    logits, target = random_members(members, number=60)
    actual = decompose(logits, target)
    assert tuple(actual) == QUANTITIES
    for i, y in enumerate(target.tolist()):
        expected = by_hand(logits[:, i].tolist(), y)
        assert {name: values[i].item() for name, values in actual.items()} == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("absent", ABSENT, ids=str)
def test_figures_of_a_split_are_means_over_its_images_or_classes(absent: list[int]) -> None:
    logits, target = random_members(absent=tuple(absent))
    images = [by_hand(logits[:, i].tolist(), y) for i, y in enumerate(target.tolist())]
    splits = {"": {name: mean([image[name] for image in images]) for name in images[0]}}
    for group, classes in GROUPS.items():
        of_class = [[image for image, y in zip(images, target, strict=True) if y == c] for c in classes]
        if any(of_class):
            splits[f"_{group}"] = {
                name: mean([mean([image[name] for image in own]) for own in of_class if own]) for name in images[0]
            }
    expected = {}
    for suffix, figures in splits.items():
        error, drawn = figures["err_avg"], figures.pop("dis_drawn")
        figures["div_effect"] = figures["div_good"] - figures["div_bad"]
        figures |= dict.fromkeys(CHECKS, 0.0)
        figures |= {"eir": (error - figures["err_mv"]) / error, "der": drawn / error}
        expected |= {f"{name}{suffix}": value for name, value in figures.items()}
    assert measure(logits, target) == pytest.approx(expected, abs=1e-12)


@given(
    members=st.integers(2, 7),
    classes=st.integers(2, 9),
    scale=st.sampled_from([0.0, 1e-3, 1.0, 30.0, 1e4]),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=60, deadline=None)
def test_identities_hold_image_by_image(members: int, classes: int, scale: float, seed: int) -> None:
    logits, target = random_members(members, 40, classes, seed=seed)
    q = decompose(scale * logits, target)
    share = (members - 1) / members
    left = {
        "B1": (q["nll_avg"] - q["nll_ens"] - q["div_kl"]) / q["nll_avg"].clamp(min=1),
        "A1": q["brier_avg"] - q["brier_ens"] - q["amb_brier"],
        "D1": q["err_avg"] - q["err_ens"] - q["div_good"] + q["div_bad"],
        "D2": q["tandem_bound_mv"] / 4 - q["err_avg"] / members - share * q["double_fault"],
        "D3": q["double_fault"] - q["err_avg"] + q["dis_correct"] / 2,
        "D8": q["dis_drawn"] - share * q["dis_label"],
    }
    # float64 has 1e-16 of a logit's size to give
    assert all(value.abs().max() <= 1e-12 * max(1.0, scale / 30) for value in left.values()), left
    assert q["div_kl"].min() >= -1e-12 * max(1.0, scale)
    assert (q["div_kl"] <= 1e-12).all() == (scale == 0)


@pytest.mark.parametrize("absent", ABSENT, ids=str)
def test_both_checks_are_zero_on_every_split(absent: list[int]) -> None:
    figures = measure(*random_members(absent=tuple(absent)))
    checks = [value for name, value in figures.items() if "gap_check" in name]
    assert len(checks) == len(CHECKS) * sum(f"nll_avg{suffix}" in figures for suffix in SUFFIXES)
    assert max(map(abs, checks)) <= 1e-12


@pytest.mark.parametrize("combined", ["mean probabilities", "first member"])
def test_the_check_of_b1_is_not_zero_for_another_combiner(combined: str) -> None:
    logits, target = random_members()
    probability = logits.softmax(-1).mean(0) if combined == "mean probabilities" else logits[0].softmax(-1)
    q = decompose(logits, target)
    other = F.nll_loss(probability.log(), target, reduction="none")
    assert (q["nll_avg"] - other - q["div_kl"]).abs().max() > 0.1


@given(members=st.integers(2, 8), classes=st.integers(2, 6), seed=st.integers(0, 2**31))
@settings(max_examples=150, deadline=None)
def test_bounds_of_plurality_vote_hold(members: int, classes: int, seed: int) -> None:
    """Image by image: D6 and D8 before they are divided by the error, and a wrong vote needs half the members, D5."""
    q = decompose(*random_members(members, 50, classes, seed=seed))
    assert (q["err_mv"] <= q["tandem_bound_mv"] + 1e-12).all()
    assert (q["err_avg"] - q["err_mv"] <= q["dis_drawn"] + 1e-12).all()
    assert (q["err_avg"] >= 0.5 - 1e-12)[q["err_mv"] == 1].all()
    assert (q["oracle_err"] <= q["err_mv"]).all()


@pytest.mark.parametrize("seed", range(30))
def test_the_c_bound_holds_of_means(seed: int) -> None:
    """D7, of ensembles whose members err less than half the time."""
    logits, target = random_members(2 + seed % 5, seed=seed)
    q = {name: values.mean() for name, values in decompose(logits + F.one_hot(target, 8), target).items()}
    error, twice = q["err_avg"], 1 - 2 * q["err_avg"]
    assert error < 0.5
    assert q["err_mv"] <= 1 - twice**2 / (1 - 4 * error + q["tandem_bound_mv"]) + 1e-12


def test_the_bound_is_not_one_of_the_mean_of_logits() -> None:
    """One loud member of three outvotes two that are right: D5, and with it D6, holds for votes alone."""
    logits = torch.tensor([[[9.0, 0.0]], [[0.0, 1.0]], [[0.0, 1.0]]])
    q = decompose(logits, torch.tensor([1]))
    assert (q["err_ens"], q["err_mv"]) == (1, 0)
    assert q["err_ens"] > q["tandem_bound_mv"]


def test_the_gradient_of_diversity_needs_none_through_the_ensemble() -> None:
    """Of RIDE's term, whose ensemble is a constant, and of B1's diversity: (q_m - q-) / M."""
    logits, target = random_members(number=20)
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(decompose(logits, target)["div_kl"].sum(), logits)
    constant = logits.mean(0).log_softmax(-1).detach()
    kl = F.kl_div(logits.log_softmax(-1), constant.expand_as(logits), reduction="sum", log_target=True) / 3
    torch.testing.assert_close(gradient, torch.autograd.grad(kl, logits)[0], atol=1e-12, rtol=0)
    torch.testing.assert_close(gradient, (logits.softmax(-1) - constant.exp()) / 3, atol=1e-12, rtol=0)


def test_equal_members_have_no_diversity() -> None:
    logits, target = random_members()
    figures = measure(logits[:1].expand(4, -1, -1), target)
    for s in SUFFIXES:
        assert figures[f"double_fault{s}"] == pytest.approx(figures[f"err_avg{s}"], abs=1e-12)
        equal = [figures[f"{name}{s}"] for name in ("err_avg", "err_ens", "err_mv", "oracle_err")]
        assert equal == pytest.approx(equal[:1] * 4, abs=1e-12)
        for name in ("div_kl", "amb_brier", "dis_correct", "dis_label", "div_good", "div_bad", "div_effect", *RATIOS):
            assert figures[f"{name}{s}"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("votes", "winner"), [([2, 2, 0, 1], 2), ([3, 3, 1, 1], 1), ([2, 1, 0], 0), ([3, 2], 2), ([0, 3, 3, 0, 2], 0)]
)
def test_the_lowest_class_wins_a_tied_vote(votes: list[int], winner: int) -> None:
    logits = F.one_hot(torch.tensor(votes), 4).double().unsqueeze(1).expand(-1, 4, -1)
    assert decompose(logits, torch.arange(4))["err_mv"].tolist() == [float(c != winner) for c in range(4)]


def test_members_that_never_err_have_no_ratios() -> None:
    target = torch.tensor([0, 1, 7])
    figures = measure(F.one_hot(target, 8).double().expand(3, -1, -1), target)
    assert figures["err_avg"] == 0
    assert {name.split("_")[0] for name in figures}.isdisjoint(RATIOS)
    assert all(math.isfinite(value) for value in figures.values())


def test_ratios_are_left_out_only_where_members_never_err() -> None:
    target = torch.tensor([0, 0, 7, 7])
    logits = F.one_hot(torch.tensor([[0, 0, 7, 1], [0, 0, 2, 1]]), 8).double()
    figures = measure(logits, target)
    assert figures["der_few"] == pytest.approx((1 / 2 * 1 / 2) / (3 / 4))
    assert figures["eir_few"] == pytest.approx((3 / 4 - 1) / (3 / 4))  # of 7 and 2, 2 wins the vote
    assert "eir" in figures
    assert "eir_balanced" in figures
    assert {"eir_many", "der_many"}.isdisjoint(figures)


@pytest.mark.parametrize("absent", ABSENT, ids=str)
def test_groups_without_images_are_left_out(absent: list[int]) -> None:
    present = {"all", "balanced"} | {g for g, classes in GROUPS.items() if set(classes) - set(absent)}
    figures = measure(*random_members(absent=tuple(absent)))
    suffixes = {"" if split == "all" else f"_{split}" for split in present}
    assert figures.keys() == {f"{name}{suffix}" for name in NAMES | RATIOS for suffix in suffixes}
    assert all(math.isfinite(value) for value in figures.values())


def test_groups_without_classes_are_left_out() -> None:
    metric = EnsembleTheory(torch.tensor([5, 3]))
    metric.update(torch.randn(2, 4, 2), torch.tensor([0, 1, 1, 0]))
    assert {name for name in metric.compute() if name.startswith("nll_avg")} == {
        "nll_avg",
        "nll_avg_few",
        "nll_avg_balanced",
    }


def test_errors_are_those_of_accuracy() -> None:
    logits, target = random_members(absent=(1,))
    theory, accuracies = measure(logits, target), []
    for z in (*logits, logits.mean(0)):
        accuracies.append(metric := SplitAccuracy(COUNTS))
        metric.update(z, target)
    *members, ensemble = ({name: v.item() for name, v in metric.compute().items()} for metric in accuracies)
    names = {"": "acc", "_balanced": "bal_acc"} | {f"_{g}": f"acc_{g}" for g in shot_groups(COUNTS)}
    for suffix, name in names.items():
        assert theory[f"err_ens{suffix}"] == pytest.approx(1 - ensemble[name], abs=1e-6)
        assert theory[f"err_avg{suffix}"] == pytest.approx(1 - mean([m[name] for m in members]), abs=1e-6)
    assert theory["nll_ens"] == pytest.approx(ensemble["nll"], abs=1e-6)


@pytest.mark.parametrize("sizes", [[1] * 200, [7, 193], [64, 64, 64, 8], [199, 1]], ids=lambda sizes: str(len(sizes)))
def test_any_division_into_batches_gives_the_same(sizes: list[int]) -> None:
    logits, target = random_members(absent=(3,))
    metric = EnsembleTheory(COUNTS)
    for batch in torch.randperm(200).split(sizes):
        metric.update(logits[:, batch], target[batch])
    assert {name: v.item() for name, v in metric.compute().items()} == pytest.approx(measure(logits, target), abs=1e-12)


def test_processes_add_their_sums() -> None:
    logits, target = random_members(absent=(3,))
    whole, parts = EnsembleTheory(COUNTS), [EnsembleTheory(COUNTS) for _ in range(2)]
    whole.update(logits, target)
    for rank, part in enumerate(parts):
        part.update(logits[:, rank::2], target[rank::2])
    assert all(getattr(f, "__name__", "") == "dim_zero_sum" for f in whole._reductions.values())
    assert set(whole._reductions) == set(whole._defaults) == {"sums", "total"}
    for name in whole._defaults:
        torch.testing.assert_close(getattr(parts[0], name) + getattr(parts[1], name), getattr(whole, name))


def test_reset_forgets() -> None:
    logits, target = random_members()
    metric = EnsembleTheory(COUNTS)
    metric.update(-logits, target)
    metric.reset()
    metric.update(logits, target)
    assert {name: value.item() for name, value in metric.compute().items()} == measure(logits, target)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_logits_of_lower_precision_are_measured_in_float64(dtype: torch.dtype) -> None:
    logits, target = random_members()
    figures = measure(logits.to(dtype), target)
    assert figures == measure(logits.to(dtype).double(), target)
    assert abs(figures["nll_gap_check"]) <= 1e-12


@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_extreme_logits_give_finite_figures(scale: float) -> None:
    logits, target = random_members()
    figures = measure(scale * logits.sign().float(), target)
    assert all(math.isfinite(value) for value in figures.values())
    assert abs(figures["nll_gap_check"]) <= 1e-12 * figures["nll_avg"]


def test_sums_of_many_images_stay_exact() -> None:
    logits, target = random_members(number=2000)
    metric = EnsembleTheory(COUNTS)
    for _ in range(200):
        metric.update(logits, target)
    assert metric.compute()["nll_avg"].item() == pytest.approx(measure(logits, target)["nll_avg"], rel=1e-12)


def test_one_member_has_no_diversity_to_measure() -> None:
    with pytest.raises(ValueError, match="at least two members, got 1"):
        decompose(torch.randn(1, 4, 3), torch.tensor([0, 1, 2, 0]))


def test_memory_is_linear_in_the_number_of_classes() -> None:
    classes = 8142  # of iNaturalist 2018
    metric = EnsembleTheory(torch.arange(classes))
    target = torch.randint(classes, (4,))
    metric.update(F.one_hot(target, classes).float().expand(3, -1, -1), target)
    assert metric.compute()["err_ens"] == 0
    assert {tuple(value.shape) for value in metric.metric_state.values()} == {(len(QUANTITIES), classes), (classes,)}
