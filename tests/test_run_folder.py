"""A folder that a run cannot use is refused before anything is built."""

import os
from pathlib import Path

import pytest

from lt_lightning.callbacks import run_lock
from lt_lightning.commands import main
from lt_lightning.errors import LtError
from lt_lightning.run_folder import check_ours, check_room, check_writable

CE = ["fit", "--config", "configs/ce.yaml", "--trainer.max_epochs", "1"]


def closed(tmp_path: Path) -> Path:
    """A folder that nobody can write to; the superuser can write to all but the system's own."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    return Path("/proc/run") if os.geteuid() == 0 else folder


@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict"])
def test_a_folder_that_cannot_be_written(command, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("lt_lightning.cli.LongTailCLI.instantiate_classes", lambda *_: pytest.fail("too late"))
    with pytest.raises(SystemExit, match="2"):
        main([command, *CE[1:3], "--trainer.default_root_dir", str(closed(tmp_path) / "run")])
    lines = capsys.readouterr().err.splitlines()[-3:]
    assert "nothing can be written here" in lines[0]
    assert "run" in lines[1]
    assert "--trainer.default_root_dir" in lines[2]


@pytest.mark.parametrize("place", ["a file", "below a file"])
def test_a_file_in_the_place_of_the_folder(place, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(LtError, match="nothing can be written here"):
        check_writable(tmp_path / "file" if place == "a file" else tmp_path / "file" / "run")
    assert (tmp_path / "file").read_text() == "mine"


def test_nothing_is_left_of_the_trial(tmp_path):
    check_writable(tmp_path / "new" / "run")
    assert list((tmp_path / "new" / "run").iterdir()) == []


def test_files_of_others_are_not_written_over(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text("mine")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(SystemExit, match="2"):
        main([*CE, "--trainer.default_root_dir", str(tmp_path)])
    assert "holds 2 files, such as config.yaml, and is no run's" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "notes.txt"]
    assert (tmp_path / "config.yaml").read_text() == "mine"


@pytest.mark.parametrize("files", [[], [".hidden"], ["notes.txt", ".lock"], ["last.ckpt"], ["wandb_run_id", "a.csv"]])
def test_a_run_s_own_folder_is_taken(files, tmp_path):
    (tmp_path / "other_run").mkdir()
    for name in files:
        (tmp_path / name).write_text("")
    check_ours(tmp_path)


def test_a_disk_that_is_nearly_full(tmp_path, monkeypatch, capsys):
    check_room(tmp_path, 2**20)
    with pytest.raises(LtError, match="three checkpoints need up to 3,221,225,472 MiB"):
        check_room(tmp_path, 2**50)
    monkeypatch.setattr(run_lock, "VALUES", 2**40)
    with pytest.raises(SystemExit, match="2"):
        main([*CE, "--trainer.default_root_dir", str(tmp_path / "run"), "--trainer.enable_progress_bar", "false"])
    assert "are free" in capsys.readouterr().err
    assert not (tmp_path / "run" / "last.ckpt").exists()
