"""A process that dies at any moment of a save leaves a whole checkpoint, and what it left is swept away."""

import errno
import os
import random
import resource
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lt_lightning.checkpoint_io import WholeCheckpointIO
from lt_lightning.errors import LtError
from lt_lightning.whole_files import sweep, whole_file, write_whole

OLD, NEW = ({"state_dict": {"w": torch.full((100_000,), value)}, "epoch": int(value)} for value in (1.0, 2.0))


def in_a_child(function: Callable[[], object]) -> int:
    """Exit status of a process that does something."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def dying(at: int, after: bool) -> Callable[[], object]:
    """A save that dies before, or after, its n-th call of the system."""
    calls = 0

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == at and not after:
                os._exit(9)
            result = original(*args, **kwargs)
            if calls == at:
                os._exit(9)
            return result

        return call

    def save(path: Path) -> None:
        for name in ("fsync", "replace", "open", "close"):
            setattr(os, name, counted(getattr(os, name)))
        original = torch.serialization._open_zipfile_writer_buffer.__init__

        def watched(self: Any, buffer: Any) -> None:
            class Watched:
                write = staticmethod(counted(buffer.write))
                flush = staticmethod(counted(buffer.flush))

            original(self, Watched())

        torch.serialization._open_zipfile_writer_buffer.__init__ = watched  # type: ignore[method-assign]
        WholeCheckpointIO(".").save_checkpoint(NEW, path)

    return lambda: save(Path("last.ckpt"))


def epoch(path: str = "last.ckpt") -> int:
    """Of a checkpoint that can be read whole."""
    checkpoint = WholeCheckpointIO(".").load_checkpoint(path)
    assert (checkpoint["state_dict"]["w"] == checkpoint["epoch"]).all()
    return int(checkpoint["epoch"])


@pytest.mark.parametrize("after", [False, True])
def test_a_save_that_dies_at_each_of_its_calls(after, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen, died = set(), 0
    for at in range(1, 60):
        WholeCheckpointIO(".").save_checkpoint(OLD, "last.ckpt")
        status = in_a_child(dying(at, after))
        seen.add(epoch())
        sweep(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
        if status == 0:
            break
        assert status == 9
        died += 1
    else:
        pytest.fail("the save never came to its end")
    assert died >= 12
    assert seen == {1, 2}


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.soak)])
def test_a_process_that_is_killed_while_it_saves(kills, tmp_path, monkeypatch):
    elsewhere = Path("/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir())
    with tempfile.TemporaryDirectory(dir=elsewhere) as temporary:  # on another file system, where there is one
        monkeypatch.setenv("TMPDIR", temporary)
        monkeypatch.setattr(tempfile, "tempdir", None)
        monkeypatch.chdir(tmp_path)
        WholeCheckpointIO(".").save_checkpoint(OLD, "last.ckpt")
        draw, seen, swept = random.Random(0), set(), 0
        for _ in range(kills):
            pid = os.fork()
            if pid == 0:
                while True:
                    WholeCheckpointIO(".").save_checkpoint(draw.choice([OLD, NEW]), "last.ckpt")
            time.sleep(draw.uniform(0, 0.03))
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            seen.add(epoch())
            swept += len(list(tmp_path.iterdir())) - 1
            sweep(tmp_path)
            assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
        assert list(Path(temporary).iterdir()) == []
    assert seen <= {1, 2}
    assert swept > kills // 20  # it was killed in the midst of it


def test_what_a_process_that_runs_is_writing_is_not_swept_away(tmp_path):
    with whole_file(tmp_path / "a.txt") as file:
        file.write(b"half")
        sweep(tmp_path)
        assert len(list(tmp_path.iterdir())) == 1
    assert (tmp_path / "a.txt").read_bytes() == b"half"
    for name in (".hidden", ".a.part", "b.1.part"):  # not ours
        (tmp_path / name).write_text("kept")
    sweep(tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_an_exception_leaves_what_was_there(tmp_path):
    write_whole(tmp_path / "a.txt", "old")

    def stop(file: Path) -> None:
        with whole_file(file) as stream:
            stream.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_is_one_error_and_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    WholeCheckpointIO(".").save_checkpoint(OLD, "last.ckpt")

    def save_under_a_limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        with pytest.raises(LtError, match="no space left") as refusal:
            WholeCheckpointIO(".").save_checkpoint(NEW, "last.ckpt")
        assert "last.ckpt" in refusal.value.where
        assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]

    assert in_a_child(save_under_a_limit) == 0
    assert epoch() == 1


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LtError, match="cannot be written"):
        WholeCheckpointIO(tmp_path).save_checkpoint(NEW, tmp_path / "file" / "last.ckpt")


def test_disk_quotas_are_full_disks(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(LtError, match="no space left"):
        WholeCheckpointIO(tmp_path).save_checkpoint(NEW, tmp_path / "last.ckpt")
    assert not list(tmp_path.iterdir())
