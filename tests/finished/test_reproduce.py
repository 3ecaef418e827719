import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from commands import QUIET, fit, refusal
from made import edit, make_run

from lt_lightning.commands import main
from lt_lightning.finished import reproduce
from lt_lightning.finished.reproduce import differences, figures, largest_deviation
from lt_lightning.finished.run import read_run

ONE = ["--trainer.max_epochs", "1", "--trainer.check_val_every_n_epoch", "1"]


@pytest.fixture(scope="module")
def tested(tmp_path_factory):
    """Two students of a teacher that lies in their run's folder, tested."""
    run = tmp_path_factory.mktemp("runs") / "mcsm"
    fit(run / "teacher", *ONE, config="bs")
    losses = "[CrossEntropy, BalancedSoftmax]"
    fit(run, *ONE, "--model.teacher", "bs.yaml", "--model.losses", losses, config="mcsm")
    main(["test", "--ckpt_path", str(run / "last.ckpt"), "--trainer.accelerator", "cpu", *QUIET])
    return run


@pytest.fixture
def in_this_process(monkeypatch):
    """The words of each command, which is run here: to start one takes seconds."""
    commands = []

    def run_lt(words):
        commands.append(words)
        main([*words, *QUIET])
        return 0

    monkeypatch.setattr(reproduce, "run_lt", run_lt)
    return commands


def test_a_run_and_its_teacher_are_the_same_again(tested, tmp_path, in_this_process, capsys):
    again = tmp_path / "again"
    main(["reproduce", str(tested), "--trainer.default_root_dir", str(again)])
    said = capsys.readouterr().out
    assert "environment: the same" in said
    assert "identical: " in said
    assert [words[0] for words in in_this_process] == ["fit", "fit", "test"]
    assert str(again / "teacher" / "last.ckpt") in (again / "config.yaml").read_text()
    for name in (".", "teacher"):
        assert figures(read_run(tested / name)) == figures(read_run(again / name))
        assert largest_deviation(tested / name / "last.ckpt", again / name / "last.ckpt") == 0
    assert (tested / "per_image.csv").read_bytes() == (again / "per_image.csv").read_bytes()
    taken = ["reproduce", str(tested), "--trainer.default_root_dir", str(again)]
    assert "a finished run is here" in refusal(taken, capsys)[0]


def test_what_differs_is_said_and_is_an_error_on_a_processor(tested, tmp_path, monkeypatch, capsys):
    """A figure, a weight and a version that are others; nothing is trained here."""
    again = shutil.copytree(tested, tmp_path / "again")
    checkpoint = torch.load(again / "last.ckpt", weights_only=True)
    weight = next(iter(checkpoint["state_dict"].values()))
    weight[(0,) * weight.ndim] += 0.5
    torch.save(checkpoint, again / "last.ckpt")
    assert not reproduce.report(read_run(tested), read_run(again))  # for the weight alone
    assert "differs: 0 of" in capsys.readouterr().out
    summary = json.loads((again / "summary.json").read_text())
    summary["test"]["last"]["acc"] += 0.25
    edit(again / "summary.json", test=summary["test"])
    edit(again / "env.json", system="another")
    assert not reproduce.report(read_run(tested), read_run(again))
    said = capsys.readouterr().out
    assert "system: " in said
    assert "-> another" in said
    assert "differs: 1 of" in said
    assert "test/last/acc: " in said
    assert "by 0.25" in said
    assert "weights of last.ckpt by up to 0.5" in said
    edit(again / "env.json", accelerator="cuda")
    assert reproduce.report(read_run(tested), read_run(again))  # its sums have no fixed order
    assert "no fixed order" in capsys.readouterr().out
    monkeypatch.setattr(reproduce, "train_again", lambda run, folder: edit(again / "env.json", accelerator="cpu"))
    monkeypatch.setattr(reproduce, "_do", lambda words, folder: None)
    monkeypatch.setattr(reproduce, "is_finished", lambda folder: False)
    with pytest.raises(SystemExit, match="1"):
        main(["reproduce", str(tested), "--trainer.default_root_dir", str(again)])


def test_missing_and_nan(tmp_path):
    nan = float("nan")
    assert differences({"a": nan, "b": 1.0, "c": 2}, {"a": nan, "b": 1.0, "c": 2}) == []
    assert [str(d) for d in differences({"a": 1.0}, {"a": nan, "b": 1})] == ["a: 1.0 -> nan, by nan", "b: missing -> 1"]


def test_a_run_that_cannot_be_reproduced(tmp_path, capsys, monkeypatch):
    run = make_run(tmp_path / "run")
    assert "does not exist" in refusal(["reproduce", str(run)], capsys)[0]  # its last.ckpt
    assert "no such folder" in refusal(["reproduce", str(tmp_path / "none")], capsys)[0]
    monkeypatch.setattr(reproduce, "run_lt", lambda words: 1)
    monkeypatch.setattr(reproduce, "stored_config", lambda path: {"trainer": {}, "model": {}})
    assert "failed" in refusal(["reproduce", str(run)], capsys)[0]
    monkeypatch.setattr(reproduce, "run_lt", lambda words: 143)
    with pytest.raises(SystemExit, match="143"):
        main(["reproduce", str(run)])


@pytest.mark.soak
def test_processes_of_their_own(tested, tmp_path):
    command = [sys.executable, "-m", "lt_lightning", "reproduce", str(tested)]
    command += ["--trainer.default_root_dir", str(tmp_path / "again")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert "identical" in done.stdout
