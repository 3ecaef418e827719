"""A sweep of W&B draws what `lt fit` takes: each is drawn once, and trains one step as its agent would start it."""

import math
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import QUIET, ROOT, fit
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

from lt_lightning.commands import main

SWEEPS = {path.stem: path for path in sorted((ROOT / "configs" / "sweeps").glob("*.yaml"))}
STEP = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1", "--trainer.check_val_every_n_epoch", "1"]
RUN = "7e57ab1e"
KNOWN = {"method", "run_cap", "metric", "parameters", "command"}


def drawn(parameter: dict[str, Any]) -> float:
    """A value in the middle of those that a parameter may have."""
    if "values" in parameter:
        return parameter["values"][len(parameter["values"]) // 2]
    assert parameter["distribution"] == "log_uniform_values"
    return math.sqrt(parameter["min"] * parameter["max"])


def words(sweep: dict[str, Any], folder: Path) -> list[str]:
    """What `lt` gets of a sweep's command, with values as W&B's agent writes them; the shell is a real one."""
    draw = {name: {"value": drawn(parameter)} for name, parameter in sweep["parameters"].items()}
    flags = create_sweep_command_args({"args": draw})["args"]
    command = [word for part in sweep["command"] for word in (flags if part == "${args}" else [part])]
    (folder / "lt").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (folder / "lt").chmod(0o700)
    env = {"PATH": f"{folder}:{os.environ['PATH']}", "WANDB_RUN_ID": RUN}
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.mark.parametrize("name", SWEEPS)
def test_a_draw_trains_a_step(name, tmp_path, monkeypatch):
    sweep = yaml.safe_load(SWEEPS[name].read_text())
    assert sweep.keys() <= KNOWN
    given = words(sweep, tmp_path)
    assert given[-2:] == ["--trainer.default_root_dir", f"runs/sweeps/{name}/{RUN}"]
    monkeypatch.chdir(tmp_path)
    teacher = ["--model.teacher", str(fit(tmp_path / "teacher", *STEP) / "last.ckpt")] if name == "mcsm" else []
    main([*given, *STEP, *teacher, *QUIET, "--trainer.accelerator", "cpu"])
    run = tmp_path / given[-1]
    config, metric = yaml.safe_load((run / "config.yaml").read_text()), sweep["metric"]["name"]
    for key, parameter in sweep["parameters"].items():
        assert found(config, key.split(".")) == pytest.approx(drawn(parameter)), key
    assert metric.removeprefix("best/") in yaml.safe_load((run / "summary.json").read_text())["val"]["best"]


def found(config: Any, path: list[str]) -> Any:
    """The value of a key, whose parts may be arguments of a class."""
    for part in path:
        config = config[part] if part in config else config["init_args"][part]
    return config


def test_the_three_are_there():
    assert set(SWEEPS) == {"rates", "mcsm", "seeds"}


@pytest.mark.parametrize("file", sorted((ROOT / "configs").rglob("*.yaml")), ids=lambda path: path.stem)
def test_configurations_are_short(file):
    assert len(file.read_text().splitlines()) <= 40


METHODS = [path.stem for path in sorted((ROOT / "configs").glob("*.yaml")) if path.stem != "ddp"]
OVERLAYS = [path.stem for path in sorted((ROOT / "configs" / "on").glob("*.yaml"))]
CHAINS = [[f"configs/{name}.yaml"] for name in METHODS] + [
    ["configs/ce.yaml", f"configs/on/{o}.yaml"] for o in OVERLAYS
]
SOME = [["configs/mcsm.yaml", "configs/on/inaturalist18_experts.yaml"]]


@pytest.mark.parametrize(
    "chains", [pytest.param(SOME, id="some"), pytest.param(CHAINS, id="all", marks=pytest.mark.soak)]
)
def test_what_is_printed_is_read_as_it_was(chains, tmp_path, capsys):
    def printed(*files: str) -> str:
        with pytest.raises(SystemExit, match="0"):
            main(["fit", *(word for file in files for word in ("--config", file)), "--print_config"])
        return capsys.readouterr().out

    for chain in chains:
        (tmp_path / "printed.yaml").write_text(first := printed(*chain))
        assert printed(str(tmp_path / "printed.yaml")) == first, chain
