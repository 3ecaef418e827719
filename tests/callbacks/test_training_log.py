"""The norm of the gradients of each update is part of what an epoch is logged as."""

import csv
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Trainer
from torch.nn.utils import get_total_norm

from lt_lightning.callbacks import Finite, TrainingLog, training

sys.path.append(str(Path(__file__).parents[1] / "command"))
from commands import fit

OLD = {"sums": {"loss": [6.0]}, "steps": 3}
"""What checkpoints once said of an unfinished epoch."""


def test_the_mean_norm_of_the_updates_of_an_epoch_is_logged(tmp_path, monkeypatch):
    norms, plain = [], Finite.on_before_optimizer_step

    def recorded(self, trainer, module, optimizer):
        norms.append(get_total_norm([p.grad for p in module.parameters()]))
        plain(self, trainer, module, optimizer)

    monkeypatch.setattr(Finite, "on_before_optimizer_step", recorded)
    flags = ["--trainer.max_epochs", "2", "--trainer.accumulate_grad_batches", "3", "--trainer.gradient_clip_val", "1"]
    fit(tmp_path, *flags)
    with (tmp_path / "metrics.csv").open(newline="") as file:
        logged = [float(row["train/grad_norm"]) for row in csv.DictReader(file) if row["train/grad_norm"]]
    assert len(norms) == 4  # 242 images in batches of 64: updates after three batches and after the last
    assert logged == pytest.approx([float(norms[0] + norms[1]) / 2, float(norms[2] + norms[3]) / 2])
    assert min(norms) > 1  # before they are clipped


def test_an_older_checkpoint_goes_on(monkeypatch):
    log = TrainingLog()
    log.on_load_checkpoint(Trainer(logger=False), None, {"callbacks": {log.state_key: OLD}})
    assert log.means() == {"loss": 2.0}


def test_validation_within_an_epoch_is_no_time_of_training(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(training.time, "perf_counter", lambda: now[0])
    trainer, log = SimpleNamespace(accumulate_grad_batches=1), TrainingLog()
    log.on_train_epoch_start(trainer, None)
    for _ in range(3):
        log.on_train_batch_start(trainer, None, {}, 0)
        now[0] += 2
        log.on_train_batch_end(trainer, None, {}, {"image": torch.zeros(8)}, 0)
        assert log.speed() == 4
        log.on_validation_start(trainer, None)
        now[0] += 100
    assert log.speed() == 4
