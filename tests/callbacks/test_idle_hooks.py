"""What callbacks leave empty is not called in a training step; what they do is."""

from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.profilers import SimpleProfiler

from lt_lightning.callbacks import IdleHooks
from lt_lightning.callbacks.idle_hooks import IN_EACH_STEP


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


STEPS = 3


def train(folder: Path, *callbacks: Callback) -> dict[str, int]:
    """How often each hook of each callback was called in a few steps."""
    profiler = SimpleProfiler()
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=1, limit_train_batches=STEPS, limit_val_batches=0, accelerator="cpu", **quiet,
                      profiler=profiler, enable_checkpointing=False, default_root_dir=folder,
                      callbacks=[*callbacks])  # fmt: skip
    trainer.fit(Model())
    return {name: len(times) for name, times in profiler.recorded_durations.items() if name.startswith("[Callback]")}


@pytest.mark.parametrize("idle", [[], [IdleHooks()]], ids=["all", "idle"])
def test_what_callbacks_do_in_a_step_is_done(idle: list[Callback], tmp_path: Path) -> None:
    told = Told()
    first, second, Model.own = Recorder(), Inherits(), OfModel()
    third = LambdaCallback(on_after_backward=told)
    train(tmp_path, *idle, first, second, third)
    assert told.times == STEPS
    assert first.seen == second.seen == Model.own.seen == ["start", "end"] * STEPS


def test_what_they_leave_empty_is_not_called(tmp_path: Path) -> None:
    (tmp_path / "idle").mkdir()
    everything, rest = train(tmp_path, Recorder()), train(tmp_path / "idle", Recorder(), IdleHooks())
    plain = {name for name, times in everything.items() if name.startswith("[Callback]Recorder.") and times >= STEPS}
    assert plain == {f"[Callback]Recorder.{hook}" for hook in IN_EACH_STEP}  # these are Lightning's hooks of a step
    assert {name for name, times in rest.items() if times >= STEPS} == {
        f"[Callback]{name}.{hook}"
        for name in ("Recorder", "OfModel")
        for hook in ("on_train_batch_start", "on_train_batch_end")
    }
