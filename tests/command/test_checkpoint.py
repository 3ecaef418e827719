"""A checkpoint is enough: from any directory, with flags that still override, and one clear line for a bad file."""

import csv
import json
import os
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch
from commands import QUIET, ROOT, load, refusal
from forked import Lt

from lt_lightning import checkpoints, recipes
from lt_lightning.commands import main
from lt_lightning.data import DigitsLT

SHORT = ["--trainer.max_epochs", "2", "--trainer.check_val_every_n_epoch", "1"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """MCSM, its teacher trained first by a recipe that is found beside the configuration."""
    folder = tmp_path_factory.mktemp("configs")
    for name in ("mcsm", "teacher"):
        text = (ROOT / "configs" / f"{name}.yaml").read_text().replace("data/digits_lt.yaml", "DigitsLT")
        (folder / f"{name}.yaml").write_text(text.replace("max_epochs: 200", "max_epochs: 2"))
    root = folder / "run"
    main(["fit", "--config", str(folder / "mcsm.yaml"), *QUIET, *SHORT, "--trainer.default_root_dir", str(root)])
    return root


def summary(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


def test_a_run_leaves_one_folder(run):
    files = {"config.yaml", "metrics.csv", "summary.json", "per_class.csv", "best.ckpt", "last.ckpt", "teacher"}
    assert files <= {path.name for path in run.iterdir()}
    assert {"last.ckpt", "summary.json"} <= {path.name for path in (run / "teacher").iterdir()}


def test_a_command_opens_it_for_what_it_says_and_for_its_weights(run, tmp_path, monkeypatch):
    opened, tensors = [], checkpoints._tensors
    monkeypatch.setattr(checkpoints, "_tensors", lambda path: opened.append(path) or tensors(path))
    path = shutil.copy(run / "best.ckpt", tmp_path)
    main(["test", "--ckpt_path", str(path), *QUIET])
    assert opened == [str(path)] * 2


def test_of_another_file_of_the_same_name_it_is_not_what_the_first_one_said(run, tmp_path):
    for name in ("best", "last"):
        shutil.copy(run / f"{name}.ckpt", tmp_path / "x.ckpt")
        facts, whole = checkpoints.read_facts(str(tmp_path / "x.ckpt")), load(run / f"{name}.ckpt")
        assert facts == {key: whole[key] for key in checkpoints.FACTS}
        torch.save(whole | {"global_step": 7}, tmp_path / "x.ckpt")
        assert checkpoints.read_facts(str(tmp_path / "x.ckpt"))["global_step"] == 7


def test_the_teacher_is_trained_once(run, monkeypatch):
    monkeypatch.setattr(recipes, "_train", lambda *_: pytest.fail("trained again"))
    arguments = ["fit", "--config", str(run.parent / "mcsm.yaml"), *QUIET, *SHORT]
    again = ["--ckpt_path", str(run / "last.ckpt"), "--trainer.default_root_dir", str(run)]
    main([*arguments, *again, "--trainer.max_epochs", "3"])
    assert load(run / "last.ckpt")["epoch"] == 2


@pytest.mark.parametrize(
    ("name", "selected_on"),
    [("best", "test"), ("best-epoch=7", "test"), ("sent to a friend", "test"), ("last", None), ("diverged", None)],
)
def test_whatever_its_name_a_checkpoint_that_test_images_may_have_chosen_says_so(
    name, selected_on, run, tmp_path, monkeypatch
):
    monkeypatch.setattr(DigitsLT, "selected_on_test", True)
    checkpoint = shutil.copy(run / "best.ckpt", tmp_path / f"{name}.ckpt")
    main(["test", "--ckpt_path", str(checkpoint), *QUIET])
    assert summary(tmp_path)["test"]["selected_on"] == selected_on


def test_without_a_checkpoint_nothing_was_selected(tmp_path, monkeypatch):
    monkeypatch.setattr(DigitsLT, "selected_on_test", True)
    config = ["--config", str(ROOT / "configs" / "ce.yaml"), "--trainer.default_root_dir", str(tmp_path)]
    main(["test", *config, *QUIET])
    assert summary(tmp_path)["test"]["selected_on"] is None


@pytest.mark.command
def test_test_needs_nothing_but_the_checkpoint(run, tmp_path):
    """From another directory, in a process of its own, the figures are those of the run."""
    where = tmp_path / "deep"
    where.mkdir()
    command = ["test", "--ckpt_path", str(run / "last.ckpt"), *QUIET]
    assert Lt(command, tmp_path / "said", partial(os.chdir, where)).wait(60) == 0
    assert list(where.iterdir()) == []
    main(["validate", "--ckpt_path", str(run / "last.ckpt"), *QUIET])
    now = summary(run)
    assert now["validate"]["last"]["acc"] == pytest.approx(now["val"]["last"]["acc"], abs=1e-6)
    assert now["test"]["last"]["nll"] > 0


def test_summary_is_what_the_logger_got(run):
    with (run / "metrics.csv").open(newline="") as file:
        logged = [row for row in csv.DictReader(file) if row["val/acc"]][-1]
    for name, value in summary(run)["val"]["last"].items():
        if name != "epoch":
            assert float(logged[f"val/{name}"]) == pytest.approx(value, abs=1e-6), name
    with (run / "per_class.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "val"]
    assert [int(row["train_images"]) for row in rows] == [100, 59, 35, 21, 12, 7, 4, 2, 1, 1]
    mean = sum(float(row["expert3/acc"]) for row in rows) / len(rows)
    assert mean == pytest.approx(summary(run)["val"]["last"]["expert3/bal_acc"], abs=1e-6)


def test_a_flag_overrides_what_the_checkpoint_says(run, tmp_path):
    flags = ["--model.combination", "PriorCorrected", "--trainer.default_root_dir", str(tmp_path)]
    main(["test", "--ckpt_path", str(run / "best.ckpt"), *flags, *QUIET])
    main(["test", "--ckpt_path", str(run / "best.ckpt"), *QUIET])
    corrected, plain = summary(tmp_path)["test"]["last"], summary(run)["test"]["last"]
    assert corrected["nll"] != pytest.approx(plain["nll"], abs=1e-4)
    assert corrected["expert1/nll"] == pytest.approx(plain["expert1/nll"], abs=1e-6)


def test_a_configuration_lies_over_what_the_checkpoint_says(run, tmp_path):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(f"data: {{init_args: {{eval_batch_size: 7}}}}\ntrainer: {{default_root_dir: {tmp_path}}}\n")
    main(["test", f"--ckpt_path={run / 'last.ckpt'}", "--config", str(overlay), *QUIET])
    main(["test", "--ckpt_path", str(run / "last.ckpt"), *QUIET])
    for name, value in summary(run)["test"]["last"].items():
        if name != "checkpoint":
            assert summary(tmp_path)["test"]["last"][name] == pytest.approx(value, abs=1e-6), name


def test_predictions_are_those_that_are_tested(run):
    main(["predict", "--ckpt_path", str(run / "last.ckpt"), "--all_probabilities", "true", *QUIET])
    main(["test", "--ckpt_path", str(run / "last.ckpt"), *QUIET])
    with (run / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["path"]) for row in rows] == list(range(500))
    accuracy = sum(row["target"] == row["predicted"] for row in rows) / len(rows)
    assert torch.tensor(accuracy).item() == summary(run)["test"]["last"]["acc"]
    assert all(float(row["probability"]) == max(float(row[f"p_{c}"]) for c in range(10)) for row in rows)


def truncated(run: Path, path: Path) -> None:
    path.write_bytes((run / "last.ckpt").read_bytes()[:5000])


def foreign(run: Path, path: Path) -> None:
    torch.save({"weights": torch.ones(3)}, path)


def missing(run: Path, path: Path) -> None:
    pass


class Canary:
    """Would create a file if anybody unpickled it."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def hostile(run: Path, path: Path) -> None:
    torch.save({"state_dict": {}, "canary": Canary(path.with_name("canary"))}, path)


@pytest.mark.parametrize("command", ["test", "fit"])
def test_nothing_in_a_file_is_executed(command, run, tmp_path, capsys):
    path = tmp_path / "bad.ckpt"
    hostile(run, path)
    _, where, _ = refusal([command, "--ckpt_path", str(path)], capsys)
    assert str(path) in where
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("make", [truncated, foreign, missing])
def test_a_bad_teacher_gives_one_clear_error(make, run, tmp_path, capsys):
    path = tmp_path / "bad.ckpt"
    make(run, path)
    _, where, _ = refusal(taught_by(path, tmp_path), capsys)
    assert str(path) in where


def taught_by(teacher: Path, folder: Path) -> list[str]:
    """Arguments of a run of MCSM with this teacher."""
    flags = ["--model.teacher", str(teacher), "--trainer.default_root_dir", str(folder / "run"), *SHORT, *QUIET]
    return ["fit", "--config", str(ROOT / "configs" / "mcsm.yaml"), *flags]


def test_a_teacher_of_other_classes_is_refused(run, tmp_path, capsys):
    checkpoint = load(run / "teacher" / "last.ckpt")
    checkpoint["lt_class_names"][3] = "cat"
    torch.save(checkpoint, tmp_path / "other.ckpt")
    assert (
        "class 3 is 'cat' in the checkpoint, '3' in the data"
        in refusal(taught_by(tmp_path / "other.ckpt", tmp_path), capsys)[0]
    )


def test_a_teacher_of_other_data_is_not_used_again(run, capsys):
    flags = ["--config", str(run.parent / "mcsm.yaml"), "--data.imbalance_factor", "10", *QUIET, *SHORT]
    (run / "last.ckpt").rename(run / "kept.ckpt")  # the run itself was interrupted before its first checkpoint
    try:
        what, *_ = refusal(["fit", *flags, "--trainer.default_root_dir", str(run)], capsys)
        assert "this teacher was trained on other data" in what
    finally:
        (run / "kept.ckpt").rename(run / "last.ckpt")


def test_last_means_the_run_folder_and_must_be_there(run, tmp_path, capsys):
    flags = ["--config", str(run.parent / "mcsm.yaml"), "--ckpt_path", "last", *QUIET, *SHORT]
    _, where, _ = refusal(["fit", *flags, "--trainer.default_root_dir", str(tmp_path)], capsys)
    assert str(tmp_path / "last.ckpt") in where
