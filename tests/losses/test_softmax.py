import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from lt_lightning.data.counts import exponential_counts
from lt_lightning.losses import BalancedSoftmax, CrossEntropy, InverseSoftmax, LogitAdjustment, LossFactory
from lt_lightning.losses.priors import log_prior, log_reversed_prior

LOSSES: dict[str, LossFactory] = {
    "ce": CrossEntropy,
    "balanced": BalancedSoftmax,
    "adjusted": lambda counts: LogitAdjustment(counts, tau=1.7),
    "inverse": InverseSoftmax,
    "inverse1": lambda counts: InverseSoftmax(counts, tau=1.0),
}
every_loss = pytest.mark.parametrize("name", LOSSES)


def reference_offset(name: str, counts: list[int]) -> list[float]:
    """B of methods.md 2.2: 0, log pi, tau log pi, log pi - tau log pi~, with pi~ the prior in reversed rank."""
    ranked = sorted(range(len(counts)), key=lambda c: counts[c])
    log_pi = [math.log(n / sum(counts) + 1e-9) for n in counts]
    log_reversed = [log_pi[ranked[-1 - ranked.index(c)]] for c in range(len(counts))]
    weights = {"ce": (0, 0), "balanced": (1, 0), "adjusted": (1.7, 0), "inverse": (1, 2), "inverse1": (1, 1)}[name]
    return [weights[0] * a - weights[1] * b for a, b in zip(log_pi, log_reversed, strict=True)]


def reference_loss(name: str, counts: list[int], logits: Tensor, target: Tensor) -> float:
    """Mean over images of minus the log-softmax of the target's class, one image and one class at a time."""
    total = 0.0
    for row, y in zip(logits.tolist(), target.tolist(), strict=True):
        adjusted = [v + b for v, b in zip(row, reference_offset(name, counts), strict=True)]
        total += math.log(sum(math.exp(v) for v in adjusted)) - adjusted[y]
    return total / len(target)


def random_case(seed: int, classes: int = 7, batch: int = 16) -> tuple[Tensor, Tensor, Tensor]:
    """Counts in no order, logits and classes."""
    generator = torch.Generator().manual_seed(seed)
    counts = torch.randperm(1000, generator=generator)[:classes].float() + 1
    logits = 5 * torch.randn(batch, classes, generator=generator)
    return counts, logits, torch.randint(classes, (batch,), generator=generator)


@every_loss
@pytest.mark.parametrize("seed", range(3))
def test_the_papers_formula(name: str, seed: int) -> None:
    counts, logits, target = random_case(seed)
    expected = reference_loss(name, [int(n) for n in counts], logits.double(), target)
    assert LOSSES[name](counts)(logits, target).item() == pytest.approx(expected, rel=1e-5)


@every_loss
def test_soft_targets_weigh_the_losses_of_the_classes(name: str) -> None:
    counts, logits, target = random_case(0)
    loss, other = LOSSES[name](counts), target.flip(0)
    mixed = 0.3 * F.one_hot(target, 7) + 0.7 * F.one_hot(other, 7)
    torch.testing.assert_close(loss(logits, mixed), 0.3 * loss(logits, target) + 0.7 * loss(logits, other))


def test_tau_0_is_cross_entropy() -> None:
    counts, logits, target = random_case(0)
    assert torch.equal(LogitAdjustment(counts, tau=0.0)(logits, target), F.cross_entropy(logits, target))


def test_inverse_softmax_of_tau_0_is_balanced_softmax() -> None:
    counts, logits, target = random_case(0)
    assert torch.equal(InverseSoftmax(counts, tau=0.0)(logits, target), BalancedSoftmax(counts)(logits, target))


@every_loss
def test_uniform_counts_make_every_loss_cross_entropy(name: str) -> None:
    _, logits, target = random_case(0)
    loss = LOSSES[name](torch.full((7,), 30.0))
    torch.testing.assert_close(loss(logits, target), F.cross_entropy(logits, target))


@every_loss
def test_the_order_of_classes_does_not_matter(name: str) -> None:
    counts, logits, target = random_case(0)
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    permuted = LOSSES[name](counts[order])(logits[:, order], order.argsort()[target])
    torch.testing.assert_close(permuted, LOSSES[name](counts)(logits, target))


@pytest.mark.parametrize("imbalance_factor", [100, 10])
@pytest.mark.parametrize("tau", [1.0, 2.0])
def test_inverse_softmax_is_adjustment_by_1_plus_tau_on_an_exponential_profile(
    imbalance_factor: float, tau: float
) -> None:
    counts = torch.tensor(exponential_counts(500, 100, imbalance_factor), dtype=torch.float32)
    x, y = log_prior(counts).double(), InverseSoftmax(counts, tau).offset.double()
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    assert slope.item() == pytest.approx(1 + tau, abs=0.01)
    residual = (y - y.mean()) - slope * (x - x.mean())
    assert residual.abs().max() < 0.21  # of counts cut to integers


@pytest.mark.parametrize("counts", [[5, 9, 5, 1, 9, 5], [2, 2, 2], [0, 7, 0, 3], [4, 1]])
def test_the_reversed_prior_permutes_the_prior_and_keeps_ties_in_order(counts: list[int]) -> None:
    n = torch.tensor(counts, dtype=torch.float32)
    reversed_prior = log_reversed_prior(n)
    assert torch.equal(reversed_prior.sort()[0], log_prior(n).sort()[0])
    ranked = sorted(range(len(counts)), key=lambda c: (counts[c], c))
    assert torch.equal(reversed_prior[ranked], log_prior(n)[ranked].flip(0))


@every_loss
def test_an_empty_class_costs_a_finite_amount(name: str) -> None:
    logits = torch.randn(3, 4, requires_grad=True)
    loss = LOSSES[name](torch.tensor([50.0, 0.0, 5.0, 0.0]))(logits, torch.tensor([0, 1, 3]))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@every_loss
def test_the_offset_moves_with_the_loss_but_is_not_saved(name: str) -> None:
    loss = LOSSES[name](torch.tensor([5.0, 2.0, 1.0]))
    assert not loss.state_dict()
    assert loss.double().offset.dtype == torch.float64


@every_loss
@given(
    rows=st.lists(st.lists(st.floats(-1e4, 1e4), min_size=4, max_size=4), min_size=1, max_size=3),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
    soft=st.booleans(),
    seed=st.integers(0, 9),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_huge_logits_of_every_precision(
    name: str, rows: list[list[float]], dtype: torch.dtype, soft: bool, seed: int
) -> None:
    counts, noise, classes = random_case(seed, classes=4, batch=len(rows))
    logits = torch.tensor(rows, dtype=dtype, requires_grad=True)
    loss = LOSSES[name](counts)(logits, noise.softmax(-1) if soft else classes)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert loss >= 0
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@every_loss
def test_autocast_does_not_lower_the_precision(name: str) -> None:
    counts, logits, target = random_case(0)
    expected = LOSSES[name](counts)(logits, target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(LOSSES[name](counts)(logits, target), expected)
