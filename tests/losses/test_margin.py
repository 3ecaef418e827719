import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lt_lightning.losses.margin import LDAM, others

COUNTS = torch.tensor([500.0, 7.0, 120.0, 31.0, 2.0])


def case(seed: int, batch: int = 32) -> tuple[Tensor, Tensor]:
    """Logits of a cosine classifier of scale 30, in float64, and classes."""
    generator = torch.Generator().manual_seed(seed)
    cosine = 2 * torch.rand(batch, 5, generator=generator, dtype=torch.float64) - 1
    return 30 * cosine, torch.randint(5, (batch,), generator=generator)


def slow_ldam(logits: Tensor, target: Tensor, max_margin: float, scale: float, weight: list[float]) -> float:
    """The paper's formula on cosines, image after image, in float64."""
    rarest = min(COUNTS.tolist()) ** -0.25
    total = mass = 0.0
    for row, y in zip(logits.tolist(), target.tolist(), strict=True):
        cosines = [v / scale for v in row]
        cosines[y] -= max_margin * COUNTS[y].item() ** -0.25 / rarest
        z = [scale * v for v in cosines]
        total += weight[y] * (math.log(sum(math.exp(v - max(z)) for v in z)) + max(z) - z[y])
        mass += weight[y]
    return total / mass


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("max_margin", "scale"), [(0.5, 30.0), (0.3, 16.0)])
@pytest.mark.parametrize("weight", [None, [0.1, 1.0, 0.3, 0.6, 3.0]])
def test_the_papers_formula(seed: int, max_margin: float, scale: float, weight: list[float] | None) -> None:
    logits, target = case(seed)
    loss = LDAM(COUNTS, max_margin, scale)
    loss.class_weight = None if weight is None else torch.tensor(weight)
    expected = slow_ldam(logits, target, max_margin, scale, weight or [1.0] * 5)
    assert loss(logits.float(), target).item() == pytest.approx(expected, rel=1e-5)


def test_the_gradient_is_that_of_the_shifted_cross_entropy() -> None:
    logits, target = case(3)
    ours, theirs = logits.float().requires_grad_(), logits.clone().requires_grad_()
    loss = LDAM(COUNTS)
    loss(ours, target).backward()
    rows = torch.arange(len(target))
    shift = torch.zeros_like(theirs)
    shift[rows, target] = loss.margin.double()[target]
    F.cross_entropy(theirs - shift, target).backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    torch.testing.assert_close(ours.grad.double(), theirs.grad, rtol=1e-4, atol=1e-7)


def test_margins_fall_with_the_fourth_root_of_the_count() -> None:
    margin = LDAM(torch.tensor([16.0, 1.0, 81.0, 0.0])).margin / 30
    torch.testing.assert_close(margin, torch.tensor([0.25, 0.5, 0.5 / 3, 0.5]))


def test_a_margin_of_0_is_cross_entropy() -> None:
    logits, target = case(0)
    loss = LDAM(COUNTS, max_margin=0.0)(logits.float(), target)
    torch.testing.assert_close(loss, F.cross_entropy(logits.float(), target))


def test_the_raw_logits_keep_the_training_prior() -> None:
    assert torch.equal(LDAM(COUNTS).offset, torch.zeros(5))


@pytest.mark.parametrize("gap", [14.0, 15.0, 17.0, 20.0])
def test_a_confident_image_of_a_rare_class_keeps_its_digits(gap: float) -> None:
    # the margin of 15 undoes nearly all of the gap, which the probability in float32 no longer shows
    logits = torch.tensor([[0.0, 0.0, 0.0, 0.0, gap]])
    loss = LDAM(COUNTS)(logits, torch.tensor([4])).item()
    assert loss == pytest.approx(math.log1p(4 * math.exp(15.0 - gap)), rel=1e-5)


def test_others_leaves_out_one_class_after_another() -> None:
    logits, _ = case(1)
    logits[0] = 3.0  # all alike
    logits[1] = torch.tensor([200.0, 0.0, 1.0, 2.0, 3.0])
    for c in range(5):
        rest = logits[:, [k for k in range(5) if k != c]].logsumexp(-1)
        torch.testing.assert_close(others(logits.float())[:, c].double(), rest, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("max_margin", "scale"), [(-0.1, 30.0), (0.5, 0.0), (math.nan, 30.0), (0.5, math.inf)])
def test_values_out_of_range_are_refused(max_margin: float, scale: float) -> None:
    with pytest.raises(ValueError, match="max_margin"):
        LDAM(COUNTS, max_margin, scale)
