"""A compiled step is the same step: one program for all steps, with the plain step's loss and gradients."""

import copy
from typing import Any

import pytest
import torch
from test_no_host_sync import MODULES, B, batch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend

from lt_lightning import compiled
from lt_lightning.callbacks.schedules import _set_weight
from lt_lightning.compiled import compile_step
from lt_lightning.data.base import Batch
from lt_lightning.losses import BalancedSoftmax
from lt_lightning.modules import ContrastiveExperts, LongTailModule, SelfDistillation, Teacher

PROGRAMS = {"SupSiam": 6, "SharedSupSiam": 7}
"""Into how many parts the draws of a generator of its own cut a step; others are one."""


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> CompileCounterWithBackend:
    """Compiles as far as one program of torch's operations; that is then not made faster, so results are the same."""
    plain, counter = torch.compile, CompileCounterWithBackend("eager")

    def trace(function: Any, mode: str, **kwargs: Any) -> Any:
        assert mode == "max-autotune"
        return plain(function, backend=counter, **kwargs)

    monkeypatch.setattr(compiled.torch, "compile", trace)
    torch.compiler.reset()
    return counter


def batches(name: str, module: LongTailModule) -> list[Batch]:
    """Three, of different labels and seeds, the last smaller."""
    views = {"SelfDistillation": 1}.get(name, 2 if isinstance(module, ContrastiveExperts) else 0)
    made = []
    for step in range(3):
        torch.manual_seed(step)
        label = torch.randint(4, (B,))
        made.append({**batch(views), "target": label, "label": label, "seed": step, "step_seed": step})
    return made


def learn(module: LongTailModule, example: Batch, number: int = 0) -> tuple[Tensor, list[Tensor | None]]:
    """Loss and gradients of a step."""
    module.zero_grad()
    loss = module.training_step(example, number)["loss"]  # type: ignore[operator]
    loss.backward()
    return loss.detach(), [p.grad for p in module.parameters()]


def same(ours: tuple[Tensor, list[Tensor | None]], theirs: tuple[Tensor, list[Tensor | None]]) -> bool:
    pairs = zip(ours[1], theirs[1], strict=True)
    return torch.equal(ours[0], theirs[0]) and all(a is b or torch.equal(a, b) for a, b in pairs)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.soak] if name == "SharedSupSiam" else []) for name in MODULES]
)
def test_a_step_is_one_program_for_all_steps(name: str, traced: CompileCounterWithBackend) -> None:
    torch.manual_seed(0)
    module = MODULES[name]().train()
    plain = copy.deepcopy(module)
    compile_step(module, "max-autotune")
    for number, example in enumerate(batches(name, module)):
        assert same(learn(module, example, number), learn(plain, example, number))
    assert traced.frame_count == PROGRAMS.get(name, 1)
    for name, value in module.state_dict().items():  # running means, queues, memories
        assert torch.equal(value, plain.state_dict()[name])


def test_the_smaller_batch_at_the_end_of_an_epoch_is_a_program_of_its_own(traced: CompileCounterWithBackend) -> None:
    module = MODULES["BalancedSoftmax"]().train()
    compile_step(module, "max-autotune")
    whole = batch(0)
    rest: Any = {name: value[:5] if isinstance(value, Tensor) else value for name, value in whole.items()}
    for example in (whole, rest, whole, rest):
        learn(module, example)
    assert traced.frame_count == 2


def test_a_weight_that_a_schedule_raises_needs_no_new_program(traced: CompileCounterWithBackend) -> None:
    module = SelfDistillation([14, 9, 6, 3], backbone="resnet8").train()
    plain = copy.deepcopy(module)
    compile_step(module, "max-autotune")
    example, places = batch(1), set[int]()
    for epoch in range(1, 13):
        for either in (module, plain):
            _set_weight(either, "distill_weight", epoch / 20)
        assert same(learn(module, example), learn(plain, example))
        places.add(module.distill_weight.data_ptr())  # type: ignore[attr-defined]
    assert traced.frame_count == 1
    assert len(places) == 1  # or a CUDA graph would be recorded anew


def test_what_torch_makes_of_it_is_as_exact_as_the_plain_step() -> None:
    torch.manual_seed(0)
    exact = Teacher([14, 9, 6, 3], [BalancedSoftmax], backbone="resnet8").train().double()
    plain = copy.deepcopy(exact).float()
    module = copy.deepcopy(plain)
    compile_step(module, "default")
    example = batches("BalancedSoftmax", module)[0]
    wide: Any = {**example, "image": example["image"].double()}
    results = {name: learn(m, e) for name, m, e in
               (("exact", exact, wide), ("plain", plain, example), ("ours", module, example))}  # fmt: skip

    def error(name: str) -> float:
        pairs = zip(results[name][1], results["exact"][1], strict=True)
        return max(((a - b).norm() / b.norm()).item() for a, b in pairs)  # type: ignore[operator, union-attr]

    assert (results["ours"][0] - results["exact"][0]).abs() < 1e-5
    assert error("plain") < 1e-4
    assert error("ours") < 10 * error("plain")
