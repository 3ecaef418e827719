import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from lt_lightning.losses.base import LongTailLoss, LossFactory
from lt_lightning.losses.expected import ExpectedLoss
from lt_lightning.losses.margin import LDAM
from lt_lightning.losses.reweighting import ClassBalanced, Focal, LabelAwareSmoothing, effective_number_weights
from lt_lightning.losses.softmax import BalancedSoftmax, CrossEntropy

COUNTS = [500, 7, 120, 31, 2]
EXPECTED: dict[str, LossFactory] = {
    "focal": lambda counts: Focal(counts, gamma=2.0),
    "focal_half": lambda counts: Focal(counts, gamma=0.5),
    "smoothing": LabelAwareSmoothing,
    "ldam": LDAM,
    "ce": CrossEntropy,
    "balanced": BalancedSoftmax,
}
every_expected = pytest.mark.parametrize("name", EXPECTED)


def case(seed: int, batch: int = 16, scale: float = 4.0) -> tuple[Tensor, Tensor]:
    """Logits of five classes, and classes."""
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(batch, 5, generator=generator), torch.randint(5, (batch,), generator=generator)


def log_softmax(row: Sequence[float]) -> list[float]:
    total = math.log(sum(math.exp(v - max(row)) for v in row)) + max(row)
    return [v - total for v in row]


def slow_weights(counts: Sequence[int], beta: float) -> list[float]:
    effective = [sum(beta**k for k in range(max(n, 1))) for n in counts]
    return [len(counts) / e / sum(1 / f for f in effective) for e in effective]


def slow_focal(row: Sequence[float], y: int, gamma: float) -> float:
    p = math.exp(log_softmax(row)[y])
    return -((1 - p) ** gamma) * math.log(p)


def slow_smoothing(row: Sequence[float], y: int, head: float, tail: float) -> float:
    """Cross-entropy against a label that was smoothed, class after class."""
    low, high = min(COUNTS), max(COUNTS)
    s = tail + (head - tail) * math.sin((COUNTS[y] - low) * math.pi / (2 * (high - low)))
    label = [s / 5 + (1 - s) * (c == y) for c in range(5)]
    return -sum(t * v for t, v in zip(label, log_softmax(row), strict=True))


def slow_mean(losses: list[float], weights: list[float]) -> float:
    return sum(w * v for w, v in zip(weights, losses, strict=True)) / sum(weights)


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.9999, 0.999999])
@pytest.mark.parametrize("counts", [COUNTS, [3, 3, 3], [500, 0, 1, 0], [1]])
def test_weights_are_the_inverse_of_geometric_sums(counts: list[int], beta: float) -> None:
    weights = effective_number_weights(torch.tensor(counts), beta)
    assert weights.tolist() == pytest.approx(slow_weights(counts, beta), rel=1e-5)
    assert weights.sum().item() == pytest.approx(len(counts), rel=1e-5)


def test_weights_go_from_equal_to_inverse_counts() -> None:
    counts = torch.tensor(COUNTS)
    assert torch.equal(effective_number_weights(counts, 0.0), torch.ones(5))
    inverse = 1 / counts
    torch.testing.assert_close(
        effective_number_weights(counts, 1 - 1e-9), 5 * inverse / inverse.sum(), rtol=1e-5, atol=0
    )


@pytest.mark.parametrize("beta", [-0.1, 1.0, 1.5, math.nan])
def test_a_beta_out_of_range_is_refused(beta: float) -> None:
    with pytest.raises(ValueError, match="beta"):
        effective_number_weights(torch.ones(2), beta)
    with pytest.raises(ValueError, match="beta"):
        ClassBalanced(torch.ones(2), beta)


@pytest.mark.parametrize("seed", range(3))
def test_class_balanced_is_the_weighted_mean(seed: int) -> None:
    logits, target = case(seed)
    losses = [-log_softmax(row)[y] for row, y in zip(logits.tolist(), target.tolist(), strict=True)]
    weights = slow_weights(COUNTS, 0.9999)
    expected = slow_mean(losses, [weights[y] for y in target.tolist()])
    assert ClassBalanced(torch.tensor(COUNTS))(logits, target).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", [ClassBalanced(torch.tensor(COUNTS), 0.0), ClassBalanced(torch.full((5,), 9))])
def test_class_balanced_without_difference_is_cross_entropy(loss: LongTailLoss) -> None:
    logits, target = case(0)
    torch.testing.assert_close(loss(logits, target), F.cross_entropy(logits, target))


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_focal_is_its_formula(gamma: float) -> None:
    logits, target = case(1)
    losses = [slow_focal(row, y, gamma) for row, y in zip(logits.tolist(), target.tolist(), strict=True)]
    expected = sum(losses) / len(losses)
    assert Focal(torch.tensor(COUNTS), gamma)(logits, target).item() == pytest.approx(expected, rel=1e-5)


def test_focal_of_gamma_0_is_cross_entropy() -> None:
    logits, target = case(0)
    assert torch.equal(Focal(torch.tensor(COUNTS), 0.0)(logits, target), F.cross_entropy(logits, target))


@pytest.mark.parametrize("gap", [5.0, 12.0, 15.0])
def test_focal_keeps_its_digits_for_images_that_are_known(gap: float) -> None:
    row = [gap, 0.0, -1.0, 0.0, -2.0]
    loss = Focal(torch.tensor(COUNTS), 2.0)(torch.tensor([row]), torch.tensor([0]))
    rest = sum(math.exp(v - gap) for v in row[1:])  # 1/p - 1
    assert loss.item() == pytest.approx((rest / (1 + rest)) ** 2 * math.log1p(rest), rel=0.2 if gap > 12 else 0.02)


@pytest.mark.parametrize("gamma", [-1.0, math.inf, math.nan])
def test_a_gamma_out_of_range_is_refused(gamma: float) -> None:
    with pytest.raises(ValueError, match="gamma"):
        Focal(torch.ones(2), gamma)


@pytest.mark.parametrize(("head", "tail"), [(0.4, 0.1), (0.3, 0.0), (0.2, 0.2)])
def test_label_aware_smoothing_is_its_formula(head: float, tail: float) -> None:
    logits, target = case(2)
    losses = [slow_smoothing(row, y, head, tail) for row, y in zip(logits.tolist(), target.tolist(), strict=True)]
    loss = LabelAwareSmoothing(torch.tensor(COUNTS), head, tail)(logits, target)
    assert loss.item() == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_smoothing_goes_from_tail_to_head_and_is_concave() -> None:
    smoothing = LabelAwareSmoothing(torch.arange(1, 12)).smoothing
    assert smoothing[0].item() == pytest.approx(0.1)
    assert smoothing[-1].item() == pytest.approx(0.4)
    steps = smoothing.diff()
    assert (steps > 0).all()
    assert (steps.diff() < 0).all()


def test_no_smoothing_is_cross_entropy_and_equal_smoothing_is_torchs() -> None:
    logits, target = case(0)
    none = LabelAwareSmoothing(torch.tensor(COUNTS), head=0.0, tail=0.0)
    torch.testing.assert_close(none(logits, target), F.cross_entropy(logits, target))
    equal = LabelAwareSmoothing(torch.full((5,), 9))
    torch.testing.assert_close(equal(logits, target), F.cross_entropy(logits, target, label_smoothing=0.1))


@pytest.mark.parametrize(("head", "tail"), [(0.1, 0.4), (1.0, 0.0), (0.4, -0.1), (math.nan, 0.0)])
def test_smoothing_out_of_range_is_refused(head: float, tail: float) -> None:
    with pytest.raises(ValueError, match="smoothing"):
        LabelAwareSmoothing(torch.ones(2), head, tail)


@every_expected
@pytest.mark.parametrize("weighted", [False, True])
def test_a_class_and_its_one_hot_row_cost_the_same(name: str, weighted: bool) -> None:
    logits, target = case(3)
    loss = EXPECTED[name](torch.tensor(COUNTS, dtype=torch.float32))
    loss.class_weight = torch.tensor([0.1, 3.0, 0.5, 1.0, 4.0]) if weighted else None
    torch.testing.assert_close(loss(logits, F.one_hot(target, 5).float()), loss(logits, target))


@every_expected
@pytest.mark.parametrize("weighted", [False, True])
def test_a_mixture_costs_what_its_classes_cost(name: str, weighted: bool) -> None:
    logits, target = case(4)
    other = target.flip(0)
    loss = EXPECTED[name](torch.tensor(COUNTS, dtype=torch.float32))
    weights = [0.1, 3.0, 0.5, 1.0, 4.0] if weighted else [1.0] * 5
    singles = [[loss(z[None], torch.tensor([c])).item() for c in range(5)] for z in logits]
    loss.class_weight = torch.tensor(weights) if weighted else None
    shares = [(i, c, s) for cs, s in ((target, 0.3), (other, 0.7)) for i, c in enumerate(cs.tolist())]
    expected = slow_mean([singles[i][c] for i, c, _ in shares], [s * weights[c] for _, c, s in shares])
    mixed = 0.3 * F.one_hot(target, 5) + 0.7 * F.one_hot(other, 5)
    assert loss(logits, mixed).item() == pytest.approx(expected, rel=1e-5)


@every_expected
def test_class_weights_give_the_mean_of_torch(name: str) -> None:
    logits, target = case(5)
    loss = EXPECTED[name](torch.tensor(COUNTS, dtype=torch.float32))
    losses = [loss(z[None], y[None]).item() for z, y in zip(logits, target, strict=True)]
    loss.class_weight = torch.tensor([0.1, 3.0, 0.5, 1.0, 4.0])
    expected = slow_mean(losses, loss.class_weight[target].tolist())
    assert loss(logits, target).item() == pytest.approx(expected, rel=1e-5)


@every_expected
def test_what_classes_weigh_is_not_saved_and_moves_with_the_loss(name: str) -> None:
    loss = EXPECTED[name](torch.tensor(COUNTS, dtype=torch.float32))
    loss.class_weight = effective_number_weights(torch.tensor(COUNTS), 0.9999)
    assert not loss.state_dict()
    loss.double()
    logits, target = case(0)
    assert loss(logits.double(), target).dtype == torch.float64
    assert not ClassBalanced(torch.tensor(COUNTS)).state_dict()


def test_a_loss_must_say_what_each_class_costs() -> None:
    with pytest.raises(NotImplementedError):
        ExpectedLoss(torch.ones(5))(*case(0))


@every_expected
@given(
    rows=st.lists(st.lists(st.floats(-1e4, 1e4), min_size=4, max_size=4), min_size=1, max_size=3),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
    counts=st.sampled_from([[500.0, 0.0, 5.0, 0.0], [1.0, 1.0, 1.0, 1.0], [1e6, 3.0, 2.0, 1.0], [0.0, 0.0, 0.0, 2.0]]),
    soft=st.booleans(),
    weighted=st.booleans(),
    y=st.integers(0, 3),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_loss_and_gradient_are_finite(
    name: str,
    rows: list[list[float]],
    dtype: torch.dtype,
    counts: list[float],
    soft: bool,
    weighted: bool,
    y: int,
) -> None:
    logits = torch.tensor(rows, dtype=dtype, requires_grad=True)
    loss = EXPECTED[name](torch.tensor(counts))
    loss.class_weight = effective_number_weights(torch.tensor(counts), 0.9999) if weighted else None
    target = torch.full((len(rows),), y)  # a batch of one class, perhaps one without training images
    value = loss(logits, (0.6 * F.one_hot(target, 4) + 0.1).float() if soft else target)
    value.backward()
    assert value.dtype == torch.float32
    assert value.isfinite()
    assert value >= 0
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@every_expected
def test_autocast_does_not_lower_the_precision(name: str) -> None:
    logits, target = case(0)
    loss = EXPECTED[name](torch.tensor(COUNTS, dtype=torch.float32))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(
            loss(logits, target), EXPECTED[name](torch.tensor(COUNTS, dtype=torch.float32))(logits, target)
        )
    assert loss(logits.bfloat16(), target).dtype == torch.float32
