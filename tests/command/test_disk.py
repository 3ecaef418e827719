"""A disk that is full costs the checkpoint that does not fit, and nothing else."""

import csv
import json
import resource
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from commands import QUIET, ROOT, fit, load, refusal
from forked import Lt

from lt_lightning.callbacks import Evaluation, Report, report
from lt_lightning.callbacks.evaluation import Predictor
from lt_lightning.metrics import SplitAccuracy

ONE = ["--trainer.max_epochs", "1"]
LIMIT = 100_000  # bytes of a file; a checkpoint has seven times as many


def refused_on_a_full_disk(run: Path, *flags: str) -> None:
    """Train where the system refuses to let a file grow, as it does when a disk or a quota is full."""
    command = ["fit", "--config", str(ROOT / "configs" / "ce.yaml"), *QUIET, "--trainer.default_root_dir", str(run)]
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
    process = Lt([*command, *flags], run.parent / "said", limit)
    assert process.wait(120) == 2
    said = process.said.read_text()
    lines = said[said.index("lt: error: ") :].splitlines()
    assert len(lines) == 3
    assert "no space left" in lines[0]
    assert ".ckpt" in lines[1]


@pytest.mark.command
def test_a_run_that_begins_leaves_no_damaged_checkpoint(tmp_path):
    refused_on_a_full_disk(tmp_path / "run", *ONE)
    assert not [path.name for path in (tmp_path / "run").iterdir() if "ckpt" in path.name]


@pytest.mark.command
def test_a_run_that_goes_on_keeps_the_checkpoints_it_has(tmp_path):
    run = fit(tmp_path / "run", *ONE)
    before = {name: (run / name).read_bytes() for name in ("last.ckpt", "best.ckpt")}
    further = ["--ckpt_path", str(run / "last.ckpt"), "--trainer.max_epochs", "3"]
    refused_on_a_full_disk(run, *further)
    assert {name: (run / name).read_bytes() for name in before} == before
    assert sorted(path.name for path in run.glob("*ckpt*")) == sorted(before)
    fit(run, *further)  # when there is room again
    assert load(run / "last.ckpt")["epoch"] == 2


def test_a_fault_at_the_very_end_costs_no_figure(tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    command = ["fit", "--config", str(ROOT / "configs" / "ce.yaml"), *QUIET, *ONE]
    command += ["--trainer.accelerator", "cpu", "--trainer.default_root_dir", str(tmp_path)]
    with monkeypatch.context() as disk:
        disk.setattr(report, "write_whole", full)
        lines = refusal(command, capsys)
    assert "the report cannot be written" in lines[0]
    assert "give the command again" in lines[2]
    monkeypatch.setattr(report, "show_report", full)  # what is shown comes after what is kept
    refusal(command, capsys)
    figures = json.loads((tmp_path / "summary.json").read_text())["val"]
    kept = next(s for name, s in load(tmp_path / "last.ckpt")["callbacks"].items() if name == Report.__qualname__)
    assert figures["last"] == kept["last"]
    assert figures["best"] == kept["best"]


def test_classes_whose_names_are_no_text_stay_in_the_table_of_the_next_command(tmp_path):
    accuracy = SplitAccuracy(torch.tensor([5, 3]))
    accuracy.update(torch.eye(2), torch.tensor([0, 1]))
    accuracy.compute()
    evaluation = Evaluation()
    evaluation.predictors = [Predictor("", accuracy, torch.device("cpu"))]
    data = SimpleNamespace(class_names=["caf\udce9", "tea"], class_counts=[5, 3], many=100, few=20)
    trainer = SimpleNamespace(datamodule=data, callbacks=[evaluation])
    for split in ("val", "test"):
        report._write_per_class(tmp_path / "per_class.csv", trainer, split)
    with (tmp_path / "per_class.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = [(row["split"], row["name"]) for row in csv.DictReader(file)]
    assert rows == [("val", "caf\udce9"), ("val", "tea"), ("test", "caf\udce9"), ("test", "tea")]
