"""A hundred times killed, or a hundred runs in one process: nothing is lost, nothing piles up."""

import csv
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from commands import fit, load

from lt_lightning.callbacks import TrainingLog

EPOCHS = 15
SAVING = ["--trainer.max_epochs", str(EPOCHS), "--trainer.check_val_every_n_epoch", "5"]
SAVING += ["--last.every_n_train_steps", "1", "--data.num_workers", "0"]


def killed_after(seconds: float, run: Path) -> bool:
    """Begin, or go on with, a run, and kill it; says whether it came to its end before."""
    pid = os.fork()  # with all that is imported: a start of its own takes seconds
    if pid == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(1, 2)
            fit(run, *SAVING)
            os._exit(0)
        except BaseException:
            os._exit(1)
    time.sleep(seconds)
    if os.waitpid(pid, os.WNOHANG)[0] == 0:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return False
    return True


@pytest.mark.parametrize("kills", [3, pytest.param(100, marks=pytest.mark.soak)])
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_is_not(kills, tmp_path):
    draw, run, steps, done = random.Random(0), tmp_path / "run", [0], 0
    begin = time.monotonic()
    whole = load(fit(tmp_path / "whole", *SAVING) / "last.ckpt")
    took = time.monotonic() - begin
    while done < kills:
        assert not killed_after(draw.uniform(0.2, 0.6 * took), run), "it came to its end before it was killed enough"
        step = load(run / "last.ckpt")["global_step"] if (run / "last.ckpt").exists() else 0
        assert step >= steps[-1]
        steps.append(step)
        done += 1
        if step > 40:  # all but at its end: begin a new one, so that kills fall everywhere
            finish(run, whole)
            run, steps = tmp_path / f"run{done}", [0]
    finish(run, whole)


def finish(run: Path, whole: dict[str, object]) -> None:
    """Go on to the end, and compare with the run that nobody killed."""
    fit(run, *SAVING)
    last = load(run / "last.ckpt")
    for part in ("state_dict", "global_step"):
        assert_same(last[part], whole[part])
    assert not list(run.glob(".*.part"))
    with (run / "metrics.csv").open(newline="") as file:
        epochs = [int(row["epoch"]) for row in csv.DictReader(file) if row["train/loss"]]
    assert epochs == list(range(EPOCHS))


def assert_same(a: object, b: object) -> None:
    if isinstance(a, dict):
        assert isinstance(b, dict)
        assert all(torch.equal(a[name], b[name]) for name in a | b)
    else:
        assert a == b


@pytest.mark.soak
def test_a_long_run_does_not_grow(tmp_path, monkeypatch):
    sizes, plain = [], TrainingLog.on_train_epoch_end

    def measured(*args):
        plain(*args)
        sizes.append((_resident(), _open_files()))

    monkeypatch.setattr(TrainingLog, "on_train_epoch_end", measured)
    fit(tmp_path, "--trainer.max_epochs", "400", "--trainer.check_val_every_n_epoch", "5")
    (early, files_early), (late, files_late) = sizes[99], sizes[-1]
    report("epoch", 100, 400, sizes[99], sizes[-1])
    assert late < 1.05 * early
    assert files_late <= files_early


@pytest.mark.soak
def test_a_hundred_runs_in_one_process_leave_little_behind(tmp_path):
    """What parsers remember of classes, less than two MiB a run, and no file."""
    sizes = []
    for i in range(100):
        fit(tmp_path / str(i), "--trainer.max_epochs", "1")
        sizes.append((_resident(), _open_files()))
    (early, files_early), (late, files_late) = sizes[19], sizes[-1]  # caches have filled by then
    report("run", 20, 100, sizes[19], sizes[-1])
    assert late - early < 80 * 3 * 2**20
    assert files_late <= files_early


def report(what: str, first: int, last: int, early: tuple[int, int], late: tuple[int, int]) -> None:
    """Say how large this process was, and how many files it had open."""
    for number, (size, files) in ((first, early), (last, late)):
        print(f"{what} {number}: {size / 2**20:.0f} MiB, {files} files")


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
