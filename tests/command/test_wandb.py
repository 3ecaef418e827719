"""The offline W&B run holds every promised key, and a resumed run is the same run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import QUIET, ROOT, fit

from lt_lightning.loggers import RunWandbLogger, has_credentials

SHORT = ["--trainer.check_val_every_n_epoch", "1"]
GROUPS = ("acc", "acc_many", "acc_medium", "acc_few", "bal_acc", "macro_f1", "auprc", "nll", "ece")
TRAIN = {f"train/{name}" for name in ("loss", "skill", "distill", "grad_norm", "lr", "img_per_s")}
VAL = {f"val/{expert}{name}" for expert in ("", "expert1/", "expert2/", "expert3/") for name in GROUPS}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """MCSM for one epoch, then resumed for a second, with W&B and no account."""
    folder = tmp_path_factory.mktemp("wandb")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WANDB_MODE")
        patch.delenv("WANDB_API_KEY", raising=False)
        patch.setenv("NETRC", str(folder / "nothing"))
        patch.setenv("HOME", str(folder))
        teacher = fit(folder / "teacher", "--trainer.max_epochs", "1", config="teacher") / "last.ckpt"
        flags = [*SHORT, "--model.teacher", str(teacher), "--wandb.project", "tests"]
        fit(folder / "mcsm", *flags, "--trainer.max_epochs", "1", config="mcsm")
        resume = ["--ckpt_path", str(folder / "mcsm" / "last.ckpt")]
        fit(folder / "mcsm", *flags, *resume, "--trainer.max_epochs", "2", config="mcsm")
    return folder / "mcsm"


def offline_runs(run: Path) -> list[Path]:
    return sorted((run / "wandb").glob("offline-run-*"))


def inspect(folder: Path) -> dict:
    """The summary that W&B's own reader finds in an offline run."""
    command = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--summary", "--json", str(folder)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_every_promised_key_is_there(run):
    summary = inspect(offline_runs(run)[-1])["summary"]
    assert set(summary) >= TRAIN | VAL, (TRAIN | VAL) - set(summary)


def test_figures_are_those_of_the_run(run):
    summary = inspect(offline_runs(run)[-1])["summary"]
    ours = json.loads((run / "summary.json").read_text())["val"]["last"]
    for name in GROUPS:
        theirs = summary[f"val/{name}"]
        theirs = theirs["last"] if isinstance(theirs, dict) else theirs
        assert theirs == pytest.approx(ours[name], abs=1e-6), name


def test_a_resumed_run_is_the_same_run(run):
    runs = offline_runs(run)
    assert len(runs) == 2
    run_id = (run / "wandb_run_id").read_text()
    assert all(f"-{run_id}" in path.name for path in runs)  # a second one in the same second ends in -1


@pytest.mark.parametrize("offline", [None, False])
@pytest.mark.parametrize("mode", [None, "online"])
def test_without_an_account_nobody_is_asked(mode, offline, tmp_path, monkeypatch):
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    if mode:
        monkeypatch.setenv("WANDB_MODE", mode)
    assert RunWandbLogger(save_dir=str(tmp_path), offline=offline)._wandb_init["mode"] == "offline"


@pytest.mark.parametrize(
    ("environment", "netrc", "expected"),
    [
        ({}, None, False),
        ({"WANDB_API_KEY": "k"}, None, True),
        ({}, "machine api.wandb.ai login user password secret", True),
        ({}, "machine example.org login user password secret", False),
        ({"WANDB_BASE_URL": "https://wandb.example.org"}, "machine wandb.example.org login u password s", True),
        ({}, "this is no netrc", False),
    ],
)
def test_credentials_are_found_without_a_network(environment, netrc, expected, tmp_path, monkeypatch):
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))
    if netrc:
        (tmp_path / ".netrc").write_text(netrc)
        (tmp_path / ".netrc").chmod(0o600)
    assert has_credentials() is expected


@pytest.mark.command
def test_a_run_whose_server_does_not_answer_is_logged_offline(tmp_path):
    env = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}  # this process's service
    env |= {"WANDB_MODE": "online", "WANDB_API_KEY": "7" * 40, "WANDB_INIT_TIMEOUT": "3"}
    env |= {"WANDB_BASE_URL": "http://alice:pass4word@127.0.0.1:9", "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "lt_lightning", "fit", "--config", str(ROOT / "configs" / "ce.yaml"), *QUIET]
    command += ["--trainer.accelerator", "cpu", "--trainer.max_epochs", "1", "--trainer.default_root_dir", "run"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "this run is logged offline" in done.stderr
    assert "pass4word" not in done.stderr + done.stdout
    assert "train/loss" in inspect(offline_runs(tmp_path / "run")[0])["summary"]
    assert (tmp_path / "run" / "last.ckpt").is_file()
