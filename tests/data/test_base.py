"""What a step is given by a data module: the same batch whatever the workers, augmented in training only."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.transforms.v2 import CutMix, MixUp

from lt_lightning.data.augment import Augmentation, RandomCrop
from lt_lightning.data.base import Batch, Split
from lt_lightning.data.memory import InMemoryDataModule

SIZES = {"train": 14, "val": 7, "test": 9}


class Tiny(InMemoryDataModule):
    """Image i of a split is of the colour (i, 2i, 3i) and of class i % 3."""

    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    selected_on_test = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"batch_size": 4, "eval_batch_size": 4, **kwargs})

    @property
    def class_counts(self) -> list[int]:
        return [5, 5, 4]

    def default_augment(self) -> list[Augmentation]:
        return [RandomCrop(padding=1)]

    def arrays(self, split: Split) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        index = np.arange(SIZES[split])
        colour = (index[:, None] * [1, 2, 3]).astype(np.uint8)
        return np.tile(colour[:, None, None], (1, 5, 6, 1)), index % 3


class Blacken(Augmentation):
    def forward(self, image: Tensor) -> Tensor:
        return torch.zeros_like(image)


class Recorder(LightningModule):
    """Keeps what its steps are given, and a number drawn in each training step."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.train_batches: list[Batch] = []
        self.val_batches: list[Batch] = []
        self.drawn: list[float] = []

    def training_step(self, batch: Batch, _: int) -> Tensor:
        self.train_batches.append(batch)
        self.drawn.append(torch.rand(()).item())
        return self.weight * batch["image"].mean()

    def validation_step(self, batch: Batch, _: int) -> None:
        self.val_batches.append(batch)

    test_step = validation_step

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class SaveAfter(Callback):
    def __init__(self, step: int, path: Path) -> None:
        self.step, self.path = step, path

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


def trainer(**kwargs: Any) -> Trainer:
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    return Trainer(**{"accelerator": "cpu", "max_epochs": 2, "num_sanity_val_steps": 0, **quiet, **kwargs})


def fit(data: Tiny | None = None, ckpt_path: Path | None = None, **kwargs: Any) -> Recorder:
    module = Recorder()
    trainer(**kwargs).fit(module, data or Tiny(), ckpt_path=ckpt_path)
    return module


def index(image: Tensor) -> list[int]:
    """Which images these are, by their middle pixel, which no crop moves out."""
    return (image[:, 0, 2, 3] * Tiny.std[0] + Tiny.mean[0]).mul(255).round().int().tolist()


def same(one: Recorder, other: Recorder, first: int = 0) -> bool:
    """Whether the other saw, bit by bit, what the one saw from this step on."""
    batches = one.train_batches[first:]
    return (
        one.drawn[first:] == other.drawn
        and len(batches) == len(other.train_batches)
        and all(a["seed"] == b["seed"] for a, b in zip(batches, other.train_batches, strict=True))
        and all(
            torch.equal(a[key], b[key])
            for a, b in zip(batches, other.train_batches, strict=True)
            for key in ("image", "target")
        )
    )


def test_epochs_hold_each_image_once_with_its_class() -> None:
    batches = fit().train_batches
    assert [len(batch["target"]) for batch in batches] == 2 * [4, 4, 4, 2]
    seen = [i for batch in batches for i in index(batch["image"])]
    assert sorted(seen[:14]) == sorted(seen[14:]) == list(range(14))
    assert seen[:14] != seen[14:]
    assert [c for batch in batches for c in batch["target"].tolist()] == [i % 3 for i in seen]


def test_workers_change_nothing() -> None:
    assert same(fit(), fit(Tiny(num_workers=2)))


def test_the_seed_decides_everything() -> None:
    one = fit(Tiny(seed=1))
    torch.manual_seed(99)
    assert same(one, fit(Tiny(seed=1)))
    assert not same(one, fit(Tiny(seed=2)))
    assert len(set(one.drawn)) == len(one.drawn)


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before:UserWarning")
@pytest.mark.parametrize("step", [3, 4, 6])
def test_a_resumed_run_sees_the_rest_of_the_uninterrupted_one(step: int, tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    whole = fit(callbacks=[SaveAfter(step, path)], max_epochs=3)
    assert same(whole, fit(ckpt_path=path, max_epochs=3), first=step)


@pytest.mark.parametrize(("limit", "used"), [(2, 2), (0.5, 2), (1, 1)])
def test_a_limit_cuts_each_epoch(limit: float, used: int) -> None:
    whole, cut = fit(), fit(limit_train_batches=limit)
    seen = [index(batch["image"]) for batch in cut.train_batches]
    epochs = [[index(batch["image"]) for batch in whole.train_batches[first:][:used]] for first in (0, 4)]
    assert seen == epochs[0] + epochs[1]


def test_normalise_is_the_formula_of_each_channel() -> None:
    image = torch.randint(256, (3, 5, 6, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    planar = image.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)  # how CIFAR's files hold it
    before = image.clone()
    for source in (image, planar):
        result = Tiny().normalise(source)
        assert result.dtype == torch.float32
        assert result.is_contiguous(memory_format=torch.channels_last)
        expected = torch.stack([(source[..., c].double() / 255 - Tiny.mean[c]) / Tiny.std[c] for c in range(3)], dim=1)
        assert result.shape == expected.shape == (3, 3, 5, 6)
        assert torch.allclose(result.double(), expected, atol=1e-6)
        assert torch.equal(source, before)


def test_only_training_images_are_augmented_or_mixed() -> None:
    data = Tiny(augment=[Blacken()], mix=MixUp(num_classes=3))
    run, module = trainer(max_epochs=1, num_sanity_val_steps=1), Recorder()
    run.fit(module, data)
    black = data.normalise(torch.zeros(1, 5, 6, 3, dtype=torch.uint8))
    assert all(torch.allclose(batch["image"], black, atol=1e-5) for batch in module.train_batches)
    sanity, val = module.val_batches[:1], module.val_batches[1:]
    module.val_batches = []
    run.test(module, data, verbose=False)
    for split, batches, size in (("val", sanity, 4), ("val", val, 7), ("test", module.val_batches, 9)):
        image, target = data.arrays(split)
        assert torch.equal(torch.cat([batch["image"] for batch in batches]), data.normalise(torch.tensor(image[:size])))
        assert torch.equal(torch.cat([batch["target"] for batch in batches]), torch.tensor(target[:size]))


@pytest.mark.parametrize("mix", [MixUp(num_classes=3), CutMix(num_classes=3)], ids=lambda mix: type(mix).__name__)
def test_mixing_gives_soft_targets(mix: nn.Module) -> None:
    mixed, plain = fit(Tiny(mix=mix)), fit()
    assert same(mixed, fit(Tiny(mix=mix)))
    for batch, source in zip(mixed.train_batches, plain.train_batches, strict=True):
        assert batch["target"].shape == (len(source["target"]), 3)
        assert batch["target"].sum(1).allclose(torch.ones(len(source["target"])))
        assert batch["image"].shape == source["image"].shape
        assert batch["image"].is_contiguous(memory_format=torch.channels_last)
    targets = torch.cat([batch["target"] for batch in mixed.train_batches])
    assert ((targets > 0.01) & (targets < 0.99)).any()


def test_a_split_is_read_once() -> None:
    data = Tiny()
    assert data.dataset("train") is data.dataset("train")
    assert data.class_names == ["0", "1", "2"]
