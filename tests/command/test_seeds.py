"""``lt seeds``: what runs of several seeds have in common, and that measuring them leaves them as they are."""

import json
from pathlib import Path

import pytest
import torch
from commands import QUIET, fit, load

from lt_lightning import seeds
from lt_lightning.commands import main
from lt_lightning.errors import LtError

SHORT = ["--trainer.max_epochs", "2", "--trainer.check_val_every_n_epoch", "2"]
THREE = ["--model.losses", '["CrossEntropy", "BalancedSoftmax", "InverseSoftmax"]']
SPLITS = ["all", "many", "medium", "few", "balanced"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three experts with two seeds."""
    folder = tmp_path_factory.mktemp("seeds")
    return [fit(folder / str(seed), *SHORT, *THREE, "--seed_everything", str(seed)) for seed in (0, 1)]


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """One network."""
    return fit(tmp_path_factory.mktemp("single"), *SHORT, "--seed_everything", "2")


def checkpoints(*folders: Path) -> list[str]:
    return [str(folder / "last.ckpt") for folder in folders]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def refused(arguments: list[str]) -> LtError:
    with pytest.raises(LtError) as stop:
        seeds.compare_seeds(arguments)
    return stop.value


def test_the_table_is_shown_and_written_and_the_runs_stay_as_they_are(runs, tmp_path, monkeypatch, capsys):
    before = [contents(run) for run in runs]
    out = tmp_path / "figures.json"
    where = tmp_path / "elsewhere"
    where.mkdir()
    monkeypatch.chdir(where)
    seeds.compare_seeds([*checkpoints(*runs), "--out", str(out)])
    assert [contents(run) for run in runs] == before
    assert list(where.iterdir()) == []
    written = json.loads(out.read_text())
    assert written["checkpoints"] == checkpoints(*runs)
    assert written["members"] == 3
    assert list(written["splits"]) == SPLITS
    shown = capsys.readouterr().out
    for split, row in written["splits"].items():
        assert abs(row["residual"]) <= 1e-12
        assert row["risk"] == pytest.approx(row["bias"] + row["variance"] - row["diversity"], abs=1e-12)
        assert row["variance"] > 0
        assert row["diversity"] > 0
        assert f"{row['risk']:.3f}" in next(line for line in shown.splitlines() if line.strip().startswith(split))


def test_risk_is_the_mean_of_what_test_reports(runs, tmp_path):
    for run in runs:
        folder = ["--trainer.default_root_dir", str(tmp_path / run.name)]
        main(["test", "--ckpt_path", str(run / "last.ckpt"), *folder, *QUIET])
    reports = [json.loads((tmp_path / run.name / "summary.json").read_text())["test"]["last"]["nll"] for run in runs]
    seeds.compare_seeds([*checkpoints(*runs), "--out", str(tmp_path / "figures.json")])
    risk = json.loads((tmp_path / "figures.json").read_text())["splits"]["all"]["risk"]
    assert risk == pytest.approx(sum(reports) / 2, abs=1e-5)


def test_single_models_have_no_diversity(runs, single, tmp_path):
    other = tmp_path / "other.ckpt"  # the same network, a little different
    checkpoint = load(single / "last.ckpt")
    checkpoint["state_dict"] = {k: v * 1.1 if v.is_floating_point() else v for k, v in checkpoint["state_dict"].items()}
    torch.save(checkpoint, other)
    seeds.compare_seeds([str(single / "last.ckpt"), str(other), "--out", str(tmp_path / "figures.json")])
    written = json.loads((tmp_path / "figures.json").read_text())
    assert written["members"] == 1
    for row in written["splits"].values():
        assert abs(row["diversity"]) <= 1e-12
        assert row["variance"] > 0


@pytest.mark.parametrize("number", [0, 1])
def test_fewer_than_two_checkpoints_are_refused(number, runs):
    assert "two or more different checkpoints" in refused(checkpoints(*runs[:number])).what


def test_one_checkpoint_named_twice_is_refused(runs):
    paths = [str(runs[0] / "last.ckpt"), str(runs[0] / ".." / runs[0].name / "last.ckpt")]
    assert "two or more different checkpoints" in refused(paths).what


def test_a_missing_checkpoint_is_refused_before_anything_is_measured(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(seeds, "_evaluate", lambda *_: pytest.fail("measured"))
    error = refused([*checkpoints(*runs), str(tmp_path / "missing.ckpt")])
    assert error.where == str(tmp_path / "missing.ckpt")


def test_another_number_of_members_is_refused(runs, single):
    error = refused(checkpoints(runs[0], single))
    assert "members is 1, that of the first checkpoint 3" in error.what
    assert error.where == str(single / "last.ckpt")


def changed(path: Path, file: Path, old: str, new: str) -> str:
    """A checkpoint with another configuration."""
    checkpoint = load(path)
    assert old in checkpoint["lt_config"]
    checkpoint["lt_config"] = checkpoint["lt_config"].replace(old, new)
    torch.save(checkpoint, file)
    return str(file)


def test_other_training_images_are_refused(runs, tmp_path):
    path = changed(runs[1] / "last.ckpt", tmp_path / "other.ckpt", "imbalance_factor: 100.0", "imbalance_factor: 10.0")
    error = refused([*checkpoints(runs[0]), path])
    assert "training or test images are not those of the first checkpoint" in error.what
    assert error.where == path


def test_other_classes_are_refused(runs, tmp_path, fake_cifar):
    data = ["--data", "CIFAR10LT", "--data.root", str(fake_cifar), "--data.imbalance_factor", "2"]
    other = fit(tmp_path / "cifar", *SHORT, *THREE, *data, "--trainer.limit_train_batches", "1")
    error = refused(checkpoints(runs[0], other))
    assert "its classes are not those of the first checkpoint" in error.what


def test_a_checkpoint_without_configuration_is_refused(runs, tmp_path):
    checkpoint = load(runs[1] / "last.ckpt")
    del checkpoint["lt_config"]
    torch.save(checkpoint, tmp_path / "bare.ckpt")
    assert "carries no configuration" in refused([*checkpoints(runs[0]), str(tmp_path / "bare.ckpt")]).what


def test_an_unknown_option_is_refused(runs):
    assert "--output" in refused([*checkpoints(*runs), "--output", "x"]).what


def test_a_file_that_cannot_be_written_is_refused(runs, tmp_path):
    error = refused([*checkpoints(*runs), "--out", str(tmp_path / "nowhere" / "x.json")])
    assert "cannot be written" in error.what
