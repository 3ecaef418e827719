"""Every shipped configuration trains one step and is tested from its checkpoint alone."""

import json
from pathlib import Path

import pytest
from commands import QUIET, ROOT, fit

from lt_lightning.cli import main

METHODS = sorted(path.stem for path in (ROOT / "configs").glob("*.yaml") if "model:" in path.read_text())
STEP = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1", "--trainer.check_val_every_n_epoch", "1"]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A teacher of the digits."""
    return fit(tmp_path_factory.mktemp("teacher"), *STEP, config="teacher") / "last.ckpt"


def one_step(run: Path, *flags: str, config: str, teacher: Path) -> dict:
    """Fit one step, test from the checkpoint, and return the summary."""
    text = (ROOT / "configs" / f"{config}.yaml").read_text()
    needs = ["--model.teacher", str(teacher)] if "teacher:" in text else []
    fit(run, *flags, *STEP, *needs, config=config)
    main(["test", "--ckpt_path", str(run / "last.ckpt"), "--trainer.accelerator", "cpu", *QUIET])
    return json.loads((run / "summary.json").read_text())


def test_all_methods_are_found():
    assert {"ce", "teacher", "mcsm"} <= set(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_method(method, tmp_path, teacher):
    summary = one_step(tmp_path, config=method, teacher=teacher)
    assert summary["data"] == "DigitsLT"
    assert 0 <= summary["test"]["last"]["acc"] <= 1


@pytest.mark.parametrize("overlay", sorted(path.stem for path in (ROOT / "configs" / "on").glob("*.yaml")))
@pytest.mark.parametrize("method", METHODS)
def test_method_on_a_benchmark(method, overlay, tmp_path, fake_cifar):
    data = ["--data.root", str(fake_cifar), "--data.imbalance_factor", "2"]
    on = ["--config", str(ROOT / "configs" / "on" / f"{overlay}.yaml"), *data]
    teacher = fit(tmp_path / "teacher", *on, *STEP, "--model.backbone", "resnet8", config="teacher") / "last.ckpt"
    summary = one_step(tmp_path / "run", *on, config=method, teacher=teacher)
    assert summary["macs"] > 68_000_000  # a ResNet-32 or more
    assert summary["val"]["selected_on"] == "test"


@pytest.mark.parametrize("data", sorted(path.name for path in (ROOT / "configs" / "data").glob("*.yaml")))
def test_data(data, tmp_path, fake_cifar):
    flags = ["--data", str(ROOT / "configs" / "data" / data)]
    if "cifar" in data:
        flags += ["--data.root", str(fake_cifar), "--data.imbalance_factor", "2"]
    summary = one_step(tmp_path, *flags, config="ce", teacher=tmp_path)
    assert summary["data"].lower().removesuffix("lt") == data.removesuffix("_lt.yaml")


def test_schedules_follow_the_number_of_epochs(tmp_path):
    run = fit(tmp_path, *STEP)
    assert "epochs: 1" in (run / "config.yaml").read_text()


def test_shipped_configurations_are_found_from_anywhere(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for overlay in ("configs/ddp.yaml", "configs/on/cifar100_lt.yaml"):
        with pytest.raises(SystemExit, match="0"):
            main(["fit", "--config", "configs/mcsm.yaml", "--config", overlay, "--print_config"])
        assert "StudentEnsemble" in capsys.readouterr().out


def test_the_last_epoch_is_measured(tmp_path):
    flags = [
        "--trainer.max_epochs",
        "3",
        "--trainer.check_val_every_n_epoch",
        "2",
        "--trainer.limit_train_batches",
        "1",
    ]
    assert json.loads((fit(tmp_path, *flags) / "summary.json").read_text())["val"]["last"]["epoch"] == 2


def test_several_configurations_merge_and_the_later_wins(tmp_path):
    for name, factor in (("a", 20), ("b", 10)):
        (tmp_path / f"{name}.yaml").write_text(f"data: {{init_args: {{imbalance_factor: {factor}}}}}\n")
    overlays = ["--config", str(tmp_path / "a.yaml"), "--config", str(tmp_path / "b.yaml")]
    summary = json.loads((fit(tmp_path / "run", *overlays, *STEP) / "summary.json").read_text())
    assert summary["train_images"] == 403  # 100 77 59 46 35 27 21 16 12 10
