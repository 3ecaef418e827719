"""What does nothing in a training step is left out; what does something is done."""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.profilers import Profiler, SimpleProfiler
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.optim import SGD, Adam

from lt_lightning.callbacks import LeanLoop
from lt_lightning.callbacks.lean_loop import IN_EACH_STEP, _fuse_on_gpu


class Steps:
    """Does something at the start and at the end of a step."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def on_train_batch_start(self, *_: Any) -> None:
        self.seen.append("start")

    def on_train_batch_end(self, *_: Any) -> None:
        self.seen.append("end")


class Recorder(Steps, Callback):
    """A callback that does."""


class Told:
    """A hook that is no function."""

    times = 0

    def __call__(self, *_: Any) -> None:
        self.times += 1


class Inherits(Recorder):
    """Does what another does."""


class OfModel(Steps, Callback):
    """Does it for a module; of its own kind, or it would take the place of the others."""


class Model(BoringModel):
    """Brings a callback of its own, as a student ensemble does."""

    own = OfModel()

    def configure_callbacks(self) -> list[Callback]:
        return [self.own]


class Short(BoringModel):
    """Has a step that asks for no index, as a decorator hands it on, and a hook of its own."""

    after = 0

    @staticmethod
    def handed_on(step: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(step)
        def decorated(self: Any, *args: Any) -> Any:
            return step(self, *args)

        return decorated

    @handed_on
    def training_step(self, batch: Any) -> Any:
        return super().training_step(batch, 0)

    def on_after_backward(self) -> None:
        self.after += 1


STEPS = 3


def train(folder: Path, model: LightningModule, *callbacks: Callback, profiler: Profiler | None = None) -> Trainer:
    """A few steps."""
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=1, limit_train_batches=STEPS, limit_val_batches=0, accelerator="cpu", **quiet,
                      profiler=profiler, enable_checkpointing=False, default_root_dir=folder,
                      callbacks=[*callbacks])  # fmt: skip
    trainer.fit(model)
    return trainer


def counted(folder: Path, *callbacks: Callback) -> set[str]:
    """Hooks of callbacks and of the module that were called in each of these steps."""
    Model.own = OfModel()
    train(folder, Model(), *callbacks, profiler=(profiler := SimpleProfiler()))
    return {name for name, times in profiler.recorded_durations.items() if len(times) == STEPS and "]" in name}


@pytest.mark.parametrize("lean", [[], [LeanLoop()]], ids=["plain", "lean"])
def test_what_is_done_in_a_step_is_done(lean: list[Callback], tmp_path: Path) -> None:
    told, model = Told(), Short()
    first, second, Model.own = Recorder(), Inherits(), OfModel()
    third = LambdaCallback(on_after_backward=told)
    train(tmp_path, Model(), *lean, first, second, third)
    assert told.times == STEPS
    assert first.seen == second.seen == Model.own.seen == ["start", "end"] * STEPS
    train(tmp_path, model, *lean)
    assert model.after == STEPS


def test_what_is_left_empty_is_not_called(tmp_path: Path) -> None:
    (tmp_path / "lean").mkdir()
    plain, lean = counted(tmp_path, Recorder()), counted(tmp_path / "lean", Recorder(), LeanLoop())
    for owner in ("[Callback]Recorder", "[LightningModule]Model"):  # these are Lightning's hooks of a step
        assert {f"{owner}.{hook}" for hook in IN_EACH_STEP} <= plain
    gone = {f"{owner}.{hook}" for owner in ("[Callback]Recorder", "[Callback]OfModel") for hook in IN_EACH_STEP[1:-1]}
    assert plain - lean == gone | {f"[LightningModule]Model.{hook}" for hook in IN_EACH_STEP}


def test_without_a_profiler_nothing_is_entered(tmp_path: Path) -> None:
    profiler: Any = train(tmp_path, Model(), LeanLoop()).profiler  # type: ignore[attr-defined]
    assert profiler.profile("a step") is profiler.profile("another")


@pytest.mark.parametrize("model", [Model, Short])
def test_weights_are_the_same(model: type[LightningModule], tmp_path: Path) -> None:
    weights = []
    for callbacks in ([], [LeanLoop()]):
        seed_everything(0)
        trainer = train(tmp_path, model(), *callbacks)
        weights.append(trainer.lightning_module.state_dict())
    torch.testing.assert_close(*weights, rtol=0, atol=0)


@pytest.mark.parametrize("model", [Model, Short])
def test_what_a_step_takes_is_written_down_as_it_is(model: type[LightningModule], tmp_path: Path) -> None:
    before = inspect.getfullargspec(inspect.unwrap(model.training_step))
    train(tmp_path, model(), LeanLoop())
    step = inspect.unwrap(model.training_step)
    assert "__signature__" in vars(step)  # where inspect looks first
    assert inspect.getfullargspec(step) == before


HOW = {"unsaid": {}, "fused": {"fused": True}, "not fused": {"fused": False}, "foreach": {"foreach": True}}


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("how", HOW)
def test_sgd_is_fused_on_a_gpu_where_nothing_else_is_said(how: str, device: str) -> None:
    with FakeTensorMode():  # which needs no GPU
        parameters = [torch.nn.Parameter(torch.empty(3, device=device)) for _ in range(2)]
    sgd, adam = SGD(parameters, lr=0.1, **HOW[how]), Adam(parameters)
    for optimizer in (sgd, adam):
        _fuse_on_gpu(optimizer)
    said = HOW[how].get("fused")
    assert sgd.param_groups[0]["fused"] is (True if how == "unsaid" and device == "cuda" else said)
    assert adam.param_groups[0]["fused"] is None
