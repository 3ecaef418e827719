"""No training step asks for a value: on a GPU the host would wait for all that was launched before.

Fake tensors have shapes and no values. What needs a value, or a shape that depends on values, raises.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from lt_lightning import losses, modules
from lt_lightning.data.base import Batch
from lt_lightning.losses import (
    ClassBalanced,
    ContrastiveTerm,
    CrossEntropy,
    Distillation,
    EnsembleTerm,
    LongTailLoss,
    SharedSupSiam,
)
from lt_lightning.modules import ContrastiveExperts, LongTailModule, SelfDistillation, StudentEnsemble, Teacher

COUNTS, B = [14, 9, 6, 3], 8
FURTHER = {"FamilyDistillation": {"diversity_weight": 0.5}}


def found(base: type) -> list[type]:
    """All concrete classes of a kind that the package exports."""
    exported = (getattr(losses, name) for name in losses.__all__)
    return [kind for kind in exported if isinstance(kind, type) and issubclass(kind, base) and kind is not base]


def with_loss(loss: type[LongTailLoss]) -> LongTailModule:
    return Teacher(COUNTS, [loss], backbone="resnet8", classifier="cosine")


def with_term(term: type[EnsembleTerm]) -> LongTailModule:
    return Teacher(COUNTS, [CrossEntropy] * 3, terms=[term], backbone="resnet8", shared_stages=1)


def taught(kind: type[Distillation]) -> LongTailModule:
    distillation = kind(**FURTHER.get(kind.__name__, {}))
    return StudentEnsemble(COUNTS, "not loaded here", distillation=distillation, backbone="resnet8")


def contrasting(term: Callable[..., ContrastiveTerm]) -> LongTailModule:
    return ContrastiveExperts(COUNTS, contrast=term, backbone="resnet8")


MODULES: dict[str, Callable[[], LongTailModule]] = {
    **{kind.__name__: partial(with_loss, kind) for kind in found(LongTailLoss)},
    **{kind.__name__: partial(with_term, kind) for kind in found(EnsembleTerm)},
    **{kind.__name__: partial(taught, kind) for kind in found(Distillation)},
    **{kind.__name__: partial(contrasting, kind) for kind in found(ContrastiveTerm)},
    "SupCon with a memory": partial(contrasting, partial(losses.SupCon, memory=2)),
    "BalancedContrast with a memory": partial(contrasting, partial(losses.BalancedContrast, memory=2)),
    "SelfDistillation": partial(SelfDistillation, COUNTS, backbone="resnet8"),
}


def batch(views: int) -> Batch:
    label = torch.zeros(B, dtype=torch.int64)
    example: Batch = {"image": torch.randn(B, 3, 8, 8), "target": label, "label": label, "index": torch.arange(B),
                      "seed": 0, "step_seed": 0, "views": [torch.randn(B, 3, 8, 8) for _ in range(views)]}  # fmt: skip
    example["teacher_logits"], example["teacher_offset"] = torch.randn(B, 4), torch.randn(4)
    return example


@pytest.mark.parametrize("name", MODULES)
def test_a_step_waits_for_nothing(name: str) -> None:
    module = MODULES[name]().train()
    views = {"SelfDistillation": 1}.get(name, 2 if isinstance(module, ContrastiveExperts) else 0)
    with FakeTensorMode(allow_non_fake_inputs=True):
        module.training_step(batch(views), 0)["loss"].backward()  # type: ignore[operator]


def moved(value: Any) -> Any:
    """To a device that computes nothing but shapes, and refuses tensors of another device and questions for values."""
    if isinstance(value, list):
        return [moved(one) for one in value]
    return value.to("meta") if isinstance(value, torch.Tensor) else value


@pytest.mark.parametrize("name", MODULES)
def test_a_step_stays_on_its_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator  # neither these nor autocast know that device
    monkeypatch.setattr(torch, "Generator", lambda device: generator() if device.type == "meta" else generator(device))
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    module = MODULES[name]().train().to("meta")
    views = {"SelfDistillation": 1}.get(name, 2 if isinstance(module, ContrastiveExperts) else 0)
    example = {key: moved(value) for key, value in batch(views).items()}
    result = module.training_step(example, 0)  # type: ignore[operator]
    result["loss"].backward()
    assert {value.device.type for value in result.values()} == {"meta"}
    assert {p.grad.device.type for p in module.parameters() if p.grad is not None} == {"meta"}


def test_a_step_that_waits_is_found() -> None:
    class Waiting(CrossEntropy):
        def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            loss = super().forward(logits, target)
            return loss if loss.item() > 0 else -loss

    module = Teacher(COUNTS, [Waiting], backbone="resnet8")
    with pytest.raises(DataDependentOutputException), FakeTensorMode(allow_non_fake_inputs=True):
        module.training_step(batch(0), 0)


def test_all_kinds_are_here() -> None:
    assert {ClassBalanced.__name__, SharedSupSiam.__name__} <= {*MODULES}
    learning = {getattr(modules, name) for name in modules.__all__} - {LongTailModule, modules.SecondStage}
    second = {kind for kind in learning if issubclass(kind, modules.SecondStage)}  # a frozen net under these losses
    assert learning - second == {Teacher, StudentEnsemble, ContrastiveExperts, SelfDistillation}
