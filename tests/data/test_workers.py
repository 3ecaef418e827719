"""A loading process gives memory back, and ends with the process that it loads for."""

import ctypes
import os
import select
import signal
import sys
import time
from types import SimpleNamespace

import pytest
import torch

from lt_lightning.data import DigitsLT
from lt_lightning.data.workers import begin_loading


def test_every_loader_begins_so() -> None:
    data = DigitsLT(num_workers=2)
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    data.trainer = SimpleNamespace(world_size=1, global_rank=0, strategy=strategy)  # type: ignore[assignment]
    assert data.val_dataloader().worker_init_fn is begin_loading


def test_it_gives_back_and_is_told_where_the_system_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int, int]] = []
    calls = {name: lambda number, value, name=name: told.append((name, number, value)) for name in ("mallopt", "prctl")}
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(**calls))
    begin_loading()
    assert told == [("mallopt", -1, 2**26), ("mallopt", -3, 2**25), ("prctl", 1, signal.SIGKILL)]
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    begin_loading()


@pytest.mark.skipif(sys.platform != "linux", reason="others have no such call")
def test_when_that_one_is_killed_nobody_is_left_behind() -> None:
    ours, theirs = os.pipe()
    killed = os.fork()
    if killed == 0:
        if os.fork() == 0:
            begin_loading()
            os.write(theirs, b"!")
        time.sleep(60)
        os._exit(0)
    os.close(theirs)
    assert os.read(ours, 1) == b"!"
    os.kill(killed, signal.SIGKILL)
    os.waitpid(killed, 0)
    assert select.select([ours], [], [], 20)[0], "it sleeps on"
    assert os.read(ours, 1) == b""  # nobody could write any more
    os.close(ours)
