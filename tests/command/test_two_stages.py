"""Two stages through the command: trained one after the other, resumed, and tested from the second alone."""

import shutil
from pathlib import Path

import pytest
import torch
from commands import QUIET, ROOT, fit, load, refusal

from lt_lightning.callbacks import TrainingLog
from lt_lightning.commands import main

SHORT = ["--trainer.max_epochs", "3", "--trainer.check_val_every_n_epoch", "3"]
STEPS = 4  # an epoch: 242 images in batches of 64


def config(name: str) -> list[str]:
    """A shipped method."""
    return ["--config", str(ROOT / "configs" / f"{name}.yaml")]


class PowerCutError(Exception):
    """Ends a run without a chance to save."""


@pytest.fixture(scope="module")
def first_stage(tmp_path_factory):
    """A first stage of the digits."""
    return fit(tmp_path_factory.mktemp("first"), *SHORT, config="mixup") / "last.ckpt"


def test_a_resumed_second_stage_goes_on_with_its_own_weights(first_stage, tmp_path, monkeypatch):
    flags = [*SHORT, "--model.first_stage", str(first_stage), "--last.every_n_train_steps", "3"]
    whole = load(fit(tmp_path / "whole", *flags, config="mislas") / "last.ckpt")
    after_batch, done = TrainingLog.on_train_batch_start, []

    def cut(self, trainer, *args):
        done.append(trainer.global_step)
        if len(done) == STEPS + 3:
            raise PowerCutError
        after_batch(self, trainer, *args)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingLog, "on_train_batch_start", cut)
        with pytest.raises(PowerCutError):
            fit(tmp_path / "cut", *flags, config="mislas")
    stopped = tmp_path / "cut" / "last.ckpt"
    assert load(stopped)["global_step"] == STEPS + 2  # within the second epoch
    fit(tmp_path / "cut", *flags, "--ckpt_path", str(stopped), config="mislas")
    resumed = load(stopped)["state_dict"]
    assert resumed.keys() == whole["state_dict"].keys()
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, resumed[name]), name


def test_a_first_stage_of_another_network_is_refused_in_three_lines(first_stage, tmp_path, capsys):
    flags = ["--model.first_stage", str(first_stage), "--model.backbone", "resnet20", *QUIET]
    arguments = ["fit", "--config", "configs/crt.yaml", "--trainer.default_root_dir", str(tmp_path), *flags]
    what, where, _ = refusal(arguments, capsys)
    assert "the first stage's network is another" in what
    assert str(first_stage) in where


def test_a_second_stage_on_batches_as_they_come_is_refused(first_stage, tmp_path, capsys):
    flags = ["--model.first_stage", str(first_stage), "--data.order", "Shuffled", *QUIET]
    what, where, fix = refusal(["fit", *config("mislas"), "--trainer.default_root_dir", str(tmp_path), *flags], capsys)
    assert "would learn the training prior" in what
    assert where == "  where: data.order"
    assert "ClassBalanced" in fix


@pytest.mark.parametrize("method", ["ce", "bs", "mcem", "mdcs"])
def test_what_is_no_second_stage_is_refused_on_class_balanced_batches(method, tmp_path, capsys):
    flags = ["--data.order", "ClassBalanced", "--trainer.default_root_dir", str(tmp_path), *QUIET]
    what, where, _ = refusal(["fit", *config(method), *flags], capsys)
    assert "take away the training prior" in what
    assert where == "  where: data.order"


@pytest.mark.command
def test_the_first_stage_is_trained_first_its_own_way_and_needed_no_more(tmp_path):
    overlay = tmp_path / "both.yaml"
    overlay.write_text("trainer: {max_epochs: 2, accelerator: cpu}\n")
    run = fit(tmp_path / "run", "--config", str(overlay), "--trainer.max_epochs", "1", config="crt")
    first, second = (run / name for name in ("first_stage/config.yaml", "config.yaml"))
    assert "max_epochs: 2" in first.read_text()  # an overlay is for both stages
    assert "max_epochs: 1" in second.read_text()  # a flag is for the second
    assert "order: null" in first.read_text()
    assert "ClassBalanced" in second.read_text()
    backbones = [load(Path(folder) / "last.ckpt")["state_dict"] for folder in (first.parent, run)]
    for name, value in backbones[0].items():
        assert torch.equal(value, backbones[1][name]) != name.startswith("net.classifiers"), name
    shutil.rmtree(run / "first_stage")
    main(["test", "--ckpt_path", str(run / "last.ckpt"), "--trainer.accelerator", "cpu", *QUIET])
