"""A loss or a gradient that is not finite ends a run before it reaches the weights, and can be met again."""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor

from lt_lightning.callbacks import finite
from lt_lightning.checkpoint_io import WholeCheckpointIO
from lt_lightning.errors import LtError
from lt_lightning.losses import CrossEntropy

sys.path.append(str(Path(__file__).parents[1] / "command"))
from commands import fit, load, refusal

STEPS, BAD = 4, 9  # 242 images in batches of 64; the step that fails is the second of the third epoch
FLAGS = ["--trainer.max_epochs", "4", "--trainer.check_val_every_n_epoch", "1"]
FUSED = ["--optimizer.fused", "true"]


def hidden_nan(loss: Tensor) -> Tensor:
    """A finite loss whose gradient is none: the root of zero, taken and thrown away."""
    return loss + torch.where(loss > 1e9, (loss - loss).sqrt(), loss * 0)


FAULTS: dict[str, Callable[[Tensor], Tensor]] = {
    "the loss is nan": lambda loss: loss * math.nan,
    "nan beside the loss": lambda loss: loss + math.nan,
    "the loss is inf": lambda loss: loss * math.inf,
    "the gradient is nan": hidden_nan,
    "the gradient overflows": lambda loss: loss * 1e38 * 1e-38 + (loss - loss.detach()) * 1e38 * 1e10,
}


def spoil(monkeypatch: pytest.MonkeyPatch, fault: Callable[[Tensor], Tensor], at: range) -> list[int]:
    """Spoil the loss of some steps of the run, in order, counted from its beginning in this process."""
    plain, steps = CrossEntropy.forward, []

    def forward(self: CrossEntropy, logits: Tensor, target: Tensor) -> Tensor:
        loss = plain(self, logits, target)
        if not torch.is_grad_enabled():
            return loss
        steps.append(len(steps))
        return fault(loss) if steps[-1] in at else loss

    monkeypatch.setattr(CrossEntropy, "forward", forward)
    return steps


def assert_finite(checkpoint: Path) -> None:
    assert all(value.isfinite().all() for value in load(checkpoint)["state_dict"].values())


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("config", ["ce", "ema", "sam", "ce fused", "ema fused"])
def test_the_run_ends_before_the_update(fault, config, tmp_path, monkeypatch, capsys):
    config, *fused = config.split()
    cross_entropy = ["--model.losses", '["CrossEntropy"]', *(FUSED if fused else [])]
    evaluations = BAD * (2 if config == "sam" else 1)
    with monkeypatch.context() as patch:
        spoil(patch, FAULTS[fault], range(evaluations, 10**9))
        with pytest.raises(SystemExit, match="2"):
            fit(tmp_path, *FLAGS, *cross_entropy, config=config)
    error = capsys.readouterr().err
    lines = error[error.index("lt: error: ") :].splitlines()
    assert len(lines) == 3
    assert "nothing was updated" in lines[0]
    assert f"step {BAD} of epoch 2" in lines[1]
    assert load(tmp_path / "last.ckpt")["global_step"] == 8
    for name in ("last.ckpt", "best.ckpt"):
        assert_finite(tmp_path / name)
    diverged = load(tmp_path / "diverged.ckpt")
    assert diverged["global_step"] == BAD
    assert len(diverged["lt_images"]) == 64
    assert all(name in lines[1] for name in diverged["lt_images"][:3])


@pytest.mark.parametrize("flags", [[], FUSED], ids=["plain", "fused"])
def test_the_step_that_failed_can_be_taken_again(flags, tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        spoil(patch, FAULTS["the loss is nan"], range(BAD, BAD + 1))
        with pytest.raises(SystemExit, match="2"):
            fit(run, *FLAGS, *flags)
    first = capsys.readouterr().err.splitlines()[-3:]
    again = ["fit", "--ckpt_path", str(run / "diverged.ckpt"), "--trainer.enable_progress_bar", "false"]
    with monkeypatch.context() as patch:
        steps = spoil(patch, FAULTS["the loss is nan"], range(1))
        second = refusal(again, capsys)
    assert len(steps) == (2 if flags else 1)  # at once, or as soon as the next is on its way
    assert second[0].removeprefix("lt: error: ") == first[0].removeprefix("lt: error: ")
    assert second[1] == first[1]
    assert load(run / "last.ckpt")["global_step"] == 8


STOPS = {  # the step that fails, and what looks at the weights before the next one does
    "nothing": (BAD, []),
    "the end of an epoch": (11, []),
    "validation": (BAD, ["--trainer.val_check_interval", "2"]),
    "a checkpoint": (BAD, ["--checkpoint.every_n_train_steps", "2", "--checkpoint.monitor", "null"]),
    "the end of a run": (BAD, ["--trainer.max_steps", str(BAD + 1), "--trainer.max_epochs", "9"]),
    "several batches a step": (2 * BAD, ["--trainer.accumulate_grad_batches", "2", "--trainer.max_epochs", "9"]),
}


@pytest.mark.parametrize("stop", STOPS)
def test_a_fused_update_is_left_out_on_the_device(stop, tmp_path, monkeypatch, capsys):
    """And ``diverged.ckpt`` is what it would be if the step had waited for the answer."""
    bad, flags = STOPS[stop]

    def failed(name: str, *how: str) -> tuple[list[str], dict[str, Any]]:
        with monkeypatch.context() as patch:
            spoil(patch, FAULTS["the loss is nan"], range(bad, bad + 1))
            with pytest.raises(SystemExit, match="2"):
                fit(tmp_path / name, *FLAGS, *flags, *how)
        said = capsys.readouterr().err.replace(str(tmp_path / name), "").splitlines()[-3:]
        return said, load(tmp_path / name / "diverged.ckpt")

    said, diverged = failed("fused", *FUSED)
    with monkeypatch.context() as patch:
        patch.setattr(finite, "_scaler", lambda trainer: SimpleNamespace(get_scale=lambda: 1))  # with one, it waits
        patch.setattr(finite, "SKIPS", 0)
        waited_said, waited = failed("waited", *FUSED)
    assert said == waited_said
    assert diverged["global_step"] == waited["global_step"]
    assert diverged["loops"] == waited["loops"]
    assert diverged["lr_schedulers"] == waited["lr_schedulers"]
    assert diverged["lt_images"] == waited["lt_images"]
    parameters = [name for name in diverged["state_dict"] if "running" not in name and "num_batches" not in name]
    torch.testing.assert_close(
        *[{name: of["state_dict"][name] for name in parameters} for of in (diverged, waited)], rtol=0, atol=0
    )
    torch.testing.assert_close(diverged["optimizer_states"], waited["optimizer_states"], rtol=0, atol=0)


@pytest.mark.parametrize(("flags", "behind"), [([], 0), (FUSED, 1)], ids=["plain", "fused"])
def test_answers_are_read_while_the_next_step_is_on_its_way(flags, behind, tmp_path, monkeypatch):
    asked, read, plain = [], [], finite.finite

    def spy(number: Tensor) -> Callable[[], bool]:
        step, wait = len(asked), plain(number)
        asked.append(step)

        def waiting() -> bool:
            read.append((step, len(asked) - 1 - step))
            return wait()

        return waiting

    monkeypatch.setattr(finite, "finite", spy)
    fit(tmp_path, *FLAGS, *flags)
    last = STEPS - 1  # of an epoch
    late = [(step, 0 if step % STEPS == last else behind) for step in asked]
    assert read == late


def test_loss_scaling_may_skip_some_steps_and_not_all(tmp_path, monkeypatch, capsys):
    plain = MixedPrecision.__init__

    def scaled(self: MixedPrecision, *args: Any, **kwargs: Any) -> None:
        plain(self, *args, **kwargs)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=4.0)

    monkeypatch.setattr(MixedPrecision, "__init__", scaled)  # on a CPU Lightning gives bf16-mixed, without scaling
    half = ["--trainer.precision", "bf16-mixed"]
    with monkeypatch.context() as patch:
        spoil(patch, FAULTS["the gradient overflows"], range(3, 6))
        run = fit(tmp_path / "some", *FLAGS, *half)
    assert_finite(run / "last.ckpt")
    assert load(run / "last.ckpt")["MixedPrecision"]["scale"] == 0.5  # halved three times
    monkeypatch.setattr(finite, "SKIPS", 4)
    with monkeypatch.context() as patch:
        spoil(patch, FAULTS["the gradient overflows"], range(9, 10**9))
        with pytest.raises(SystemExit, match="2"):
            fit(tmp_path / "all", *FLAGS, *half)
    assert "nothing was updated" in capsys.readouterr().err
    assert_finite(tmp_path / "all" / "last.ckpt")


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    path = tmp_path / "last.ckpt"
    weights = {"w": torch.zeros(3), "n": torch.tensor(2)}
    WholeCheckpointIO(tmp_path).save_checkpoint({"state_dict": weights}, path)
    before = path.read_bytes()
    for value in (math.nan, math.inf):
        with pytest.raises(LtError, match="not finite") as refused:
            WholeCheckpointIO(tmp_path).save_checkpoint({"state_dict": weights | {"w": torch.tensor([0, value])}}, path)
        assert refused.value.where == "w"
    assert path.read_bytes() == before
