import math

import pytest
import torch
from torch import Tensor

from lt_lightning.losses import (
    Aligned,
    Distillation,
    EnsembleDistillation,
    FamilyDistillation,
    MemberDistillation,
    Raw,
)
from lt_lightning.losses.distillation import kl_divergence

E, B, C = 3, 4, 6
EVERY_LEVEL = [
    MemberDistillation(),
    EnsembleDistillation(),
    FamilyDistillation(-0.3),
    MemberDistillation(4.0, Raw()),
    EnsembleDistillation(4.0, Raw()),
]
every_level = pytest.mark.parametrize(
    "loss", EVERY_LEVEL, ids=lambda loss: f"{type(loss).__name__}-{type(loss.space).__name__}"
)


@pytest.fixture
def case() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Students ``(E, B, C)`` with offsets ``(E, C)``, teacher ``(B, C)`` with offset ``(C,)``."""
    torch.manual_seed(0)
    return 3 * torch.randn(E, B, C), torch.randn(E, C), 3 * torch.randn(B, C), torch.randn(C)


def reference_kl(target_logits: list[float], logits: list[float]) -> float:
    z_p, z_q = (math.log(sum(math.exp(v) for v in row)) for row in (target_logits, logits))
    return sum(math.exp(u - z_p) * ((u - z_p) - (v - z_q)) for u, v in zip(target_logits, logits, strict=True))


def reference_loss(case: tuple[Tensor, ...], temperature: float, diversity_weight: float) -> float:
    """Sum over students of T^2 [KL(p||q-) + diversity_weight KL(q-||q_s)], mean over images."""
    student, student_offset, teacher, teacher_offset = (part.double() for part in case)
    total = 0.0
    for b in range(B):
        p = ((teacher[b] + teacher_offset) / temperature).tolist()
        members = [((student[s, b] + student_offset[s]) / temperature).tolist() for s in range(E)]
        ensemble = [sum(column) / E for column in zip(*members, strict=True)]
        for q in members:
            total += reference_kl(p, ensemble) + diversity_weight * reference_kl(ensemble, q)
    return temperature**2 * total / B


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(5, C), (2, 5, C), (1, C)])
def test_kl_divergence_is_the_double_loop(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    target, logits = (4 * torch.randn(shape)).to(dtype), (4 * torch.randn(shape)).to(dtype)
    pairs = list(zip(target.reshape(-1, C).tolist(), logits.reshape(-1, C).tolist(), strict=True))
    actual = kl_divergence(target, logits)
    assert actual.dtype == torch.float32
    assert actual.item() == pytest.approx(sum(reference_kl(p, q) for p, q in pairs) / len(pairs), rel=1e-5)


def test_kl_divergence_of_huge_logits_is_finite() -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    loss = kl_divergence(torch.tensor([[-1e4, 1e4, 0.0]]), logits)
    loss.backward()
    assert loss.item() == pytest.approx(2e4)
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("weight", [1.0, 0.0, -0.3])
def test_family_is_its_formula(case: tuple[Tensor, ...], temperature: float, weight: float) -> None:
    actual = FamilyDistillation(weight, temperature)(*case).item()
    assert actual == pytest.approx(reference_loss(case, temperature, weight), rel=1e-5)


@pytest.mark.parametrize(("loss", "weight"), [(MemberDistillation(), 1.0), (EnsembleDistillation(), 0.0)])
def test_member_and_ensemble_are_ends_of_the_family(
    case: tuple[Tensor, ...], loss: Distillation, weight: float
) -> None:
    students = [case[0].clone().requires_grad_() for _ in range(2)]
    values = [level(s, *case[1:]) for level, s in zip((loss, FamilyDistillation(weight)), students, strict=True)]
    gradients = [torch.autograd.grad(value, s)[0] for value, s in zip(values, students, strict=True)]
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-5)


def test_members_divergence_is_the_ensembles_plus_diversity(case: tuple[Tensor, ...]) -> None:
    """B3 of methods.md, by separate sums, and in exact arithmetic of the reference."""
    student, _, teacher, _ = case
    ensemble = student.mean(0)
    members = torch.stack([kl_divergence(teacher, s) for s in student]).mean()
    diversity = torch.stack([kl_divergence(ensemble, s) for s in student]).mean()
    torch.testing.assert_close(members, kl_divergence(teacher, ensemble) + diversity, rtol=1e-6, atol=1e-6)
    assert diversity > 0.1
    p, q = teacher[0].tolist(), student[:, 0].tolist()
    mean = [sum(column) / E for column in zip(*q, strict=True)]
    direct = sum(reference_kl(p, row) for row in q) / E
    assert direct == pytest.approx(reference_kl(p, mean) + sum(reference_kl(mean, row) for row in q) / E, rel=1e-12)


@every_level
def test_students_that_agree_with_the_teacher_cost_nothing(loss: Distillation, case: tuple[Tensor, ...]) -> None:
    _, _, teacher, offset = case
    same = loss(teacher.expand(E, B, C), offset.expand(E, C), teacher, offset)
    assert same.item() == pytest.approx(0, abs=1e-5)


def test_no_aligned_loss_means_equal_logits_up_to_priors(case: tuple[Tensor, ...]) -> None:
    """v_s = u + b_T - b_s + const: by construction, and by minimising from anywhere."""
    student, student_offset, teacher, teacher_offset = case
    expected = teacher + teacher_offset - student_offset.unsqueeze(1)
    loss = MemberDistillation()
    assert loss(expected + torch.randn(E, B, 1), *case[1:]).item() == pytest.approx(0, abs=1e-5)
    raw = student.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([raw], max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value: Tensor = loss(raw, *case[1:])
        value.backward()
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    difference = raw.detach() - expected
    torch.testing.assert_close(difference, difference.mean(-1, keepdim=True).expand_as(raw), atol=0.02, rtol=0)


def test_raw_ignores_offsets(case: tuple[Tensor, ...]) -> None:
    student, student_offset, teacher, teacher_offset = case
    raw, aligned = MemberDistillation(space=Raw()), MemberDistillation(space=Aligned())
    plain = raw(student, 0 * student_offset, teacher, 0 * teacher_offset)
    assert torch.equal(raw(*case), plain)
    torch.testing.assert_close(aligned(student, 0 * student_offset, teacher, 0 * teacher_offset), plain)
    assert not torch.isclose(aligned(*case), plain)


def test_a_high_temperature_compares_centred_logits(case: tuple[Tensor, ...]) -> None:
    """T^2 KL tends to half the variance of the difference of logits over classes, so its gradient keeps its size."""
    student, student_offset, teacher, teacher_offset = case
    difference = student + student_offset.unsqueeze(1) - teacher - teacher_offset
    centred = difference - difference.mean(-1, keepdim=True)
    loss = MemberDistillation(temperature=40.0)(*case)
    assert loss.item() == pytest.approx((centred.square().mean(-1) / 2).mean(1).sum().item(), rel=0.05)
    raw = student.clone().requires_grad_()
    MemberDistillation(temperature=1000.0)(raw, *case[1:]).backward()
    torch.testing.assert_close(raw.grad, centred / (C * B), rtol=0.02, atol=1e-3)


@every_level
def test_students_learn_and_the_teacher_does_not(loss: Distillation, case: tuple[Tensor, ...]) -> None:
    student, teacher = case[0].clone().requires_grad_(), case[2].clone().requires_grad_()
    loss(student, case[1], teacher, case[3]).backward()
    assert student.grad is not None
    assert student.grad.any()
    assert teacher.grad is None


@every_level
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_give_a_float32_loss(
    loss: Distillation, dtype: torch.dtype, case: tuple[Tensor, ...]
) -> None:
    student, student_offset, teacher, teacher_offset = case
    actual = loss(student.to(dtype), student_offset, teacher.to(dtype), teacher_offset)
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual, loss(*case), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
@pytest.mark.parametrize("level", [MemberDistillation, EnsembleDistillation])
def test_a_temperature_must_be_positive(level: type[MemberDistillation], temperature: float) -> None:
    with pytest.raises(ValueError, match=f"must be positive and finite, got {temperature}"):
        level(temperature=temperature)
