"""A run that is told to stop ends the step it is in, and goes on as if it had not been stopped."""

import os
import pkgutil
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from commands import QUIET, ROOT, fit, load, refusal
from forked import Lt

from lt_lightning.commands import main

ONE = ["--trainer.devices", "1", "--trainer.strategy", "auto"]
ENVIRONMENT = {**os.environ, "WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
FLAGS = ["--trainer.max_epochs", "30", "--trainer.check_val_every_n_epoch", "3", "--trainer.accelerator", "cpu", *QUIET]
CE = ["fit", "--config", str(ROOT / "configs" / "ce.yaml"), *FLAGS]


def start(run: Path, *flags: str, driver: Path | None = None) -> subprocess.Popen[str]:
    """Begin a run in a process of its own."""
    lt = [str(driver)] if driver else ["-m", "lt_lightning"]
    where = ["--trainer.default_root_dir", str(run)]
    command = [sys.executable, *lt, *CE, *where, *flags]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=ENVIRONMENT, text=True, preexec_fn=heed_interrupts, **pipes)


def heed_interrupts() -> None:
    """A shell that runs the tests in its background has its children ignore them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(file: Path, process: subprocess.Popen[str] | Lt) -> None:
    deadline = time.monotonic() + 120
    while not file.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Weights of a run that nobody stopped."""
    return load(fit(tmp_path_factory.mktemp("whole"), *FLAGS) / "last.ckpt")["state_dict"]


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """A checkpoint."""
    return fit(tmp_path_factory.mktemp("single"), "--trainer.max_epochs", "1") / "last.ckpt"


@pytest.mark.command
@pytest.mark.parametrize(("number", "workers", "status"), [(signal.SIGINT, "2", 130)])
def test_a_run_that_is_told_to_stop_goes_on_exactly(number, workers, status, tmp_path, uninterrupted):
    process = start(tmp_path, "--data.num_workers", workers)
    wait_for(tmp_path / "last.ckpt", process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert "stopping after this step" in errors
    assert f"lt fit --resume {tmp_path}" in errors
    assert "Traceback" not in errors
    stopped = load(tmp_path / "last.ckpt")
    assert 0 < stopped["global_step"] < 120
    fit(tmp_path, *FLAGS, "--ckpt_path", str(tmp_path / "last.ckpt"))
    resumed = load(tmp_path / "last.ckpt")
    assert resumed["global_step"] == 120
    assert all(torch.equal(resumed["state_dict"][name], value) for name, value in uninterrupted.items())


@pytest.mark.command
def test_of_two_processes_one_is_told_and_both_stop_after_the_same_step(tmp_path, capsys):
    two = ["--config", str(ROOT / "configs" / "ddp.yaml"), "--trainer.devices", "2", "--trainer.max_epochs", "3000"]
    process = start(tmp_path, *two)
    wait_for(tmp_path / "last.ckpt", process)
    process.send_signal(signal.SIGTERM)  # the first, which started the other
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 143
    assert "Traceback" not in errors
    stopped = load(tmp_path / "last.ckpt")
    assert stopped["global_step"] > 0
    alone = ["--resume", str(tmp_path), "--trainer.max_epochs", str(stopped["epoch"] + 2), *ONE, *QUIET]
    what, _, fix = refusal(["fit", *alone], capsys)
    assert "processes 2, now 1" in what
    assert "--allow_inexact" in fix
    main(["fit", *alone, "--allow_inexact", "true"])
    assert load(tmp_path / "last.ckpt")["global_step"] > stopped["global_step"]


@pytest.mark.command
@pytest.mark.soak
def test_the_other_process_is_told_and_both_stop(tmp_path):
    told = [
        "callbacks.TrainingLog.on_train_batch_start",
        "trainer.global_rank == 1 and trainer.global_step == 6",
        "SIGINT",
    ]
    two = ["--config", str(ROOT / "configs" / "ddp.yaml"), "--trainer.devices", "2", "--trainer.max_epochs", "300"]
    process = start(tmp_path / "run", *two, driver=driver(tmp_path, *told))
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 143
    assert "Traceback" not in errors
    assert (
        7 <= load(tmp_path / "run" / "last.ckpt")["global_step"] <= 7 + 2 * 8
    )  # in each epoch they ask each other once


DRIVER = """
import os, signal
import lt_lightning
from lt_lightning import callbacks, checkpoint_io, signals
from lt_lightning.commands import main

plain = {method}

def told(self, *args, **kwargs):
    trainer = args[0]
    if {when}:
        os.kill(os.getpid(), signal.{name})
    return plain(self, *args, **kwargs)

{method} = told
main()
"""
MOMENTS = {  # a method, in which case of its calls the process is told, and the steps that the checkpoint may have
    "in a step": ("callbacks.TrainingLog.on_train_batch_start", "trainer.global_step == 5", {6}),
    "in the first step": ("callbacks.TrainingLog.on_train_batch_start", "trainer.global_step == 0", {1}),
    "before training begins": ("callbacks.RunLock.setup", "True", {0}),
    "as training begins": ("callbacks.LastCheckpoint.on_train_start", "True", {0}),
    "before an update": ("callbacks.Finite.on_before_optimizer_step", "trainer.global_step == 6", {7}),
    "in validation": ("callbacks.Evaluation.on_validation_batch_start", "trainer.global_step == 12", {12}),
    "after validation": ("callbacks.Report.on_validation_end", "trainer.global_step == 12", {12}),
    "while it saves": ("checkpoint_io.WholeCheckpointIO.save_checkpoint", "trainer['global_step'] == 8", {8, 9}),
    "at the end of an epoch": ("callbacks.TrainingLog.on_train_epoch_end", "trainer.global_step == 8", {8}),
}
QUICK = {"in the first step": "SIGTERM", "in validation": "SIGINT", "while it saves": "SIGUSR1"}
TOLD = [
    pytest.param(moment, name, marks=[] if QUICK.get(moment) == name else [pytest.mark.soak])
    for moment in MOMENTS
    for name in ("SIGTERM", "SIGINT", "SIGUSR1")
]


def driver(folder: Path, method: str, when: str, name: str) -> Path:
    """A script that is `lt`, and is told to stop at some moment."""
    file = folder / "driver.py"
    file.write_text(DRIVER.format(method=method, when=when, name=name))
    return file


@pytest.mark.parametrize(("moment", "name"), TOLD)
def test_at_whatever_moment_it_is_told_it_loses_no_step(moment, name, tmp_path, uninterrupted, monkeypatch, capsys):
    method, when, steps = MOMENTS[moment]
    with monkeypatch.context() as patch:
        tell(patch, method, when, name)
        with pytest.raises(SystemExit) as stop:
            fit(tmp_path, *FLAGS)
    assert stop.value.code == 128 + signal.Signals[name]
    assert "Traceback" not in capsys.readouterr().err
    assert (load(tmp_path / "last.ckpt")["global_step"] if steps != {0} else 0) in steps
    fit(tmp_path, *FLAGS)  # the same command again
    resumed = load(tmp_path / "last.ckpt")["state_dict"]
    assert all(torch.equal(resumed[name], value) for name, value in uninterrupted.items())


def tell(patch: pytest.MonkeyPatch, method: str, when: str, name: str) -> None:
    """Have this process told to stop at some moment, as by :func:`driver` another."""
    plain = pkgutil.resolve_name(f"lt_lightning.{method}")

    def told(self, *args, **kwargs):
        if eval(when, {"trainer": args[0]}):
            os.kill(os.getpid(), signal.Signals[name])
        return plain(self, *args, **kwargs)

    patch.setattr(f"lt_lightning.{method}", told)


@pytest.mark.command
@pytest.mark.soak
@pytest.mark.parametrize("moment", range(10))
def test_at_a_random_moment(moment, tmp_path, uninterrupted):
    draw = random.Random(moment)
    number = draw.choice([signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
    process = start(tmp_path)
    wait_for(tmp_path / "last.ckpt", process)
    time.sleep(draw.uniform(0, 2))
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    ended = (tmp_path / "summary.json").exists()  # then Python, which has no more to do, may be told
    assert process.returncode in ((128 + number, -number, 0) if ended else (128 + number,))
    assert "Traceback" not in errors
    if not ended:
        fit(tmp_path, *FLAGS)
    resumed = load(tmp_path / "last.ckpt")["state_dict"]
    assert all(torch.equal(resumed[name], value) for name, value in uninterrupted.items())


@pytest.mark.command
def test_told_again_it_ends_at_once(tmp_path, monkeypatch):
    slow = "trainer.global_step == 5 and not __import__('time').sleep(300)"
    tell(monkeypatch, "callbacks.Finite.on_before_optimizer_step", slow, "SIGTERM")
    process = Lt([*CE, "--trainer.default_root_dir", str(tmp_path / "run")], tmp_path / "said")
    wait_for(tmp_path / "run" / "last.ckpt", process)
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    time.sleep(1.5)
    assert process.poll() is None  # it waits for its step
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 143
    assert load(tmp_path / "run" / "last.ckpt")["global_step"] == 4


@pytest.mark.command
def test_told_before_the_first_step_it_stops(tmp_path):
    process = start(tmp_path)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT)
    assert not (tmp_path / "last.ckpt").exists()


@pytest.mark.command
@pytest.mark.parametrize("name", ["SIGTERM", pytest.param("SIGINT", marks=pytest.mark.soak)])
def test_a_command_that_measures_ends_when_told(name, tmp_path, single, monkeypatch):
    tell(monkeypatch, "callbacks.Evaluation.on_test_batch_start", "True", name)
    process = Lt(["test", "--ckpt_path", str(single), *QUIET], tmp_path / "said")
    assert process.wait(60) == 128 + signal.Signals[name]
    assert "Traceback" not in process.said.read_text()
    assert not (single.parent / "per_class.csv").read_text().count("test")


@pytest.mark.command
def test_a_teacher_in_training_is_told_too_and_goes_on(tmp_path):
    short = tmp_path / "short.yaml"
    short.write_text("trainer: {max_epochs: 30, enable_progress_bar: false}")
    configs = ["--config", str(ROOT / "configs" / "mcsm.yaml"), "--config", str(short)]
    process = Lt(["fit", *configs, "--trainer.default_root_dir", str(tmp_path / "run")], tmp_path / "said")
    wait_for(tmp_path / "run" / "teacher" / "last.ckpt", process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    said = process.said.read_text()
    assert "stopped while it trained the teacher; go on by the same command" in said
    assert "Traceback" not in said
    assert 0 < load(tmp_path / "run" / "teacher" / "last.ckpt")["global_step"] < 120


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
