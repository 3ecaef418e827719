"""A disk that is full costs the checkpoint that does not fit, and nothing else."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from commands import QUIET, ROOT, fit, load

ONE = ["--trainer.max_epochs", "1"]
LIMIT = 100_000  # bytes of a file; a checkpoint has seven times as many


def fit_on_a_full_disk(run: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Train where the system refuses to let a file grow, as it does when a disk or a quota is full."""
    command = [sys.executable, "-m", "lt_lightning", "fit", "--config", str(ROOT / "configs" / "ce.yaml"), *QUIET]
    return subprocess.run(
        [*command, "--trainer.default_root_dir", str(run), *flags],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT)),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def assert_refused(done: subprocess.CompletedProcess[str]) -> None:
    lines = done.stderr[done.stderr.index("lt: error: ") :].splitlines()
    assert done.returncode == 2
    assert len(lines) == 3
    assert "no space left" in lines[0]
    assert ".ckpt" in lines[1]


@pytest.mark.command
def test_a_run_that_begins_leaves_no_damaged_checkpoint(tmp_path):
    assert_refused(fit_on_a_full_disk(tmp_path, *ONE))
    assert not [path.name for path in tmp_path.iterdir() if "ckpt" in path.name]


@pytest.mark.command
def test_a_run_that_goes_on_keeps_the_checkpoints_it_has(tmp_path):
    fit(tmp_path, *ONE)
    before = {name: (tmp_path / name).read_bytes() for name in ("last.ckpt", "best.ckpt")}
    further = ["--ckpt_path", str(tmp_path / "last.ckpt"), "--trainer.max_epochs", "3"]
    assert_refused(fit_on_a_full_disk(tmp_path, *further))
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert sorted(path.name for path in tmp_path.glob("*ckpt*")) == sorted(before)
    fit(tmp_path, *further)  # when there is room again
    assert load(tmp_path / "last.ckpt")["epoch"] == 2
