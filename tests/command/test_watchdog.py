"""When one of two processes fails, both end soon, none stays behind, and the last lines say which one and why."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import QUIET, ROOT, load

from lt_lightning.callbacks import Watchdog

DRIVER = """
import os, signal, sys, time
import lt_lightning
from lt_lightning.callbacks import TrainingLog
from lt_lightning.commands import main
from lt_lightning.errors import LtError

def fail(what):
    if what == "raises":
        raise ValueError("planted")
    if what == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "stands still":
        while True:
            time.sleep(1)
    if what == "has no memory":
        raise MemoryError
    if what == "finds a mistake":
        raise LtError("planted", "here", "mend it")
    if what == "is stopped":
        os.kill(os.getpid(), signal.SIGSTOP)

def start(self, trainer, module, batch, batch_idx):
    if trainer.global_step == 6 and trainer.global_rank == int(os.environ["FAILING"]):
        fail(os.environ["FAULT"])
        batch["image"].fill_(float("nan"))

TrainingLog.on_train_batch_start = start
main()
"""
TIMEOUT = 8
FLAGS = ["--trainer.max_epochs", "30", "--trainer.accelerator", "cpu", "--watchdog.timeout", str(TIMEOUT), *QUIET]
SAID = {  # by the process itself, and by the first process of another
    "raises": ("planted", "ended with status 1"),
    "is killed": ("the first process is gone", "was killed (SIGKILL)"),
    "stands still": ("for 8 s", "for 8 s"),
    "has no memory": ("emory", "ended with status"),
    "finds a mistake": ("planted", "ended with status 2"),
    "meets nan": ("the loss is nan", "nothing was updated"),
}
EVERY = [(fault, rank) for fault in SAID for rank in (0, 1)] + [("is stopped", 1)]
QUICK = ("stands still", 1)
CASES = [pytest.param(*case, marks=[] if case == QUICK else [pytest.mark.soak]) for case in EVERY]


def is_running(marker: str) -> bool:
    """Whether any process has this in its command."""
    return any(marker in _read(process / "cmdline") for process in Path("/proc").iterdir() if process.name.isdigit())


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


def without_orphans(text: str) -> list[str]:
    """Lines, but for what a loading process prints below them when the process that it loads for is gone."""
    lines = text.splitlines()
    while lines[-1].startswith(("ConnectionResetError", "BrokenPipeError", "EOFError")):
        lines = lines[: max(place for place, line in enumerate(lines) if line.startswith("Traceback"))]
    return lines


@pytest.mark.command
@pytest.mark.parametrize(("fault", "rank"), CASES)
def test_all_end_and_say_why(fault, rank, tmp_path):
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER)
    configs = ["--config", str(ROOT / "configs" / "ce.yaml"), "--config", str(ROOT / "configs" / "ddp.yaml")]
    run = ["--trainer.devices", "2", "--trainer.default_root_dir", str(tmp_path / "run"), "--data.num_workers", "1"]
    environment = {**os.environ, "WANDB_MODE": "disabled", "FAULT": fault, "FAILING": str(rank), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(driver), "fit", *configs, *FLAGS, *run]
    log = tmp_path / "log"
    with log.open("w") as stream:  # not a pipe, which a process left behind would keep open
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream, cwd=tmp_path)
    while not (tmp_path / "run" / "last.ckpt").exists():
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    begin = time.monotonic()
    status = process.wait(timeout=60)
    while is_running(str(tmp_path)):
        assert time.monotonic() - begin < 60, "a process was left behind"
        time.sleep(0.1)
    took = time.monotonic() - begin
    assert status not in (0, None)
    assert took < (TIMEOUT + 15 if fault in ("stands still", "is stopped") else 30)
    last = "\n".join(without_orphans(log.read_text())[-3:])
    if fault == "is stopped":
        assert "for 8 s" in last
    else:
        assert SAID[fault][rank] in last
    if fault in ("raises", "has no memory", "finds a mistake"):
        assert f"process {rank} of 2: " in log.read_text()
    if rank == 1 and fault not in ("stands still", "is stopped", "meets nan"):
        assert re.search(r"process 1 ", last)
    if fault == "stands still":
        assert "time.sleep(1)" in log.read_text()  # where it stands
    assert load(tmp_path / "run" / "last.ckpt")["global_step"] > 0


def test_a_timeout_is_positive():
    with pytest.raises(ValueError, match="timeout must be positive"):
        Watchdog(timeout=0)
