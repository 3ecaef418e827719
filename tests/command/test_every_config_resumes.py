"""Every shipped method, stopped anywhere and resumed, leaves the very folder of the run that nothing stopped."""

from functools import cache
from pathlib import Path

import pytest
import torch
from commands import fit, load, refusal
from copies import EVERY_STEP, copies, differences, left_by, put_back
from test_configs import METHODS, earlier_stage

from lt_lightning.callbacks import TrainingLog
from lt_lightning.commands import main
from lt_lightning.data.sampling import TrainBatches

EPOCHS, STEPS = 3, 4  # 242 images in batches of 64; schedules that begin late begin in the last epoch
SAVES = EPOCHS * (STEPS + 1)  # after each step, and at the end of each epoch
SCHEDULE = ["--trainer.max_epochs", str(EPOCHS), "--trainer.check_val_every_n_epoch", "1"]


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """Trains an earlier stage on the digits, once."""
    flags = ["--trainer.max_epochs", "1"]
    return cache(lambda config: fit(tmp_path_factory.mktemp(config), *flags, config=config) / "last.ckpt")


def copied(folder: Path, points, *flags: str, method: str = "ce", stage=None) -> Path:
    """Train a method, and keep copies of its run; returns the run's folder."""
    found = earlier_stage(method, [])
    needs = [found[0], str(stage(found[1]))] if found else []
    with copies(folder, lambda number: number in points):
        return fit(folder / "run", *SCHEDULE, *EVERY_STEP, *needs, *flags, config=method)


def resumed(run: Path, point: int, *flags: str) -> dict:
    """What a run leaves that goes on from a copy."""
    put_back(run.parent / str(point), run)
    main(["fit", "--resume", str(run), *flags])
    return left_by(run)


def check(method: str, points: dict[int, str], folder: Path, stage, *flags: str) -> None:
    run = copied(folder, points, *flags, method=method, stage=stage)
    whole, wrong = left_by(run), {}
    for point, workers in points.items():
        wrong[point, workers] = list(differences(whole, resumed(run, point, "--data.num_workers", workers)))
    assert not any(wrong.values()), wrong


LOSSES_ALONE = {
    "balpoe",
    "bs",
    "class_balanced",
    "focal",
    "ldam",
    "mcem_bcl",
    "ncl",
    "ride",
    "ride_six",
    "sade",
    "shike",
}
LOSSES_ALONE |= {"mixup", "students", "teacher"}
"""Methods that differ from another one by nothing that a run has to remember."""


@pytest.mark.parametrize("method", [method for method in METHODS if method not in LOSSES_ALONE])
def test_a_point(method, tmp_path, stage):
    """Within the second epoch: between its last step and its validation, and for one method in its first step, too."""
    check(method, {5: "0", 8: "2"} if method == "ce" else {8: "2"}, tmp_path, stage)


@pytest.mark.soak
@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("method", METHODS)
def test_every_point(method, workers, tmp_path, stage):
    check(method, dict.fromkeys(range(SAVES - 1), workers), tmp_path, stage)


@pytest.mark.parametrize(
    ("flags", "points"),
    [
        (["--trainer.check_val_every_n_epoch", "2"], [3, 7]),  # after an epoch without validation, before one
        (["--trainer.accumulate_grad_batches", "2"], [0, 1]),  # after two of four batches, and after four
        (["--trainer.val_check_interval", "2"], [1, 2]),  # before a validation within an epoch, and after it
        (["--trainer.limit_train_batches", "3"], [2, 3]),  # before the validation of a part of an epoch, and after it
    ],
)
def test_other_schedules(flags, points, tmp_path):
    check("ema", dict.fromkeys(points, "0"), tmp_path, None, *flags)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run, with all its copies."""
    return copied(tmp_path_factory.mktemp("ce"), range(SAVES))


@pytest.fixture(scope="module")
def whole(run):
    """What it left."""
    return left_by(run)


def weights_differ(a: dict, b: dict) -> bool:
    return any(differences(a["last.ckpt"]["state_dict"], b["last.ckpt"]["state_dict"]))


def test_another_order_or_seed_would_be_seen(run, whole, monkeypatch):
    assert weights_differ(whole, resumed(run, 1, "--seed_everything", "1", "--allow_inexact", "true"))
    batches = TrainBatches.__iter__

    def spun(self):
        first, *rest = batches(self)
        return iter([*rest, first])

    monkeypatch.setattr(TrainBatches, "__iter__", spun)
    assert weights_differ(whole, resumed(run, 1))


@pytest.mark.parametrize("workers", ["0", "2"])
def test_each_step_has_the_images_that_it_would_have_had(workers, run, tmp_path, monkeypatch):
    seen, count = [], TrainingLog.on_train_batch_end

    def count_and_see(self, trainer, pl_module, outputs, batch, batch_idx):
        seen.append((trainer.global_step, batch["seed"], batch["index"].tolist()))
        count(self, trainer, pl_module, outputs, batch, batch_idx)

    monkeypatch.setattr(TrainingLog, "on_train_batch_end", count_and_see)
    fit(tmp_path, *SCHEDULE)
    images = seen.copy()
    assert sorted(i for step, _, index in images if step <= STEPS for i in index) == list(range(242))
    for point, done in ((0, 1), (8, 8), (9, 8), (10, 9)):
        seen.clear()
        resumed(run, point, "--data.num_workers", workers)
        assert seen == images[done:]


CHANGES = {
    "batch_size 64, now 32": ["--data.batch_size", "32"],
    "accumulate_grad_batches 1, now 2": ["--trainer.accumulate_grad_batches", "2"],
    "batch_size 64, now 16, accumulate_grad_batches 1, now 4": [
        *("--data.batch_size", "16"),
        *("--trainer.accumulate_grad_batches", "4"),
    ],
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_steps_are_refused(change, run, capsys):
    put_back(run.parent / "1", run)
    before = (run / "config.yaml").read_text()
    what, where, fix = refusal(["fit", "--resume", str(run), *CHANGES[change]], capsys)
    assert change in what
    assert str(run / "last.ckpt") in where
    assert "--data.batch_size 64" in fix or "--trainer.accumulate_grad_batches 1" in fix
    assert (run / "config.yaml").read_text() == before


@pytest.mark.parametrize(("point", "epochs"), [(1, 0), (4, 1), (7, 1), (8, 2)])
def test_other_steps_are_allowed_from_the_beginning_of_an_epoch(point, epochs, run):
    last = resumed(run, point, "--data.batch_size", "32", "--allow_inexact", "true")["last.ckpt"]
    done = load(run.parent / str(point) / "last.ckpt")["global_step"]
    assert last["global_step"] == done + 8 * (EPOCHS - epochs)
    assert last["epoch"] == EPOCHS - 1
    assert last["lr_schedulers"][0]["last_epoch"] == EPOCHS
    assert last["lt_step"]["batch_size"] == 32


def test_the_order_of_an_epoch_that_begins_anew_is_its_own(run, tmp_path, monkeypatch):
    """Image by image, whatever the batches are."""
    seen, batches = [], TrainBatches.__iter__

    def see(self):
        for fetch in batches(self):
            seen.append(fetch.indices)
            yield fetch

    monkeypatch.setattr(TrainBatches, "__iter__", see)
    resumed(run, 6, "--data.batch_size", "32", "--allow_inexact", "true", "--trainer.max_epochs", "2")
    anew = torch.cat(seen[-8:])
    seen.clear()
    fit(tmp_path, *SCHEDULE, "--trainer.max_epochs", "2")
    assert torch.equal(anew, torch.cat(seen[-STEPS:]))


def test_a_checkpoint_that_does_not_say_its_steps_goes_on(run):
    put_back(run.parent / "1", run)
    checkpoint = load(run / "last.ckpt")
    del checkpoint["lt_step"]
    torch.save(checkpoint, run / "last.ckpt")
    main(["fit", "--resume", str(run), "--trainer.max_epochs", "1"])
    assert load(run / "last.ckpt")["global_step"] == STEPS
