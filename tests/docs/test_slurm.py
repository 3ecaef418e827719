"""The script of docs/parallel.md, with stand-ins for ``srun`` and ``scontrol``: told to stop, put back, going on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import QUIET, ROOT

pytestmark = pytest.mark.docs
SRUN = """#!/bin/bash
for rank in 0 1; do
  SLURM_NTASKS=2 SLURM_NODELIST=localhost SLURM_NODEID=0 SLURM_PROCID=$rank SLURM_LOCALID=$rank "$@" &
  echo $! >> pids
done
for pid in $(cat pids); do wait $pid || status=$?; done
exit ${status:-0}
"""
SCONTROL = '#!/bin/bash\necho "$@" > requeued\n'


def job(folder: Path) -> subprocess.Popen[bytes]:
    """What SLURM starts on the first node."""
    (folder / "pids").unlink(missing_ok=True)
    path = f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    told = {"SLURM_JOB_ID": "77", "SLURM_JOB_NAME": "long", "SLURM_NNODES": "1", "SLURM_NTASKS_PER_NODE": "2"}
    flags = ["--config", "configs/bs.yaml", "--trainer.accelerator", "cpu", "--trainer.max_epochs", "100000", *QUIET]
    script = ["bash", str(ROOT / "docs" / "slurm.sh"), *flags]
    return subprocess.Popen(script, cwd=folder, env={**os.environ, **told, "PATH": path}, stderr=subprocess.DEVNULL)


def test_a_job_is_put_back_into_the_queue_and_goes_on(tmp_path):
    for name, text in {"srun": SRUN, "scontrol": SCONTROL}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    metrics, end = tmp_path / "runs" / "bs" / "metrics.csv", time.monotonic() + 120
    first = job(tmp_path)
    while not metrics.is_file():
        assert first.poll() is None
        assert time.monotonic() < end
        time.sleep(0.1)
    for pid in (tmp_path / "pids").read_text().split():
        os.kill(int(pid), signal.SIGUSR1)
    assert first.wait(60) == 128 + signal.SIGUSR1
    assert (tmp_path / "requeued").read_text().split() == ["requeue", "77"]
    again = job(tmp_path)
    length = metrics.stat().st_size
    while metrics.stat().st_size <= length:
        assert again.poll() is None
        assert time.monotonic() < end
        time.sleep(0.1)
    for pid in (tmp_path / "pids").read_text().split():
        os.kill(int(pid), signal.SIGTERM)
    assert again.wait(60) == 128 + signal.SIGTERM
