import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from lt_lightning.losses.ensemble import TermFactory, mutual_divergence
from lt_lightning.losses.ncl import NestedCollaboration
from lt_lightning.losses.ride import DistributionAwareDiversity
from lt_lightning.losses.shike import HardNegatives, MutualDistillation
from lt_lightning.losses.softmax import BalancedSoftmax

COUNTS = [500, 40, 120, 31, 2, 7, 66]
C = len(COUNTS)
OFFSET = BalancedSoftmax(torch.tensor(COUNTS, dtype=torch.float32)).offset.expand(3, C)
TERMS: dict[str, TermFactory] = {
    "ride": DistributionAwareDiversity,
    "ncl": lambda counts: NestedCollaboration(counts, num_hardest=3),
    "mutual": MutualDistillation,
    "negatives": HardNegatives,
}
every_term = pytest.mark.parametrize("name", TERMS)


def build(name: str) -> torch.nn.Module:
    return TERMS[name](torch.tensor(COUNTS, dtype=torch.float32))


def case(seed: int, experts: int = 3, batch: int = 8, scale: float = 3.0) -> tuple[Tensor, Tensor]:
    """Logits of experts, and classes."""
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(experts, batch, C, generator=generator)
    return logits, torch.randint(C, (batch,), generator=generator)


def softmax(row: Sequence[float]) -> list[float]:
    powers = [math.exp(v - max(row)) for v in row]
    return [p / sum(powers) for p in powers]


def kl(p: Sequence[float], q: Sequence[float]) -> float:
    return sum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))


def slow_mutual(rows: list[list[float]]) -> float:
    """Of one image, whose logits each expert has given: ordered pairs of experts."""
    q = [softmax(row) for row in rows]
    return sum(kl(q[i], q[j]) for i in range(len(q)) for j in range(len(q)) if i != j)


def slow_ride(logits: Tensor, weight: float, base: float, r: float) -> float:
    """model/loss.py of RIDE: temperatures divide the logits of their classes, their mean is squared."""
    pi = [n / sum(COUNTS) for n in COUNTS]
    relative = [C * p * r + 1 - r for p in pi]
    t = [base * v / max(relative) for v in relative]
    total = 0.0
    for image in logits.transpose(0, 1).tolist():
        mean = [sum(expert[c] for expert in image) / len(image) for c in range(C)]
        for expert in image:
            p, q = (softmax([v / s for v, s in zip(row, t, strict=True)]) for row in (mean, expert))
            total += kl(p, q)
    return weight * (sum(t) / C) ** 2 * total / logits.shape[1]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("weight", "base", "r"), [(-0.45, 1.0, 0.05), (-0.2, 1.5, 0.3), (0.7, 1.0, 0.0)])
def test_ride_is_its_official_formula(seed: int, weight: float, base: float, r: float) -> None:
    logits, target = case(seed)
    term = DistributionAwareDiversity(torch.tensor(COUNTS, dtype=torch.float32), weight, base, r)
    assert term(logits, OFFSET, target).item() == pytest.approx(slow_ride(logits, weight, base, r), rel=1e-4)
    term.reweighted = False
    assert term(logits, OFFSET, target).item() == pytest.approx(slow_ride(logits, weight, base, 0.0), rel=1e-4)


def test_ride_does_not_move_an_expert_through_the_mean() -> None:
    logits, target = case(0)
    logits.requires_grad_()
    build("ride")(logits, OFFSET, target).backward()
    assert logits.grad is not None
    alone = logits.detach().clone()
    mean = alone.mean(0)
    first = alone[0].clone().requires_grad_()
    t = build("ride").class_temperature
    p, q = (mean / t).log_softmax(-1), (first / t).log_softmax(-1)
    (-0.45 * t.mean() ** 2 * F.kl_div(q, p, reduction="batchmean", log_target=True)).backward()
    torch.testing.assert_close(logits.grad[0], first.grad)


def test_ride_with_a_negative_weight_rewards_distance() -> None:
    logits, target = case(0)
    mean = logits.mean(0, keepdim=True)
    near, far = (build("ride")(mean + s * (logits - mean), OFFSET, target).item() for s in (0.5, 1.5))
    assert far < near < 0


def slow_ncl(logits: Tensor, target: Tensor, num_hardest: int, weight: float) -> float:
    """NIL_NBOD of NCL's lib/loss/loss.py without the cross-entropy on all classes, image after image."""
    experts = len(logits)
    total = 0.0
    for image, y in zip(logits.transpose(0, 1).tolist(), target.tolist(), strict=True):
        u = [[v + math.log(n) for v, n in zip(row, COUNTS, strict=True)] for row in image]
        ranked = sorted(range(C), key=lambda c: math.inf if c == y else image[0][c], reverse=True)
        hard = [[v if c in ranked[:num_hardest] else 0.0 for c, v in enumerate(row)] for row in u]
        total -= sum(math.log(softmax(row)[y]) for row in hard)
        total += weight * (slow_mutual(u) + slow_mutual(hard)) / (experts - 1)
    return total / len(target)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("experts", "num_hardest", "weight"), [(3, 3, 0.6), (2, 5, 0.6), (4, 2, 0.1)])
def test_ncl_is_its_official_formula(seed: int, experts: int, num_hardest: int, weight: float) -> None:
    logits, target = case(seed, experts)
    term = NestedCollaboration(torch.tensor(COUNTS, dtype=torch.float32), num_hardest, weight)
    value = term(logits, OFFSET[:1].expand(experts, C), target).item()
    assert value == pytest.approx(slow_ncl(logits, target, num_hardest, weight), rel=1e-4)


def test_ncl_on_all_classes_is_balanced_softmax_and_twice_the_divergence() -> None:
    logits, target = case(0)
    term = NestedCollaboration(torch.tensor(COUNTS, dtype=torch.float32), num_hardest=30)
    skill = sum(F.cross_entropy(z + OFFSET[0], target) for z in logits)
    torch.testing.assert_close(
        term(logits, OFFSET, target), skill + 0.6 * mutual_divergence(logits + OFFSET.unsqueeze(1))
    )


def test_ncl_of_one_expert_is_its_hardest_classes_alone() -> None:
    logits, target = case(0, experts=1)
    u = logits[0] + torch.tensor(COUNTS).log()
    term = NestedCollaboration(torch.tensor(COUNTS, dtype=torch.float32), num_hardest=3)
    expected = F.cross_entropy(u * term.mask(logits[0], target), target)
    torch.testing.assert_close(term(logits, OFFSET[:1], target), expected)


def test_ncl_masks_by_the_first_expert_and_keeps_the_own_class() -> None:
    term = NestedCollaboration(torch.tensor(COUNTS, dtype=torch.float32), num_hardest=3)
    logits = torch.tensor([[5.0, -9.0, 4.0, 3.0, 2.0, 1.0, 0.0]])
    assert term.mask(logits, torch.tensor([1])).tolist() == [[1, 1, 1, 0, 0, 0, 0]]
    assert term.mask(logits, torch.tensor([0])).tolist() == [[1, 0, 1, 1, 0, 0, 0]]
    mixture = torch.tensor([[0.0, 0.6, 0.0, 0.0, 0.0, 0.0, 0.4]])
    assert term.mask(logits, mixture).tolist() == [[1, 1, 0, 0, 0, 0, 1]]
    assert term.mask(1e4 * logits.sign(), torch.tensor([1]))[0, 1] == 1


@pytest.mark.parametrize("num_hardest", [1, 0, -3])
def test_ncl_needs_two_classes(num_hardest: int) -> None:
    with pytest.raises(ValueError, match="num_hardest"):
        NestedCollaboration(torch.tensor(COUNTS), num_hardest)


@pytest.mark.parametrize(("temperature", "r"), [(0.0, 0.05), (math.inf, 0.05), (1.0, 1.0), (1.0, -0.1)])
def test_ride_refuses_values_out_of_range(temperature: float, r: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        DistributionAwareDiversity(torch.tensor(COUNTS), temperature=temperature, r=r)


@pytest.mark.parametrize("seed", range(3))
def test_mutual_distillation_is_its_official_formula(seed: int) -> None:
    logits, target = case(seed)
    expected = sum(slow_mutual(image) for image in logits.transpose(0, 1).tolist()) / logits.shape[1] / C
    assert build("mutual")(logits, OFFSET, target).item() == pytest.approx(expected, rel=1e-4)


def slow_hard_negatives(logits: Tensor, target: Tensor) -> float:
    total = 0.0
    for image, y in zip(logits.transpose(0, 1).tolist(), target.tolist(), strict=True):
        negatives = [c for c in range(C) if c != y]
        mean = {c: sum(row[c] for row in image) / len(image) for c in negatives}
        hardest = max(negatives, key=lambda c: mean[c])
        reference = [mean[c] if c == hardest else max(row[c] for row in image) for c in negatives]
        total += sum(kl(softmax(reference), softmax([row[c] for c in negatives])) for row in image)
    return 10 * total / len(target) / C


@pytest.mark.parametrize("seed", range(3))
def test_hard_negatives_is_its_formula(seed: int) -> None:
    logits, target = case(seed)
    value = build("negatives")(logits, OFFSET, target).item()
    assert value == pytest.approx(slow_hard_negatives(logits, target), rel=1e-4)


def published_hard_negatives(logits: Tensor, target: Tensor) -> Tensor:
    """cifarTrain.py of SHIKE, whose image's class stays in, with logit 0 in the reference and -30 in the experts."""
    own = F.one_hot(target, C).double()
    mean = logits.mean(0) * (1 - own) - 30 * own
    hardest = F.one_hot(mean.argmax(-1), C).double()
    reference = (logits.amax(0) * (1 - hardest) * (1 - own) + mean * hardest).softmax(-1)
    experts = (logits * (1 - own) - 30 * own).softmax(-1)
    return 10 * (reference * (reference.log() - experts.log())).sum(0).mean()


def test_hard_negatives_are_the_published_ones_once_logits_are_spread() -> None:
    logits, target = case(0, batch=64, scale=3.0)
    logits = logits + 15.0  # a cosine classifier of scale 30 that has learned something
    published = published_hard_negatives(logits.double(), target)
    assert published.item() == pytest.approx(build("negatives")(logits, OFFSET, target).item(), rel=1e-3)


def test_hard_negatives_push_the_hardest_down() -> None:
    logits = torch.zeros(2, 1, C)
    logits[0, 0, 3], logits[1, 0, 3], logits[1, 0, 5] = 4.0, 2.0, 1.0
    logits.requires_grad_()
    build("negatives")(logits, OFFSET, torch.tensor([0])).backward()
    assert logits.grad is not None
    assert logits.grad[0, 0, 3] > 0
    assert torch.equal(logits.grad[:, 0, 0], torch.zeros(2))  # the image's own class takes no part


@pytest.mark.parametrize("name", ["ride", "mutual", "negatives"])
def test_identical_experts_have_nothing_to_say_to_each_other(name: str) -> None:
    logits, target = case(0, experts=1)
    same = logits.expand(3, -1, -1).clone().requires_grad_()
    value = build(name)(same, OFFSET, target)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-6)
    assert same.grad is not None
    assert same.grad.abs().max() < 1e-6


@pytest.mark.parametrize("name", ["ride", "mutual", "negatives"])
def test_one_expert_has_nothing_to_say(name: str) -> None:
    logits, target = case(0, experts=1)
    assert build(name)(logits, OFFSET[:1], target).item() == pytest.approx(0, abs=1e-6)


@every_term
def test_a_one_hot_row_is_its_class(name: str) -> None:
    logits, target = case(1)
    term = build(name)
    hard = term(logits, OFFSET, target)
    torch.testing.assert_close(term(logits, OFFSET, F.one_hot(target, C).float()), hard)


@every_term
def test_the_order_of_images_and_classes_does_not_matter(name: str) -> None:
    logits, target = case(2)
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    permuted = TERMS[name](torch.tensor(COUNTS, dtype=torch.float32)[order])
    value = permuted(logits[..., order].flip(1), OFFSET[:, order], order.argsort()[target].flip(0))
    torch.testing.assert_close(value, build(name)(logits, OFFSET, target))


@every_term
@given(
    rows=st.lists(st.lists(st.floats(-1e4, 1e4), min_size=8, max_size=8), min_size=1, max_size=3),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
    counts=st.sampled_from([[500.0, 0.0, 5.0, 0.0], [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 2.0]]),
    soft=st.booleans(),
    y=st.integers(0, 3),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_term_and_gradient_are_finite(
    name: str, rows: list[list[float]], dtype: torch.dtype, counts: list[float], soft: bool, y: int
) -> None:
    logits = torch.tensor(rows, dtype=dtype).view(-1, 2, 4).transpose(0, 1).clone().requires_grad_()  # two experts
    target = torch.full((len(rows),), y)
    offset = BalancedSoftmax(torch.tensor(counts)).offset.expand(2, 4)
    mixed = (0.6 * F.one_hot(target, 4) + 0.1).float()
    value = TERMS[name](torch.tensor(counts))(logits, offset, mixed if soft else target)
    value.backward()
    assert value.dtype == torch.float32
    assert value.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@every_term
def test_autocast_does_not_lower_the_precision(name: str) -> None:
    logits, target = case(0)
    term = build(name)
    expected = term(logits, OFFSET, target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(term(logits, OFFSET, target), expected)
    assert not term.state_dict()


def test_a_small_share_of_a_mixture_is_kept_by_ncl_too() -> None:
    term = NestedCollaboration(torch.tensor(COUNTS, dtype=torch.float32), num_hardest=3)
    logits = torch.tensor([[9e3, 8e3, 7e3, 0.0, 0.0, 0.0, -9e3]])
    mixture = torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.999, 0.0, 0.001]])
    assert term.mask(logits, mixture).tolist() == [[1, 0, 0, 0, 1, 0, 1]]
