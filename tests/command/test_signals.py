"""A run that is told to stop ends the step it is in, and goes on as if it had not been stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from commands import QUIET, ROOT, fit, load, refusal

from lt_lightning.cli import main

ONE = ["--trainer.devices", "1", "--trainer.strategy", "auto"]
FLAGS = ["--trainer.max_epochs", "30", "--trainer.check_val_every_n_epoch", "3", "--trainer.accelerator", "cpu", *QUIET]


def start(run: Path, *flags: str) -> subprocess.Popen[str]:
    """Begin a run in a process of its own."""
    command = [sys.executable, "-m", "lt_lightning", "fit", "--config", str(ROOT / "configs" / "ce.yaml"), *FLAGS]
    environment = {**os.environ, "WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    where = ["--trainer.default_root_dir", str(run)]
    return subprocess.Popen(
        [*command, *where, *flags], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def wait_for(file: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not file.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Weights of a run that nobody stopped."""
    return load(fit(tmp_path_factory.mktemp("whole"), *FLAGS) / "last.ckpt")["state_dict"]


@pytest.mark.command
@pytest.mark.parametrize(
    ("number", "workers", "status"), [(signal.SIGTERM, "0", 143), (signal.SIGINT, "2", 130), (signal.SIGUSR1, "0", 138)]
)
def test_a_run_that_is_told_to_stop_goes_on_exactly(number, workers, status, tmp_path, uninterrupted):
    process = start(tmp_path, "--data.num_workers", workers)
    wait_for(tmp_path / "last.ckpt", process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert "stopping after this step" in errors
    assert f"lt fit --ckpt_path {tmp_path / 'last.ckpt'}" in errors
    assert "Traceback" not in errors
    stopped = load(tmp_path / "last.ckpt")
    assert 0 < stopped["global_step"] < 120
    fit(tmp_path, *FLAGS, "--ckpt_path", str(tmp_path / "last.ckpt"))
    resumed = load(tmp_path / "last.ckpt")
    assert resumed["global_step"] == 120
    assert all(torch.equal(resumed["state_dict"][name], value) for name, value in uninterrupted.items())


@pytest.mark.command
def test_of_two_processes_one_is_told_and_both_stop_after_the_same_step(tmp_path):
    two = ["--config", str(ROOT / "configs" / "ddp.yaml"), "--trainer.devices", "2", "--trainer.max_epochs", "3000"]
    process = start(tmp_path, *two)
    wait_for(tmp_path / "last.ckpt", process)
    process.send_signal(signal.SIGTERM)  # the first, which started the other
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 143
    assert "Traceback" not in errors
    stopped = load(tmp_path / "last.ckpt")
    assert stopped["global_step"] > 0
    main(["fit", "--resume", str(tmp_path), "--trainer.max_epochs", str(stopped["epoch"] + 2), *ONE, *QUIET])
    assert load(tmp_path / "last.ckpt")["global_step"] > stopped["global_step"]


@pytest.mark.command
def test_told_before_the_first_step_it_stops(tmp_path):
    process = start(tmp_path)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT)
    assert not (tmp_path / "last.ckpt").exists() or load(tmp_path / "last.ckpt")["global_step"] < 120


@pytest.mark.command
def test_one_process_trains_in_a_folder(tmp_path, capsys):
    hold = "import sys, time; from filelock import FileLock; lock = FileLock(sys.argv[1]); lock.acquire()"
    hold += "; print('held', flush=True); time.sleep(600)"
    command = [sys.executable, "-c", hold, str(tmp_path / ".lock")]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    run = ["--trainer.default_root_dir", str(tmp_path), *FLAGS]
    lines = refusal(["fit", "--config", str(ROOT / "configs" / "bs.yaml"), *run], capsys)
    assert "another process trains in this folder" in lines[0]
    holder.kill()
    holder.wait()
    fit(tmp_path, "--trainer.max_epochs", "1")  # a process that died holds nothing
