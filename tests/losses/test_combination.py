import math

import pytest
import torch
from torch import Tensor

from lt_lightning.losses import (
    BalancedSoftmax,
    CrossEntropy,
    InverseSoftmax,
    MeanLogits,
    MeanProbabilities,
    PriorCorrected,
)

COUNTS = torch.tensor([100.0, 10.0, 31.0, 2.0, 5.0])
LOG_LINEAR = 1000 * 0.5 ** torch.arange(8.0)


def skills(counts: Tensor, tau: float) -> Tensor:
    """Offsets ``(3, C)`` of the three skills."""
    return torch.stack(
        [loss.offset for loss in (CrossEntropy(counts), BalancedSoftmax(counts))] + [InverseSoftmax(counts, tau).offset]
    )


def spread(values: Tensor) -> float:
    """How far ``(..., C)`` is from being constant over classes."""
    return (values - values.mean(-1, keepdim=True)).abs().max().item()


def test_mean_logits_is_the_mean() -> None:
    logits = torch.randn(3, 4, 5)
    combined = MeanLogits(COUNTS)(logits, skills(COUNTS, 2.0))
    torch.testing.assert_close(combined, (logits[0] + logits[1] + logits[2]) / 3)


def test_mean_logits_is_the_geometric_mean_of_probabilities() -> None:
    logits = torch.randn(3, 4, 5)
    product = logits.softmax(-1).prod(0) ** (1 / 3)
    torch.testing.assert_close(
        MeanLogits(COUNTS)(logits, torch.zeros(3, 5)).softmax(-1), product / product.sum(-1, True)
    )


@pytest.mark.parametrize("combination", [MeanLogits, MeanProbabilities, PriorCorrected])
def test_half_precision_is_averaged_in_float32(combination: type[MeanLogits]) -> None:
    logits, offset = torch.randn(3, 4, 5).bfloat16(), skills(COUNTS, 2.0)
    combined = combination(COUNTS)(logits, offset)
    assert combined.dtype == torch.float32
    assert torch.equal(combined, combination(COUNTS)(logits.float(), offset))


@pytest.mark.parametrize("test_prior", [None, [1.0, 2.0, 3.0, 4.0, 5.0], [7.0, 1.0, 1.0, 1.0, 30.0]])
def test_prior_corrected_is_its_formula(test_prior: list[float] | None) -> None:
    """mean_s v_s + mean_s b_s - log pi + log rho, one number at a time."""
    logits, offset = torch.randn(3, 4, 5), skills(COUNTS, 2.0)
    combined, rho = PriorCorrected(COUNTS, test_prior)(logits, offset), test_prior or [1.0] * 5
    for b in range(4):
        for c in range(5):
            v, bias = (sum(x[c].item() for x in rows) / 3 for rows in (logits[:, b], offset))
            prior = math.log(rho[c] / sum(rho)) - math.log(COUNTS[c].item() / COUNTS.sum().item())
            assert combined[b, c].item() == pytest.approx(v + bias + prior, abs=1e-4)


@pytest.mark.parametrize(("tau", "rest"), [(1.0, 0.0), (2.0, 1 / 3)])
def test_three_skills_of_tau_1_are_balanced_on_a_log_linear_profile(tau: float, rest: float) -> None:
    """At tau 1 the mean raw logit carries no prior; at tau 2 it carries -1/3 log pi, which the correction removes."""
    logits, log_pi = torch.randn(3, 4, 8), (LOG_LINEAR / LOG_LINEAR.sum()).log()
    offset = skills(LOG_LINEAR, tau)
    change = PriorCorrected(LOG_LINEAR)(logits, offset) - MeanLogits(LOG_LINEAR)(logits, offset)
    assert spread(change - rest * log_pi) < 1e-4
    assert spread(log_pi) > 1


def test_the_training_prior_as_test_prior_leaves_the_aligned_mean() -> None:
    logits, offset = torch.randn(3, 4, 5), skills(COUNTS, 2.0)
    combined = PriorCorrected(COUNTS, COUNTS.tolist())(logits, offset)
    torch.testing.assert_close(combined, (logits + offset.unsqueeze(1)).mean(0))


@pytest.mark.parametrize(
    "test_prior", [[1.0] * 4, [1.0] * 6, [], [1.0, 1, 1, 1, 0], [1.0, 1, 1, 1, -1], [1.0, 1, 1, 1, math.nan]]
)
def test_a_bad_test_prior_is_an_error(test_prior: list[float]) -> None:
    with pytest.raises(ValueError, match="test_prior must be 5 positive numbers"):
        PriorCorrected(COUNTS, test_prior)


def test_mean_probabilities_is_the_mean() -> None:
    logits = torch.randn(3, 4, 5)
    mean = sum(member.softmax(-1) for member in logits) / 3
    torch.testing.assert_close(MeanProbabilities(COUNTS)(logits, torch.zeros(3, 5)).exp(), mean)
    assert MeanProbabilities(COUNTS)(1e4 * logits, torch.zeros(3, 5)).isfinite().all()


@pytest.mark.parametrize("combination", [MeanLogits, PriorCorrected])
def test_what_is_combined_is_the_mean_of_the_members(combination: type[MeanLogits]) -> None:
    logits, offset = torch.randn(3, 4, 5), skills(COUNTS, 2.0)
    members = combination(COUNTS).members(logits, offset)
    assert members.shape == logits.shape
    torch.testing.assert_close(members.mean(0), combination(COUNTS)(logits, offset))
