"""Two gloo processes on the CPU train and measure what one process would."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from commands import QUIET, ROOT, load, refusal
from copies import EVERY_STEP, copies, differences, left_by, put_back
from forked import two

from lt_lightning.commands import main

pytestmark = pytest.mark.command
TWO = ["--trainer.accelerator", "cpu", "--trainer.devices", "2", "--trainer.strategy", "ddp"]
FORKED = ["--trainer.accelerator", "cpu", "--trainer.devices", "2", "--trainer.strategy", "ddp_fork"]
"""The same, as copies of this process: they need not import everything again."""


def trained_by_two(folder: Path, method: str) -> Path:
    """Train by two processes, and keep a copy of each time that they write."""
    short = folder / "short.yaml"
    short.write_text("trainer: {max_epochs: 2, check_val_every_n_epoch: 1, accelerator: cpu, devices: 2}\n")
    configs = [ROOT / f"configs/{method}.yaml", ROOT / "configs/ddp.yaml", short]
    flags = [arg for config in configs for arg in ("--config", str(config))]
    run = ["--data.batch_size", "32", *QUIET, *EVERY_STEP, "--trainer.default_root_dir", str(folder / "run")]
    with copies(folder):
        two(["fit", *flags, *run], folder / "said")
    return folder / "run"


def check_resumes(run: Path, points: Iterable[int]) -> None:
    whole, wrong = left_by(run), {}
    for point in points:
        put_back(run.parent / str(point), run)
        two(["fit", "--resume", str(run), *QUIET], run.parent / "said")
        wrong[point] = list(differences(whole, left_by(run)))
    assert not any(wrong.values()), wrong


@pytest.fixture(scope="module")
def two_process_run(tmp_path_factory):
    """MCSM, teacher first, by two processes."""
    return trained_by_two(tmp_path_factory.mktemp("ddp"), "mcsm")


def test_two_processes_go_on_exactly(two_process_run):
    check_resumes(two_process_run, [5])  # within the second epoch


@pytest.mark.soak
@pytest.mark.parametrize("method", ["mcsm", "mcem"])
def test_two_processes_go_on_exactly_from_anywhere(method, tmp_path):
    check_resumes(trained_by_two(tmp_path, method), range(9))


def test_two_processes_train_the_teacher_once_and_all_students(two_process_run):
    assert (two_process_run / "teacher" / "last.ckpt").is_file()
    epochs = (two_process_run / "teacher" / "metrics.csv").read_text().splitlines()
    assert sum("train" not in row and row.startswith("0,") for row in epochs) == 2  # one of training, one of validation
    checkpoint = load(two_process_run / "last.ckpt")
    assert checkpoint["global_step"] == 2 * 4  # 242 images, 2 x 32 a step: three whole steps and a smaller one


def test_figures_of_two_processes_are_those_of_one(two_process_run):
    by_two = json.loads((two_process_run / "summary.json").read_text())["val"]["last"]
    main(["validate", "--ckpt_path", str(two_process_run / "last.ckpt"), "--trainer.accelerator", "cpu", *QUIET])
    with (two_process_run / "per_class.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = [name for name in rows[0] if name.endswith("acc")]
    two, one = ([[row[c] for c in columns] for row in rows if row["split"] == split] for split in ("val", "validate"))
    assert two == one
    by_one = json.loads((two_process_run / "summary.json").read_text())["validate"]["last"]
    of_fit = {name for name in by_two if "agreement" in name}  # with the teacher, which is there in training alone
    assert by_one.keys() == by_two.keys() - {"epoch"} - of_fit
    for name, value in by_one.items():
        assert by_two[name] == pytest.approx(value, abs=1e-6), name


def test_each_image_counts_once_on_two_processes(two_process_run, tmp_path):
    """21 images on two ranks are 21, not 22."""
    plugin = tmp_path / "small_set.py"
    plugin.write_text(
        "from lt_lightning.data import DigitsLT\n"
        "class SmallDigits(DigitsLT):\n"
        "    def arrays(self, split):\n"
        "        image, target = super().arrays(split)\n"
        "        return (image, target) if split == 'train' else (image[::23][:21], target[::23][:21])\n"
    )
    checkpoint = ["--ckpt_path", str(two_process_run / "last.ckpt"), "--plugins", str(plugin), "--data", "SmallDigits"]
    main(["test", *checkpoint, *FORKED, *QUIET, "--trainer.default_root_dir", str(tmp_path / "two")])
    alone = ["--trainer.accelerator", "cpu", *QUIET, "--trainer.default_root_dir", str(tmp_path / "one")]
    main(["test", *checkpoint, *alone])
    two, one = (json.loads((tmp_path / n / "summary.json").read_text())["test"]["last"] for n in ("two", "one"))
    assert (one["acc"] * 21) == pytest.approx(round(one["acc"] * 21), abs=1e-4)
    for name in one.keys() - {"checkpoint"}:
        assert two[name] == pytest.approx(one[name], abs=1e-6), name


def test_processes_that_could_not_hand_on_their_weights_are_refused_before_they_train(tmp_path, capsys):
    run = ["--trainer.default_root_dir", str(tmp_path)]
    what, where, fix = refusal(["fit", "--config", str(ROOT / "configs" / "ce.yaml"), *FORKED, *run], capsys)
    assert "copies of this process" in what
    assert where == "  where: trainer.strategy"
    assert "ddp" in fix
    assert not (tmp_path / "last.ckpt").exists()


@pytest.mark.parametrize("number", [21, pytest.param(1, marks=pytest.mark.soak)])
def test_validation_while_training_is_that_of_the_checkpoint(number, tmp_path):
    """Of a moving average of weights, on a set that two processes share unevenly: of one image, one has none."""
    plugin = tmp_path / f"few_images_{number}.py"
    plugin.write_text(
        "from lt_lightning.data import DigitsLT\n"
        "class FewDigits(DigitsLT):\n"
        "    def arrays(self, split):\n"
        "        image, target = super().arrays(split)\n"
        "        step = 1 if split == 'train' else -(-len(target) // NUMBER)\n"
        "        return image[::step], target[::step]\n".replace("NUMBER", str(number))
    )
    data = ["--plugins", str(plugin), "--data", f"few_images_{number}.FewDigits", "--data.eval_batch_size", "4"]
    run = tmp_path / "run"
    where = [*QUIET, "--trainer.default_root_dir", str(run)]
    short = ["--trainer.max_epochs", "2", "--trainer.check_val_every_n_epoch", "1", "--data.batch_size", "32"]
    two(["fit", "--config", str(ROOT / "configs/ema.yaml"), *data, *short, *TWO, *where], tmp_path / "said")
    main(["validate", "--ckpt_path", str(run / "last.ckpt"), *data, "--trainer.accelerator", "cpu", *where])
    summary = json.loads((run / "summary.json").read_text())
    trained, alone = summary["val"]["last"], summary["validate"]["last"]
    assert alone.keys() == trained.keys() - {"epoch"}
    for name, value in alone.items():
        assert trained[name] == pytest.approx(value, abs=1e-6), name


@pytest.mark.parametrize(("more", "devices"), [([], "1"), (["--config", str(ROOT / "configs" / "ddp.yaml")], "auto")])
def test_one_device_is_taken_unless_more_are_asked_for(more, devices, capsys):
    """Lightning takes all GPUs of a machine, with a batch on each: a recipe would be another."""
    with pytest.raises(SystemExit, match="0"):
        main(["fit", "--config", str(ROOT / "configs" / "ce.yaml"), *more, "--print_config"])
    assert f"  devices: {devices}\n" in capsys.readouterr().out
