"""The harness for a GPU does its work on a CPU, too, so that where there is one a command is enough."""

import json
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lt_lightning.commands import main


def test_runs_become_rows(tmp_path: Path, fake_cifar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gpu

    def here(command: list[str], **_: Any) -> None:
        """In this process, which takes small files for the official ones."""
        assert command[1:4] == ["-m", "lt_lightning", "fit"]
        main(command[3:])

    monkeypatch.setattr(gpu, "subprocess", SimpleNamespace(run=here))
    monkeypatch.chdir(gpu.ROOT)
    quick = "--data.imbalance_factor 2 --data.many 4 --data.few 4 --data.batch_size 4 --trainer.limit_train_batches 1"
    more = [*shlex.split(quick), "--trainer.accelerator", "cpu", "--plots.pictures", "false"]
    row = gpu.run("mcsm", "plain", 1, str(fake_cifar), tmp_path / "work", *more)
    assert sorted(folder.name for folder in (tmp_path / "work").iterdir()) == ["mcsm-plain-1", "ride-plain-1"]
    assert str(tmp_path) not in json.dumps(row)
    assert row["command"].startswith("lt fit --config configs/mcsm.yaml ")
    assert quick in row["command"]  # no word is left out, but places
    assert row["seconds"] > 0
    assert row["images a second"] > 0
    assert (row["MiB"], row["epochs"]) == (None, 1)
    twice = {**row, "way": "max-autotune", "images a second": 2 * row["images a second"], "MiB": 700.4}
    lines = gpu.table({"mcsm plain 1": row, "mcsm max-autotune 1": twice}).splitlines()
    ours = [line for line in lines if "not run" not in line][2:]
    assert [line.split(" | ")[1] for line in ours] == ["plain", "max-autotune"]
    assert [" | 1.00 x | - | " in ours[0], " | 2.00 x | 700 | " in ours[1]] == [True, True]


@pytest.mark.parametrize("name", ["ce", "ride", "mcsm", "mcem"])
def test_its_command_is_understood(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gpu

    printed = list[str]()

    def ask(command: list[str], **_: Any) -> None:
        printed.append(command[3:])
        with pytest.raises(SystemExit) as stop:
            main([*command[3:], "--print_config"])
        assert stop.value.code == 0
        raise InterruptedError

    monkeypatch.setattr(gpu, "subprocess", SimpleNamespace(run=ask))
    monkeypatch.chdir(gpu.ROOT)
    (tmp_path / "ride-plain-200").mkdir()
    (tmp_path / "ride-plain-200" / "last.ckpt").touch()
    with pytest.raises(InterruptedError):
        gpu.run(name, "max-autotune", 200, str(tmp_path), tmp_path)
    assert len(printed) == 1


def test_speed_is_that_of_settled_epochs(tmp_path: Path) -> None:
    import gpu

    file = tmp_path / "metrics.csv"
    file.write_text("step,train/img_per_s,val/acc\n1,10,\n1,,0.5\n2,20,\n3,100,\n4,300,\n5,200,\n")
    assert gpu.speed(file) == 200
    file.write_text("step,train/img_per_s\n1,10\n2,30\n")
    assert gpu.speed(file) == 20
