"""A recipe is found, trained once however many ranks ask, and knows nothing of their launcher."""

import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from lt_lightning import child, recipes
from lt_lightning.errors import LtError
from lt_lightning.recipes import trained_first

DATA = {"class_path": "lt_lightning.data.DigitsLT", "init_args": {"imbalance_factor": 10.0}}
RUN = {"seed_everything": 7, "data": DATA, "trainer": {"accelerator": "cpu"}}


@pytest.fixture
def recipe(tmp_path: Path) -> list[str]:
    """The configuration files of a run, with a recipe beside the first."""
    (tmp_path / "teacher.yaml").touch()
    return [str(tmp_path / "mcsm.yaml"), str(tmp_path / "overlay.yaml")]


def finish(folder: Path) -> None:
    """Leave what a finished run leaves."""
    (folder / "last.ckpt").touch()
    (folder / "summary.json").write_text('{"val": {}}')


def test_ranks_train_one_teacher(recipe, tmp_path, monkeypatch):
    trained = []

    def train(configs: list[str], folder: Path) -> None:
        trained.append(configs[0])
        time.sleep(0.3)
        finish(folder)

    monkeypatch.setattr(recipes, "_train", train)
    monkeypatch.setattr(recipes, "stored_config", lambda path: {"data": DATA})
    found: list[str] = []
    ranks = [
        threading.Thread(
            target=lambda: found.append(trained_first("teacher.yaml", recipe, RUN, tmp_path / "run" / "teacher"))
        )
        for _ in range(4)
    ]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    assert trained == [str(tmp_path / "teacher.yaml")]
    assert found == [str(tmp_path / "run" / "teacher" / "last.ckpt")] * 4


def test_the_recipe_is_trained_with_the_runs_overlays_data_and_seed(recipe, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("SLURM_PROCID", "1")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")

    def run(command: list[str], env: dict[str, str]) -> int:
        calls.append((command, env))
        finish(tmp_path / "run" / "teacher")
        return 0

    monkeypatch.setattr(child, "run", run)
    trained_first("teacher.yaml", recipe, RUN, tmp_path / "run" / "teacher")
    [(command, env)] = calls
    configs = [value for flag, value in pairwise(command) if flag == "--config"]
    assert configs[:2] == [str(tmp_path / "teacher.yaml"), str(tmp_path / "overlay.yaml")]
    assert yaml.safe_load(configs[2]) == RUN
    assert str(tmp_path / "run" / "teacher") in command
    assert "--ckpt_path" not in command
    assert not {"RANK", "LOCAL_RANK", "WORLD_SIZE", "SLURM_PROCID", "TORCHELASTIC_RUN_ID"} & env.keys()
    assert env["CUDA_VISIBLE_DEVICES"] == "0,1"


def test_an_interrupted_teacher_is_resumed(recipe, tmp_path, monkeypatch):
    commands = []
    (tmp_path / "run" / "teacher").mkdir(parents=True)
    (tmp_path / "run" / "teacher" / "last.ckpt").touch()

    def run(command: list[str], env: dict[str, str]) -> int:
        commands.append(command)
        finish(tmp_path / "run" / "teacher")
        return 0

    monkeypatch.setattr(child, "run", run)
    trained_first("teacher.yaml", recipe, RUN, tmp_path / "run" / "teacher")
    assert commands[0][-2:] == ["--ckpt_path", str(tmp_path / "run" / "teacher" / "last.ckpt")]


@pytest.mark.parametrize("status", [1, 0])  # 0: ended by a signal that it handled
def test_a_teacher_that_fails_is_one_error(status, recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(child, "run", lambda command, env: status)
    with pytest.raises(LtError, match="could not be trained"):
        trained_first("teacher.yaml", recipe, RUN, tmp_path / "run" / "teacher")


def test_a_teacher_that_is_told_to_stop_stops_the_run(recipe, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(child, "run", lambda command, env: 143)
    with pytest.raises(SystemExit, match="143"):
        trained_first("teacher.yaml", recipe, RUN, tmp_path / "run" / "teacher")
    assert "go on by the same command" in capsys.readouterr().err


@pytest.mark.parametrize("teacher", ["nowhere.yaml", "nowhere.ckpt"])
def test_a_missing_teacher_is_one_error(teacher, recipe, tmp_path):
    with pytest.raises(LtError, match="does not exist"):
        trained_first(teacher, recipe, RUN, tmp_path / "run" / "teacher")


def test_a_teacher_of_other_images_is_refused_and_of_other_batches_is_not(recipe, tmp_path, monkeypatch):
    folder = tmp_path / "run" / "teacher"
    folder.mkdir(parents=True)
    finish(folder)
    batched = {**DATA, "init_args": {**DATA["init_args"], "batch_size": 7}}
    monkeypatch.setattr(recipes, "stored_config", lambda path: {"data": batched})
    assert trained_first("teacher.yaml", recipe, RUN, tmp_path / "run" / "teacher") == str(folder / "last.ckpt")
    other = {**DATA, "init_args": {"imbalance_factor": 50.0}}
    with pytest.raises(LtError, match="other data"):
        trained_first("teacher.yaml", recipe, {**RUN, "data": other}, tmp_path / "run" / "teacher")


def test_a_first_stage_draws_and_views_images_as_its_recipe_says(recipe, tmp_path, monkeypatch):
    configs = []
    (tmp_path / "ce.yaml").touch()

    def train(given: list[str], folder: Path) -> None:
        configs.extend(given)
        finish(folder)

    monkeypatch.setattr(recipes, "_train", train)
    own = {"order": "ClassBalanced", "num_views": 2, "view_augment": [], "augment": [], "mix": "MixUp", "batch_size": 7}
    data = {**DATA, "init_args": {**DATA["init_args"], **own}}
    folder = tmp_path / "run" / "first_stage"
    assert trained_first("ce.yaml", recipe, {**RUN, "data": data}, folder) == str(folder / "last.ckpt")
    assert configs[:2] == [str(tmp_path / "ce.yaml"), recipe[1]]
    assert yaml.safe_load(configs[2]) == RUN
    monkeypatch.setattr(recipes, "stored_config", lambda path: {"data": DATA})
    assert trained_first("ce.yaml", recipe, {**RUN, "data": data}, folder) == str(folder / "last.ckpt")  # used again


def test_errors_name_the_first_stage(recipe, tmp_path, monkeypatch):
    folder = tmp_path / "run" / "first_stage"
    with pytest.raises(LtError, match=r"(?s)the first stage's recipe .*--model\.first_stage"):
        trained_first("nowhere.yaml", recipe, RUN, folder)
    monkeypatch.setattr(child, "run", lambda command, env: 1)
    with pytest.raises(LtError, match="the first stage could not be trained"):
        trained_first("teacher.yaml", recipe, RUN, folder)
