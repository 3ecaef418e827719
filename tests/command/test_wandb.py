"""The offline W&B run holds every promised key, and a resumed run is the same run."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import QUIET, ROOT, fit

from lt_lightning.callbacks.dashboard import class_rows, log_checkpoint, staged_in, table
from lt_lightning.callbacks.screen import ClassFigure
from lt_lightning.loggers import BEST, RunWandbLogger, has_credentials, has_wandb

SHORT = ["--trainer.check_val_every_n_epoch", "1"]
GROUPS = ("acc", "acc_many", "acc_medium", "acc_few", "bal_acc", "macro_f1", "auprc", "nll", "ece")
TRAIN = {f"train/{name}" for name in ("loss", "skill", "distill", "grad_norm", "lr", "img_per_s")}
VAL = {f"val/{expert}{name}" for expert in ("", "expert1/", "expert2/", "expert3/") for name in GROUPS}
TABLES = {"val/classes", *(f"charts/{name}" for name in ("curves", "diversity", "agreement", "training"))}
TABLES |= {f"charts/{name}_val" for name in ("members", "confused_pairs", "top_losses")}
DRAWN = {f"{name}_val" for name in ("shot_bars", "per_class", "acc_vs_frequency", "reliability", "confusion")}
DRAWN |= {"class_distribution"}
"""Charts that W&B draws itself."""
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """MCSM for one epoch, then resumed for a second with pictures, with W&B, and no account, network and home."""
    folder = tmp_path_factory.mktemp("wandb")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WANDB_MODE")
        patch.delenv("WANDB_API_KEY", raising=False)
        patch.setenv("NETRC", str(folder / "nothing"))
        patch.setenv("HOME", str(folder / "home"))
        for name in ("WANDB_BASE_URL", "http_proxy", "https_proxy"):
            patch.setenv(name, NOWHERE)
        teacher = fit(folder / "teacher", "--trainer.max_epochs", "1", config="teacher") / "last.ckpt"
        flags = [*SHORT, "--model.teacher", str(teacher), "--wandb.project", "tests"]
        fit(folder / "mcsm", *flags, "--trainer.max_epochs", "1", config="mcsm")
        resume = ["--ckpt_path", str(folder / "mcsm" / "last.ckpt")]
        pictures = ["--plots.pictures", "true"]
        fit(folder / "mcsm", *flags, *resume, *pictures, "--trainer.max_epochs", "2", config="mcsm")
    return folder / "mcsm"


def offline_runs(run: Path) -> list[Path]:
    return sorted((run / "wandb").glob("offline-run-*"))


def inspect(folder: Path, *flags: str) -> str:
    """What W&B's own reader finds in an offline run."""
    command = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", *flags, "--json", str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def found(folder: Path) -> dict:
    """The summary of an offline run."""
    return json.loads(inspect(folder, "--summary"))["summary"]


@pytest.fixture(scope="module")
def summary(run):
    """That of the second of the two."""
    return found(offline_runs(run)[-1])


@pytest.fixture(scope="module")
def records(run):
    """All records of both."""
    return [[json.loads(line) for line in inspect(folder).splitlines()] for folder in offline_runs(run)]


def test_every_promised_key_is_there(summary):
    assert set(summary) >= TRAIN | VAL, (TRAIN | VAL) - set(summary)


def test_figures_are_those_of_the_run(run, summary):
    ours = json.loads((run / "summary.json").read_text())["val"]
    for name in GROUPS:
        theirs = summary[f"val/{name}"]
        theirs = theirs["last"] if isinstance(theirs, dict) else theirs
        assert theirs == pytest.approx(ours["last"][name], abs=1e-6), name
        assert summary[f"best/{name}"] == pytest.approx(ours["best"][name], abs=1e-6), name
    for name, best in BEST.items():
        assert best in summary[f"val/{name}"]


def test_tables_and_charts_are_there(run, summary, records):
    for key in TABLES | {f"charts/{name}_table" for name in DRAWN}:
        assert summary[key]["_type"] == "table-file", key
        assert next(iter((offline_runs(run)[-1] / "files").glob(summary[key]["path"]))).is_file()
    presets = str([record for record in records[-1] if record["type"] == "config"])
    assert all(f"charts/{name}" in presets for name in DRAWN)
    assert all(f"wandb/{kind}" in presets for kind in ("bar/v0", "scatter/v0", "lineseries/v0", "confusion_matrix/v1"))
    columns = {name: table["columns"] for name, table in tables(offline_runs(run)[-1]).items()}
    assert columns["val/classes"] == ["class", "train_images", "group", "acc", "change"]
    assert columns["charts/top_losses_val"][:3] == ["picture", "image", "target"]
    worst = tables(offline_runs(run)[-1])["charts/top_losses_val"]["data"]
    assert 0 < len(worst) <= 32
    of_tables = [r["artifact"] for r in records[-1] if r["type"] == "artifact" and r["artifact"]["type"] == "run_table"]
    parts = next(artifact["manifest"]["contents"] for artifact in of_tables if "top_losses" in artifact["name"])
    assert len([part for part in parts if part["path"].endswith(".png")]) == len(worst)
    assert summary["pictures/curves"]["_type"] == "image-file"
    first = tables(offline_runs(run)[0])["data/report"]
    row = dict(zip(first["columns"], first["data"][0], strict=True))
    assert row["train_images"] == 242
    assert [row[f"{name}_classes"] for name in ("many", "medium", "few")] == [2, 3, 5]
    assert "data/report" not in columns  # of a new run only


def tables(folder: Path) -> dict:
    """Tables of an offline run by key."""
    media = folder / "files" / "media" / "table"
    return {str(p.relative_to(media)).rsplit("_", 2)[0]: json.loads(p.read_text()) for p in media.rglob("*.json")}


def test_a_resumed_run_is_the_same_run(run, records):
    runs = offline_runs(run)
    assert len(runs) == 2
    run_id = (run / "wandb_run_id").read_text()
    assert all(f"-{run_id}" in path.name for path in runs)  # a second one in the same second ends in -1
    assert {record["run"]["run_id"] for each in records for record in each if record["type"] == "run"} == {run_id}


def test_checkpoints_are_artifacts_that_name_their_files(run, records):
    artifacts = [record["artifact"] for record in records[-1] if record["type"] == "artifact"]
    models = [artifact for artifact in artifacts if artifact["type"] == "model"]
    aliases = [sorted(set(artifact["aliases"]) - {"latest"}) for artifact in models]
    best = json.loads((run / "summary.json").read_text())["val"]["best"]["epoch"] + 1
    assert aliases == [["best", f"epoch-{best}"], ["epoch-2", "last"]]
    assert (run / "last.ckpt").as_uri() in str(models[-1]["manifest"])
    report = next(artifact for artifact in artifacts if artifact["type"] == "report")
    assert {"summary.json", "per_class.csv", "config.yaml"} <= {c["path"] for c in report["manifest"]["contents"]}
    staged = {file.stat().st_size for file in (run / "wandb" / "artifacts").rglob("*")}
    assert (run / "report.html").stat().st_size in staged
    assert not {(run / name).stat().st_size for name in ("best.ckpt", "last.ckpt")} & staged


def test_all_is_in_the_run_s_folder(run):
    """What was logged, that is; W&B's own logs of its service go into the user's cache."""
    assert not list((run.parent / "home").rglob("*staging*"))


def test_checkpoints_are_uploaded_if_that_is_wanted(run, tmp_path):
    logged = []
    fake = SimpleNamespace(id="7e57", log_artifact=lambda artifact, aliases: logged.append((artifact, aliases)))
    with staged_in(tmp_path):
        log_checkpoint(fake, run / "last.ckpt", upload=True)
    artifact, aliases = logged[0]
    entry = artifact.manifest.entries["last.ckpt"]
    assert aliases == ["last", "epoch-2"]
    assert entry.ref is None
    assert Path(entry.local_path).read_bytes() == (run / "last.ckpt").read_bytes()
    assert "WANDB_DATA_DIR" not in os.environ


def test_the_table_of_classes_says_what_changed():
    classes = [ClassFigure("twin", 200, 0.75), ClassFigure("twin", 30, 0.5), ClassFigure("void", 3, math.nan)]
    rows = class_rows([*classes, ClassFigure("new", 3, 0.25)], [0.5, 0.75, math.nan, math.nan], 100, 20)
    assert rows == [
        ("twin", 200, "many", 0.75, 0.25),
        ("twin", 30, "medium", 0.5, -0.25),
        ("new", 3, "few", 0.25, None),
    ]


def test_names_that_are_no_text_are_logged():
    assert json.dumps(table(["class"], [["caf\udce9"], [None]]).data)


def test_a_sweep_says_which_run_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_ID", "of-the-sweep")
    assert RunWandbLogger(save_dir=str(tmp_path))._run_id() == "of-the-sweep"
    monkeypatch.delenv("WANDB_RUN_ID")
    assert RunWandbLogger(save_dir=str(tmp_path))._run_id() == "of-the-sweep"  # also when it goes on


def test_what_is_turned_off_is_not_even_imported(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert not has_wandb()
    assert capsys.readouterr().err == ""


@pytest.mark.command
def test_a_run_without_wandb_is_whole_and_says_so_in_a_line(tmp_path):
    code = "import sys; sys.modules['wandb'] = None; from lt_lightning.commands import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "fit", "--config", str(ROOT / "configs" / "ce.yaml"), *QUIET]
    command += ["--trainer.accelerator", "cpu", "--trainer.max_epochs", "1", "--trainer.default_root_dir", "run"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len([line for line in done.stderr.splitlines() if "W&B" in line]) == 1
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert left >= {"last.ckpt", "best.ckpt", "metrics.csv", "summary.json", "per_class.csv", "config.yaml"}
    assert not any("wandb" in name for name in left)


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
    assert "train/loss" in found(offline_runs(tmp_path / "run")[0])
    assert (tmp_path / "run" / "last.ckpt").is_file()
