"""The same seed gives the same batches and the same weights, bit by bit, with any number of workers."""

import hashlib
import shutil

import pytest
import torch
from commands import ROOT, fit, load
from torch import Tensor
from trees import picture, tree

from lt_lightning.callbacks import TrainingLog

SHORT = ["--trainer.max_epochs", "2", "--trainer.check_val_every_n_epoch", "1"]
OWN = ["--config", str(ROOT / "configs" / "on" / "own_images.yaml"), "--model.backbone", "resnet8"]
RUNS = {"ema": [], "mcem": [], "FolderLT": [*OWN, "--data.size", "16", "--data.batch_size", "6"]}


def digest(*tensors: Tensor) -> str:
    return hashlib.sha256(b"".join(t.contiguous().numpy().tobytes() for t in tensors)).hexdigest()


@pytest.fixture
def batches(monkeypatch):
    """The images, views and targets of each training step."""
    seen: list[list[Tensor]] = []
    count = TrainingLog.on_train_batch_end

    def count_and_see(self, trainer, pl_module, outputs, batch, batch_idx):
        seen.append([batch["image"], batch["target"], *batch["views"]])
        count(self, trainer, pl_module, outputs, batch, batch_idx)

    monkeypatch.setattr(TrainingLog, "on_train_batch_end", count_and_see)
    return seen


@pytest.mark.parametrize("method", ["ema", "FolderLT", pytest.param("mcem", marks=pytest.mark.soak)])
def test_workers_and_repetition_change_nothing_and_the_seed_everything(method, tmp_path, batches):
    data = ["--data.root", str(tree(tmp_path / "images"))] if method == "FolderLT" else []

    def run(name: str, *flags: str) -> tuple[str, list[str]]:
        batches.clear()
        config = "bs" if data else method
        folder = fit(tmp_path / name, *RUNS[method], *data, *SHORT, *flags, config=config)
        weights = load(folder / "last.ckpt")["state_dict"]
        return digest(*weights.values()), [digest(*step) for step in batches]

    first = run("first", "--data.num_workers", "0")
    assert len(set(first[1])) == len(first[1]) > 4
    for workers in ("0", "2", "4"):
        assert run(f"{workers} workers", "--data.num_workers", workers) == first
    weights, steps = run("another seed", "--data.num_workers", "2", "--seed_everything", "1")
    assert weights != first[0]
    assert not set(steps) & set(first[1])


def test_no_two_of_a_thousand_draws_are_alike(tmp_path, batches):
    """All images are copies of one, which is no JPEG: that would be decoded at a size of few windows."""
    root = tree(tmp_path / "images", {"a": 50, "b": 50}, ending=".png")
    picture(1, 300, 200).save(tmp_path / "one.png")
    for file in root.glob("*/*.png"):
        shutil.copy(tmp_path / "one.png", file)
    data = [*OWN, "--data.root", str(root), "--data.size", "12", "--data.batch_size", "36", "--data.num_workers", "2"]
    epochs = ["--trainer.max_epochs", "15", "--trainer.check_val_every_n_epoch", "15"]
    fit(tmp_path / "run", *data, *epochs)
    drawn = torch.cat([step[0] for step in batches])
    assert len({image.numpy().tobytes() for image in drawn}) == len(drawn) >= 1000
