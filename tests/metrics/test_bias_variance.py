import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lt_lightning.metrics.bias_variance import bias_variance, means_by_split
from lt_lightning.metrics.diversity import decompose

COUNTS = torch.tensor([500, 60, 3, 0])


def random_runs(
    seeds: int = 3, members: int = 2, number: int = 30, scale: float = 2.0, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Logits ``(D, M, N, 4)`` and classes ``(N,)`` of which the last never occurs."""
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(seeds, members, number, 4, generator=generator, dtype=torch.float64)
    return logits, torch.randint(3, (number,), generator=generator)


def log_softmax(row: list[float]) -> list[float]:
    top = max(row)
    normaliser = top + math.log(math.fsum(math.exp(v - top) for v in row))
    return [v - normaliser for v in row]


def kl(p: list[float], q: list[float]) -> float:
    """Of log-probabilities."""
    return math.fsum(math.exp(a) * (a - b) for a, b in zip(p, q, strict=True))


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def average(rows: list[list[float]]) -> list[float]:
    return [mean(list(column)) for column in zip(*rows, strict=True)]


def by_hand(runs: list[list[list[float]]], y: int) -> dict[str, float]:
    """One image, from the logits of each seed's members and from the definitions."""
    members = range(len(runs[0]))
    ensemble = [log_softmax(average(run)) for run in runs]
    central = [log_softmax(average([run[m] for run in runs])) for m in members]
    return {
        "risk": mean([-q[y] for q in ensemble]),
        "bias": mean([-q[y] for q in central]),
        "variance": mean([kl(central[m], log_softmax(run[m])) for run in runs for m in members]),
        "diversity": mean([kl(q, log_softmax(run[m])) for run, q in zip(runs, ensemble, strict=True) for m in members]),
    }


@pytest.mark.parametrize(("seeds", "members"), [(2, 1), (2, 3), (5, 2), (1, 3)])
def test_each_term_is_its_definition(seeds: int, members: int) -> None:
    logits, target = random_runs(seeds, members)
    actual = bias_variance(logits, target)
    for i, y in enumerate(target.tolist()):
        expected = by_hand(logits[:, :, i].tolist(), y)
        assert {name: values[i].item() for name, values in actual.items()} == pytest.approx(expected, abs=1e-12)


@given(seeds=st.integers(1, 6), members=st.integers(1, 5), seed=st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_risk_is_bias_and_variance_less_diversity_image_by_image(seeds: int, members: int, seed: int) -> None:
    q = bias_variance(*random_runs(seeds, members, seed=seed))
    assert (q["risk"] - q["bias"] - q["variance"] + q["diversity"]).abs().max() <= 1e-12
    assert min(q["variance"].min(), q["diversity"].min()) >= -1e-12


def test_a_single_model_has_no_diversity() -> None:
    logits, target = random_runs(members=1)
    q = bias_variance(logits, target)
    assert q["diversity"].abs().max() <= 1e-12
    assert q["variance"].min() > 0


def test_equal_seeds_have_no_variance() -> None:
    logits, target = random_runs(seeds=1)
    one, five = bias_variance(logits, target), bias_variance(logits.expand(5, -1, -1, -1), target)
    assert five["variance"].abs().max() <= 1e-12
    for name in one:
        torch.testing.assert_close(five[name], one[name], atol=1e-12, rtol=0)


def test_risk_and_diversity_are_the_means_over_seeds_of_each_ensemble() -> None:
    logits, target = random_runs(members=3)
    q, each = bias_variance(logits, target), [decompose(run, target) for run in logits]
    for ours, theirs in (("risk", "nll_ens"), ("diversity", "div_kl")):
        expected = torch.stack([parts[theirs] for parts in each]).mean(0)
        torch.testing.assert_close(q[ours], expected, atol=1e-12, rtol=0)


def test_few_seeds_understate_variance_and_overstate_bias_by_as_much() -> None:
    """What ``lt seeds`` says of its own figures: each is a mean over draws of two out of many seeds."""
    logits, target = random_runs(seeds=400, members=1, number=20)
    whole, pairs = bias_variance(logits, target), [bias_variance(pair, target) for pair in logits.split(2)]
    two = {name: torch.stack([part[name] for part in pairs]).mean().item() for name in whole}
    assert two["variance"] < 0.8 * whole["variance"].mean().item()
    assert two["bias"] - whole["bias"].mean().item() == pytest.approx(
        whole["variance"].mean().item() - two["variance"], abs=1e-12
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_logits_of_lower_precision_and_extreme_ones(dtype: torch.dtype) -> None:
    logits, target = random_runs(scale=1e4)
    q = bias_variance(logits.to(dtype), target)
    assert all(values.dtype == torch.float64 and values.isfinite().all() for values in q.values())
    assert (q["risk"] - q["bias"] - q["variance"] + q["diversity"]).abs().max() <= 1e-12 * 1e5


def test_means_by_split() -> None:
    """Classes 0, 1 and 2 are many, medium and few; class 3, few too, does not occur."""
    target = torch.tensor([0, 0, 0, 1, 2, 2])
    value = torch.tensor([1.0, 2, 3, 10, 100, 300], dtype=torch.float64)
    means = means_by_split({"x": value, "y": -value}, target, COUNTS)
    x = {"all": 416 / 6, "many": 2.0, "medium": 10.0, "few": 200.0, "balanced": 212 / 3}
    assert {split: figures["x"] for split, figures in means.items()} == pytest.approx(x)
    assert {split: -figures["y"] for split, figures in means.items()} == pytest.approx(x)


def test_splits_without_images_are_left_out() -> None:
    means = means_by_split({"x": torch.ones(2)}, torch.tensor([0, 1]), COUNTS)
    assert list(means) == ["all", "many", "medium", "balanced"]
    means = means_by_split({"x": torch.ones(2)}, torch.tensor([0, 1]), COUNTS, many=40)
    assert list(means) == ["all", "many", "balanced"]
