"""A run that is stopped anywhere and resumed ends with the very weights of the run that was not."""

import csv
import json
from pathlib import Path

import pytest
import torch
from commands import ROOT, fit, load

from lt_lightning.callbacks import TrainingLog
from lt_lightning.cli import main

EPOCHS, STEPS = 4, 4  # 242 images in batches of 64
MIXUP = '{"class_path": "torchvision.transforms.v2.MixUp", "init_args": {"alpha": 0.4, "num_classes": 10}}'
SCHEDULE = ["--trainer.max_epochs", str(EPOCHS), "--trainer.check_val_every_n_epoch", "2", "--data.mix", MIXUP]


class PowerCutError(Exception):
    """Ends a run without a chance to save."""


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A teacher's checkpoint."""
    run = fit(tmp_path_factory.mktemp("teacher"), "--trainer.max_epochs", "2", config="teacher")
    return ["--model.teacher", str(run / "last.ckpt")]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, teacher):
    """What a run ends with that nothing stopped: its last checkpoint, and its figures."""
    run = fit(tmp_path_factory.mktemp("whole"), *SCHEDULE, *teacher, config="mcsm")
    return load(run / "last.ckpt") | {"figures": figures(run)}


def figures(run: Path) -> object:
    """What a run reports of its last and best validation."""
    return json.loads((run / "summary.json").read_text())["val"]


def train_until(step: int, run: Path, monkeypatch: pytest.MonkeyPatch, *flags: str) -> None:
    """Cut the power after a number of steps and what the run saved by then."""
    after_batch, done = TrainingLog.on_train_batch_start, []

    def cut(self, trainer, *args):
        if len(done) == step:
            raise PowerCutError
        done.append(step)
        after_batch(self, trainer, *args)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingLog, "on_train_batch_start", cut)
        with pytest.raises(PowerCutError):
            fit(run, *SCHEDULE, *flags, config="mcsm")


def assert_same(a, b, path=""):
    assert type(a) is type(b), path
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), path
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a:
            assert_same(a[key], b[key], f"{path}/{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), path
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{path}/{i}")
    else:
        assert a == b, path


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize(
    ("step", "every"), [(3, "3"), (STEPS, "1"), (STEPS + 2, "3"), (2 * STEPS, "1"), (3 * STEPS + 3, "5")]
)
def test_resumed_run_equals_uninterrupted_run(step, every, workers, tmp_path, monkeypatch, teacher, uninterrupted):
    flags = ["--data.num_workers", workers, "--last.every_n_train_steps", every, *teacher]
    train_until(step, tmp_path, monkeypatch, *flags)
    stopped = load(tmp_path / "last.ckpt")
    assert stopped["global_step"] == step
    fit(tmp_path, *SCHEDULE, *flags, "--ckpt_path", str(tmp_path / "last.ckpt"), config="mcsm")
    resumed = load(tmp_path / "last.ckpt")
    assert_different(stopped["state_dict"], resumed["state_dict"])
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "global_step"):
        assert_same(resumed[part], uninterrupted[part], part)
    assert_same(resumed["callbacks"]["Report"], uninterrupted["callbacks"]["Report"], "figures")
    assert figures(tmp_path) == uninterrupted["figures"]


@pytest.mark.parametrize("epochs", [1, 2])
def test_resume_from_the_end_of_an_epoch(epochs, tmp_path, monkeypatch, teacher, uninterrupted):
    train_until(epochs * STEPS, tmp_path, monkeypatch, *teacher)
    assert load(tmp_path / "last.ckpt")["global_step"] == epochs * STEPS
    fit(tmp_path, *SCHEDULE, *teacher, "--ckpt_path", str(tmp_path / "last.ckpt"), config="mcsm")
    assert_same(load(tmp_path / "last.ckpt")["state_dict"], uninterrupted["state_dict"])


def assert_different(a, b):
    assert any(not torch.equal(a[key], b[key]) for key in a)


def test_another_seed_is_another_run(tmp_path, teacher, uninterrupted):
    run = fit(tmp_path, *SCHEDULE, *teacher, "--seed_everything", "1", config="mcsm")
    assert_different(load(run / "last.ckpt")["state_dict"], uninterrupted["state_dict"])


def test_resume_needs_no_configuration(tmp_path, monkeypatch, teacher, uninterrupted):
    train_until(2 * STEPS, tmp_path, monkeypatch, *teacher)
    main(["fit", "--ckpt_path", str(tmp_path / "last.ckpt")])
    assert_same(load(tmp_path / "last.ckpt")["state_dict"], uninterrupted["state_dict"])
    with (tmp_path / "metrics.csv").open(newline="") as file:
        epochs = [row["epoch"] for row in csv.DictReader(file) if row["train/loss"]]
    assert epochs == ["0", "1", "2", "3"]  # what was logged before the stop is still there


@pytest.mark.parametrize("teaching", ["a checkpoint", "a recipe"])
def test_the_same_command_again_goes_on(teaching, tmp_path, monkeypatch, teacher, uninterrupted, capsys):
    recipe = tmp_path / "quick.yaml"
    recipe.write_text((ROOT / "configs" / "bs.yaml").read_text().replace("max_epochs: 200", "max_epochs: 1"))
    recipe.write_text(recipe.read_text().replace("data/digits_lt.yaml", str(ROOT / "configs/data/digits_lt.yaml")))
    taught = ["--model.teacher", str(recipe)] if teaching == "a recipe" else teacher
    train_until(STEPS + 1, tmp_path / "run", monkeypatch, *taught)
    fit(tmp_path / "run", *SCHEDULE, *taught, config="mcsm")
    assert "going on with the run" in capsys.readouterr().err
    resumed = load(tmp_path / "run" / "last.ckpt")
    assert resumed["global_step"] == EPOCHS * STEPS
    if teaching == "a checkpoint":
        assert_same(resumed["state_dict"], uninterrupted["state_dict"])


@pytest.mark.parametrize("change", [["--seed_everything", "1"], ["--model.skill_weight", "0.7"], ["--data.few", "5"]])
def test_another_command_does_not(change, tmp_path, monkeypatch, teacher, capsys):
    train_until(STEPS + 1, tmp_path, monkeypatch, *teacher)
    before = (tmp_path / "last.ckpt").read_bytes()
    with pytest.raises(SystemExit, match="2"):
        fit(tmp_path, *SCHEDULE, *teacher, *change, config="mcsm")
    assert "holds another run" in capsys.readouterr().err
    assert (tmp_path / "last.ckpt").read_bytes() == before


def test_resume_names_a_run(tmp_path, monkeypatch, teacher, uninterrupted):
    train_until(2 * STEPS, tmp_path, monkeypatch, *teacher)
    main(["fit", "--resume", str(tmp_path)])
    assert_same(load(tmp_path / "last.ckpt")["state_dict"], uninterrupted["state_dict"])
