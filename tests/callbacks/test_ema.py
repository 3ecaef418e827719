"""The average of weights against one that is computed by hand, step by step."""

import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lt_lightning.callbacks import EMA

sys.path.append(str(Path(__file__).parents[1]))
from commands import QUIET, ROOT, fit, load, refusal

FLAGS = ["--trainer.max_epochs", "3", "--trainer.check_val_every_n_epoch", "3"]


class Slow(Callback):
    """Averages as the docstring of EMA says, one tensor after the other, in float64."""

    def __init__(self, decay: float) -> None:
        self.decay, self.steps, self.average = decay, 0, dict[str, torch.Tensor]()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.average = {name: value.double() for name, value in pl_module.state_dict().items()}

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        if trainer.global_step == self.steps:
            return
        kept = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, value in pl_module.state_dict().items():
            self.average[name] = kept * self.average[name] + (1 - kept) * value.double()
        self.steps = trainer.global_step


@pytest.mark.parametrize("decay", [0.0, 0.4, 0.999])
@pytest.mark.parametrize("accumulated", [1, 2])
def test_it_is_the_average_of_all_steps(
    decay: float, accumulated: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, start = Slow(decay), EMA.on_train_start

    def beside(self: EMA, trainer: Trainer, pl_module: LightningModule) -> None:
        start(self, trainer, pl_module)
        trainer.callbacks.append(slow)  # type: ignore[attr-defined]
        slow.on_train_start(trainer, pl_module)

    monkeypatch.setattr(EMA, "on_train_start", beside)
    callbacks = f'[{{"class_path": "EMA", "init_args": {{"decay": {decay}}}}}]'
    more = ["--trainer.callbacks", callbacks, "--trainer.accumulate_grad_batches", str(accumulated)]
    checkpoint = load(fit(tmp_path, *FLAGS, *more, config="ema") / "last.ckpt")
    kept, now = checkpoint["state_dict"], checkpoint["current_model_state"]
    assert checkpoint["global_step"] == slow.steps == 12 // accumulated
    for name, value in kept.items():
        if value.is_floating_point():
            torch.testing.assert_close(value.double(), slow.average[name], rtol=1e-5, atol=1e-6)
    differ = any(not torch.equal(value, now[name]) for name, value in kept.items() if value.is_floating_point())
    assert differ is (decay > 0)


def test_buffers_that_come_later_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of classes, which no checkpoint keeps; and a run that is resumed begins with them."""
    validated: list[bool] = []

    class Look(Callback):
        def on_validation_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
            weight = pl_module.losses[0].class_weight  # type: ignore[union-attr, index]
            validated.append(weight is None or weight.sum().isclose(torch.tensor(10.0)).item())  # they sum to C

    start = EMA.on_train_start

    def beside(self: EMA, trainer: Trainer, pl_module: LightningModule) -> None:
        start(self, trainer, pl_module)
        trainer.callbacks.append(Look())  # type: ignore[attr-defined]

    monkeypatch.setattr(EMA, "on_train_start", beside)
    callbacks = "[{class_path: DeferredReweighting, init_args: {start: 0.5}}, {class_path: EMA}]"
    flags = ["--trainer.check_val_every_n_epoch", "1", "--trainer.callbacks", callbacks]
    fit(tmp_path, *flags, "--trainer.max_epochs", "3", config="ldam_drw")
    resumed = ["--trainer.max_epochs", "4", "--ckpt_path", str(tmp_path / "last.ckpt")]
    fit(tmp_path, *flags, *resumed, config="ldam_drw")
    assert len(validated) == 4
    assert all(validated)
    assert load(tmp_path / "last.ckpt")["epoch"] == 3


def test_weights_of_the_beginning_are_forgotten() -> None:
    kept = 1.0
    for step in range(60):
        kept *= min(0.999, (1 + step) / (10 + step))
    assert kept < 1e-9  # what 0.999 alone keeps: 0.94


@pytest.mark.parametrize("decay", ["1", "-0.1", ".nan"])
def test_what_is_no_decay_is_refused(decay: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    callbacks = ["--trainer.callbacks", f"[{{class_path: EMA, init_args: {{decay: {decay}}}}}]"]
    folder = ["--trainer.default_root_dir", str(tmp_path / "run")]
    refusal(["fit", "--config", str(ROOT / "configs" / "ema.yaml"), *QUIET, *folder, *callbacks], capsys)
