"""Whatever the logits, the precision, the counts and the batch: every loss is finite, and so is its gradient."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lt_lightning import losses
from lt_lightning.losses import Distillation, EnsembleTerm, FamilyDistillation, LongTailLoss


def concrete(base: type[Any]) -> list[type[Any]]:
    """What the package offers of a kind."""
    offered = [vars(losses)[name] for name in losses.__all__]
    return [x for x in offered if isinstance(x, type) and issubclass(x, base) and x.forward is not base.forward]


LOSSES, TERMS = concrete(LongTailLoss), concrete(EnsembleTerm)
LEVELS = [level for level in vars(losses).values() if isinstance(level, type) and issubclass(level, Distillation)]
LEVELS = [level for level in LEVELS if level is not Distillation]

COUNTS = st.lists(st.sampled_from([0.0, 1.0, 3.0, 500.0, 1e6]), min_size=5, max_size=5).filter(any)
SCALES = st.sampled_from([0.0, 1.0, 30.0, 1e4])
DTYPES = st.sampled_from([torch.float32, torch.bfloat16, torch.float16])
TARGETS = st.lists(st.integers(0, 4), min_size=1, max_size=6) | st.integers(1, 6).map(lambda size: [4] * size)
anything = given(counts=COUNTS, scale=SCALES, dtype=DTYPES, target=TARGETS, seed=st.integers(0, 99))
quick = settings(deadline=None, max_examples=40)


def logits_of(shape: tuple[int, ...], scale: float, dtype: torch.dtype, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(shape, generator=generator)).clamp(-1e4, 1e4).to(dtype).requires_grad_()


def check(loss: Tensor, logits: Tensor) -> None:
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_all_are_found() -> None:
    assert {"CrossEntropy", "InverseSoftmax"} <= {loss.__name__ for loss in LOSSES}
    assert len(LEVELS) == 3


@pytest.mark.parametrize("build", LOSSES)
@anything
@quick
def test_losses(
    build: type[LongTailLoss], counts: list[float], scale: float, dtype: torch.dtype, target: list[int], seed: int
) -> None:
    logits = logits_of((len(target), 5), scale, dtype, seed)
    check(build(torch.tensor(counts))(logits, torch.tensor(target)), logits)


@pytest.mark.parametrize("build", LOSSES)
@anything
@quick
def test_losses_of_mixed_targets(
    build: type[LongTailLoss], counts: list[float], scale: float, dtype: torch.dtype, target: list[int], seed: int
) -> None:
    logits = logits_of((len(target), 5), scale, dtype, seed)
    soft = 0.7 * torch.eye(5)[target] + 0.3 * torch.eye(5)[target[::-1]]
    check(build(torch.tensor(counts))(logits, soft), logits)


@pytest.mark.parametrize("build", TERMS)
@anything
@quick
def test_terms(
    build: type[EnsembleTerm], counts: list[float], scale: float, dtype: torch.dtype, target: list[int], seed: int
) -> None:
    logits, offset = logits_of((3, len(target), 5), scale, dtype, seed), torch.randn(3, 5)
    check(build(torch.tensor(counts))(logits, offset, torch.tensor(target)), logits)


@pytest.mark.parametrize("build", LEVELS)
@anything
@quick
def test_distillation(
    build: Any, counts: list[float], scale: float, dtype: torch.dtype, target: list[int], seed: int
) -> None:
    level = build(-0.3) if build is FamilyDistillation else build()
    student, teacher = (logits_of(shape, scale, dtype, seed) for shape in ((3, len(target), 5), (len(target), 5)))
    prior = torch.tensor(counts) / 1e6
    check(level(student, prior.expand(3, 5), teacher, prior), student)
