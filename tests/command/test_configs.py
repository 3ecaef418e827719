"""Every shipped configuration trains one step and is tested from its checkpoint alone; the digits: test_overfit.py."""

import json
import re
import shlex
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from commands import QUIET, ROOT, fit, refusal

from lt_lightning.commands import main
from lt_lightning.methods import methods

METHODS = {method.config: method for method in methods(ROOT / "configs")}
STEP = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1", "--trainer.check_val_every_n_epoch", "1"]
STAGE = re.compile(r"^ +(teacher|first_stage): (\w+)\.yaml", re.MULTILINE)


def earlier_stage(config: str, flags: Sequence[str]) -> tuple[str, str] | None:
    """The argument by which a configuration names an earlier stage, and that stage's configuration."""
    if found := STAGE.search((ROOT / "configs" / f"{config}.yaml").read_text()):
        flag = f"--model.{found[1]}"
        return flag, flags[flags.index(flag) + 1].removesuffix(".yaml") if flag in flags else found[2]
    return None


def one_step(run: Path, *flags: str, config: str, train: Callable[[str], Path]) -> dict[str, Any]:
    """Fit one step, after the stage that it begins with, test from the checkpoint, and return the summary."""
    needs = [found[0], str(train(found[1]))] if (found := earlier_stage(config, flags)) else []
    fit(run, *flags, *STEP, *needs, config=config)
    one_batch = ["--trainer.accelerator", "cpu", "--trainer.limit_test_batches", "1"]
    main(["test", "--ckpt_path", str(run / "last.ckpt"), *one_batch, *QUIET])
    return json.loads((run / "summary.json").read_text())


@pytest.mark.parametrize("method", METHODS)
def test_method_on_its_benchmark(method, tmp_path, fake_cifar):
    """With the recipe that its first lines name, in a batch of four."""
    overlay, *extra = shlex.split(METHODS[method].recipe)
    images = ["--data.root", str(fake_cifar), "--data.imbalance_factor", "2", "--data.batch_size", "4"]
    images += ["--data.eval_batch_size", "8", "--trainer.limit_val_batches", "1"]
    further = [word for flag, path in pairwise(extra) if flag == "--config" for word in (flag, path)]  # for both stages
    on = ["--config", str(ROOT / overlay), *further]

    def train(config: str) -> Path:
        alone = ["--trainer.limit_val_batches", "0"]
        return fit(tmp_path / config, *on, *images, *STEP, *alone, config=config) / "last.ckpt"

    summary = one_step(tmp_path / "run", *on, *extra, *images, config=method, train=train)
    assert summary["macs"] > 68_000_000  # a ResNet-32 or more
    assert summary["val"]["selected_on"] == "test"


@pytest.mark.parametrize("data", sorted(path.name for path in (ROOT / "configs" / "data").glob("*.yaml")))
def test_data(data, tmp_path, fake_cifar):
    flags = ["--data", str(ROOT / "configs" / "data" / data)]
    if "cifar" in data:
        flags += ["--data.root", str(fake_cifar), "--data.imbalance_factor", "2"]
    summary = one_step(tmp_path, *flags, config="ce", train=Path)
    assert summary["data"].lower().removesuffix("lt") == data.removesuffix("_lt.yaml")


def test_schedules_follow_the_number_of_epochs(tmp_path):
    run = fit(tmp_path, *STEP)
    assert "epochs: 1" in (run / "config.yaml").read_text()


def test_the_short_overlay_lies_over_a_benchmark(tmp_path, fake_cifar):
    overlays = [arg for name in ("cifar100_lt_experts", "short") for arg in ("--config", f"configs/on/{name}.yaml")]
    data = ["--data.root", str(fake_cifar), "--data.imbalance_factor", "2", "--data.batch_size", "4"]
    text = (fit(tmp_path, *overlays, *data, *STEP, config="sade") / "config.yaml").read_text()
    assert "augment: null" in text
    assert "resnet32_reduced" in text
    assert "bf16-mixed" in text


def test_lt_methods_lists_them_all(capsys):
    main(["methods"])
    printed = capsys.readouterr().out
    for method in METHODS.values():
        assert f"{method.name}: {method.idea}" in printed
        assert f"configs/{method.config}.yaml" in printed
        assert method.paper in printed
        assert method.published in printed


def test_lt_methods_takes_no_arguments(capsys):
    assert "unrecognized arguments: all" in refusal(["methods", "all"], capsys)[0]


def test_a_configuration_without_its_first_lines_is_an_error(tmp_path):
    (tmp_path / "bad.yaml").write_text("# BAD: an idea\n# paper: none\nmodel: {}\n")
    with pytest.raises(ValueError, match=r"bad\.yaml must begin with '# NAME: idea'"):
        methods(tmp_path)


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
