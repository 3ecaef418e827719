"""What a teacher said is taken over by other students, bit for bit, or not at all."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import QUIET, fit, load, refusal

from lt_lightning.callbacks import DistillationTargets
from lt_lightning.callbacks.target_cache import TargetCache
from lt_lightning.commands import main

SHORT = ["--trainer.max_epochs", "3", "--trainer.check_val_every_n_epoch", "3", "--model.backbone", "resnet8"]


class PowerCutError(Exception):
    """Ends a run without a chance to save."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches that a teacher was asked of."""
    plain, sizes = DistillationTargets.ask, list[int]()

    def ask(self: DistillationTargets, trainer: Any, image: torch.Tensor) -> torch.Tensor:
        sizes.append(len(image))
        return plain(self, trainer, image)

    monkeypatch.setattr(DistillationTargets, "ask", ask)
    return sizes


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(tmp_path_factory.mktemp("teacher"), "--trainer.max_epochs", "1", config="bs") / "last.ckpt"


@pytest.fixture
def own(teacher: Path, tmp_path: Path) -> Path:
    """The teacher, in a folder of its own."""
    (tmp_path / "teacher").mkdir()
    (tmp_path / "teacher" / "last.ckpt").write_bytes(teacher.read_bytes())
    return tmp_path / "teacher" / "last.ckpt"


def taught(run: Path, teacher: Path, *flags: str) -> dict[str, torch.Tensor]:
    """Weights of students after three epochs."""
    fit(run, *SHORT, "--model.teacher", str(teacher), *flags, config="mcsm")
    weights: dict[str, torch.Tensor] = load(run / "last.ckpt")["state_dict"]
    return weights


CACHE = ["--model.cache_targets", "true"]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_students_of_a_teacher_that_is_not_asked_are_the_same(own: Path, tmp_path: Path, asked: list[int]) -> None:
    plain = taught(tmp_path / "plain", own)
    assert not (own.parent / "targets").exists()
    number = len(asked)
    first = taught(tmp_path / "first", own, *CACHE)
    assert len(asked) == 2 * number
    again = taught(tmp_path / "again", own, *CACHE)
    assert len(asked) == 2 * number  # not once
    assert same(plain, first)
    assert same(plain, again)
    one = ["--model.losses", '["BalancedSoftmax"]']  # other students, the same views
    assert same(taught(tmp_path / "one", own, *one), taught(tmp_path / "one again", own, *one, *CACHE))
    assert len(asked) == 3 * number


def test_each_seed_has_its_own(own: Path, tmp_path: Path, asked: list[int]) -> None:
    short = [*CACHE, "--trainer.max_epochs", "1"]
    taught(tmp_path / "first", own, *short)
    number = len(asked)
    taught(tmp_path / "second", own, *short, "--seed_everything", "1")
    assert len(asked) == 2 * number
    assert len([*(own.parent / "targets").iterdir()]) == 2


def test_a_run_that_goes_on_within_an_epoch_takes_what_is_there(
    own: Path, tmp_path: Path, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = taught(tmp_path / "whole", own, *CACHE)
    number, part = len(asked), tmp_path / "part"

    def cut(self: DistillationTargets, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.current_epoch == 1 and batch_idx == 2:
            raise PowerCutError
        plain(self, trainer, pl_module, batch, batch_idx)

    plain = DistillationTargets.on_train_batch_start
    with monkeypatch.context() as patch:
        patch.setattr(DistillationTargets, "on_train_batch_start", cut)
        with pytest.raises(PowerCutError):
            taught(part, own, *CACHE, "--last.every_n_train_steps", "1")
    main(["fit", "--resume", str(part), *QUIET])
    assert same(whole, load(part / "last.ckpt")["state_dict"])
    assert len(asked) == number


def test_an_epoch_of_which_a_part_was_seen_is_not_kept(own: Path, tmp_path: Path, asked: list[int]) -> None:
    taught(tmp_path / "run", own, *CACHE, "--trainer.max_steps", "1")
    assert not (own.parent / "targets").exists()


def test_other_views_are_refused(own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taught(tmp_path / "run", own, *CACHE, "--trainer.max_epochs", "1")
    command = ["fit", "--config", "configs/mcsm.yaml", *SHORT, "--model.teacher", str(own), *CACHE]
    command += ["--trainer.accelerator", "cpu", "--trainer.default_root_dir", str(tmp_path / "other")]
    for flags in (["--data.mix", "null"], ["--data.batch_size", "32"]):
        what, where, fix = refusal([*command, *flags], capsys)
        assert "belong to other images" in what
        assert "epoch_0000.npy" in where
        assert "cache_targets false" in fix


@pytest.mark.parametrize("damage", ["cut", "text", "other sizes", "no table"])
def test_damaged_targets_are_refused(
    damage: str, own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taught(tmp_path / "run", own, *CACHE, "--trainer.max_epochs", "1")
    file = next((own.parent / "targets").rglob("*.npy"))
    about = file.with_suffix(".json")
    match damage:
        case "cut":
            file.write_bytes(file.read_bytes()[:-100])
        case "text":
            file.write_text("logits")
        case "other sizes":
            about.write_text(json.dumps({**json.loads(about.read_text()), "sizes": [3]}))
        case "no table":
            about.write_text("[]")
    command = ["fit", "--config", "configs/mcsm.yaml", *SHORT, "--model.teacher", str(own), *CACHE]
    command += ["--trainer.accelerator", "cpu", "--trainer.default_root_dir", str(tmp_path / "other")]
    what, where, fix = refusal(command, capsys)
    assert "damaged" in what
    assert str(file) in where
    assert "remove" in fix


def test_other_weights_are_another_teacher(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_text("weights")
    first = TargetCache(tmp_path / "last.ckpt", {"seed": 0})
    first.open(0)
    image = torch.rand(4, 3, 8, 8)
    first.keep(0, image, torch.arange(8.0).view(4, 2))
    first.close(1)
    again = TargetCache(tmp_path / "last.ckpt", {"seed": 0})
    again.open(0)
    assert np.array_equal(again.recall(0, image), torch.arange(8.0).view(4, 2))
    assert again.recall(1, image) is None
    (tmp_path / "last.ckpt").write_text("other weights")
    other = TargetCache(tmp_path / "last.ckpt", {"seed": 0})
    other.open(0)
    assert other.recall(0, image) is None
