import importlib.metadata
import resource
import shutil
import sys
import tempfile
from collections import namedtuple
from types import SimpleNamespace

import pytest
from commands import refusal
from packaging.requirements import Requirement

from lt_lightning.commands import main
from lt_lightning.doctor import account, command, machine, packages
from lt_lightning.doctor.finding import error, ok

Usage = namedtuple("Usage", "total used free")


def test_this_environment_is_fit(capsys):
    main(["doctor"])
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert len(lines) <= 40
    assert "0 errors" in lines[-1]
    assert all(name in said for name in ("python", "torch", "lightning", "CUDA", "bfloat16", "gloo", "W&B", "disk"))


@pytest.mark.parametrize(
    ("requirement", "state", "found"),
    [
        ("rich>=1", "ok", ""),
        ("rich>=999", "error", "expected >=999"),
        ("rich!=1.0,<2", "error", "expected "),
        ("no-such-package-at-all>=1", "error", "not installed"),
    ],
)
def test_packages_and_their_bounds(requirement, state, found):
    finding = packages.check_requirement(Requirement(requirement))
    assert finding.state == state
    assert found in finding.found
    assert finding.mend.startswith("pip install" if state == "error" else "")


def test_extras_are_named_whether_they_are_there_or_not(monkeypatch):
    lines = ["rich>=1", "rich>=1; extra == 'there'", "nowhere>=1; extra == 'absent'", "rich>=999; extra == 'old'"]
    monkeypatch.setattr(packages.importlib.metadata, "requires", lambda name: lines)
    names = {"Provides-Extra": ["there", "absent", "old", "dev"]}
    monkeypatch.setattr(packages.importlib.metadata, "metadata", lambda name: SimpleNamespace(get_all=names.get))
    there, absent, old = packages.check_extras()
    assert (there.state, absent.state, old.state) == ("ok", "ok", "warning")
    assert there.found.startswith("rich ")
    assert "pip install 'lt-lightning[absent]'" in absent.found
    assert "expected >=999" in old.found


def test_an_old_python(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    assert packages.check_python().state == "error"


def test_torchvision_of_another_torch(monkeypatch):
    monkeypatch.setattr(packages.importlib.metadata, "requires", lambda name: ["numpy", "torch==1.0.0"])
    finding = packages.check_torchvision()
    assert finding.state == "error"
    assert "asks for torch==1.0.0" in finding.found


def test_a_torch_that_cannot_be_imported_is_one_error(monkeypatch, capsys):
    def fail():
        raise OSError("libcudart.so: cannot open shared object file")

    monkeypatch.setattr(command, "check_devices", fail)
    with pytest.raises(SystemExit, match="1"):
        main(["doctor"])
    said = capsys.readouterr().out
    assert "libcudart.so" in said
    assert "1 errors" in said
    assert "shared memory" in said  # the others are still looked at


def test_memory_disk_and_files(monkeypatch, tmp_path):
    room = {"free": 2**26}
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: Usage(2**40, 0, room["free"]))
    assert machine.check_shared_memory(tmp_path).state == "warning"
    assert [finding.state for finding in machine.check_folder(tmp_path)] == ["ok", "error"]
    room["free"] = 2**31
    assert [finding.state for finding in machine.check_folder(tmp_path)] == ["ok", "warning"]
    room["free"] = 2**36
    assert machine.check_shared_memory(tmp_path).state == "ok"
    assert machine.check_shared_memory(tmp_path / "none").state == "ok"
    assert [finding.state for finding in machine.check_folder(tmp_path)] == ["ok", "ok"]
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (256, 4096))
    assert machine.check_open_files().state == "warning"
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (-1, -1))
    assert machine.check_open_files().state == "ok"


def test_a_folder_that_cannot_be_written(monkeypatch, tmp_path):
    def refuse(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert shutil.disk_usage(tmp_path).free
    assert next(machine.check_folder(tmp_path)).state == "error"


def test_a_key_is_never_shown(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef" * 2)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    finding = account.check_account()
    assert "logged in" in finding.found
    assert "0123456789abcdef" not in "".join(finding)
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert "offline" in account.check_account().found


def test_wandb_is_not_needed(monkeypatch):
    def version(name):
        raise importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(account.importlib.metadata, "version", version)
    assert account.check_account() == ok("W&B", "not installed: runs log into their folders")


def test_errors_end_with_1_and_words_are_refused(monkeypatch, capsys):
    monkeypatch.setattr(command, "examination", lambda: iter([ok("a", "b"), error("c [x]", "d", "mend it")]))
    with pytest.raises(SystemExit, match="1"):
        main(["doctor"])
    said = capsys.readouterr().out
    assert "c [x]" in said
    assert "-> mend it" in said
    assert "unrecognized arguments" in refusal(["doctor", "now"], capsys)[0]
