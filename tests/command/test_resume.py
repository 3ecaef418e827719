"""The ways to go on with a run; test_every_config_resumes.py sees that it goes on exactly, from anywhere."""

import csv
from pathlib import Path

import pytest
from commands import QUIET, ROOT, fit, load
from copies import differences

from lt_lightning.callbacks import TrainingLog
from lt_lightning.commands import main

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
    """What a run ends with that nothing stopped: its last checkpoint."""
    run = fit(tmp_path_factory.mktemp("whole"), *SCHEDULE, *teacher, config="mcsm")
    return load(run / "last.ckpt")


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


def assert_same(a, b):
    assert not list(differences(a, b))


def test_resume_needs_no_configuration(tmp_path, monkeypatch, teacher, uninterrupted):
    train_until(2 * STEPS, tmp_path, monkeypatch, *teacher)
    main(["fit", "--ckpt_path", str(tmp_path / "last.ckpt"), *QUIET])
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


def test_a_finished_run_has_nothing_left_to_train(tmp_path):
    run = fit(tmp_path / "run", "--trainer.max_epochs", "1", "--trainer.check_val_every_n_epoch", "1")
    before = (run / "summary.json").read_bytes()
    main(["fit", "--resume", str(run), *QUIET])
    assert (run / "summary.json").read_bytes() == before
