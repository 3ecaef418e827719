"""A set of random images and callbacks that measure a run, for ``lt fit --plugins benchmarks/noise.py``."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray
from speed.measure import cpu_seconds

from lt_lightning.data.augment import Augmentation, RandomCrop, RandomHorizontalFlip
from lt_lightning.data.base import Split
from lt_lightning.data.memory import InMemoryDataModule


class Noise(InMemoryDataModule):
    """Random images of 10 classes, as many training images as are asked for.

    Args:
        images: Training images.
        side: Of an image, in pixels.
        **kwargs: Arguments of every data module.
    """

    mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
    selected_on_test = False
    classes = 10

    def __init__(self, images: int = 1280, side: int = 32, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.images, self.side = images, side

    @property
    def class_counts(self) -> list[int]:
        return [self.images // self.classes] * self.classes

    def default_augment(self) -> list[Augmentation]:
        return [RandomCrop(), RandomHorizontalFlip()]

    def arrays(self, split: Split) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        number = self.images if split == "train" else 10 * self.classes
        image = np.random.default_rng(0).integers(0, 256, (number, self.side, self.side, 3), np.uint8)
        return image, np.arange(number) % self.classes


class InTurn(Callback):
    """Within a run, some of its steps and as many by hand, in turn: what a machine does to one, it does to the other.

    Attributes:
        by_hand: A step by hand.
        block: So many steps each, in turn.
        seconds: CPU seconds of training, to its end but without validation, and of the steps by hand.
    """

    by_hand: Callable[[], object]
    block: int
    seconds: tuple[float, float]

    def __init__(self) -> None:
        self.ours, self.theirs = 0.0, 0.0

    def on_train_start(self, *_: Any) -> None:
        self.start = cpu_seconds()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx % self.block == 0:
            begun = cpu_seconds()
            for _ in range(self.block):
                InTurn.by_hand()
            self.ours += begun - self.start
            self.start = cpu_seconds()
            self.theirs += self.start - begun

    def on_train_end(self, *_: Any) -> None:
        InTurn.seconds = self.ours + cpu_seconds() - self.start, self.theirs


class Footprint(Callback):
    """Writes to ``footprint.json`` the most memory of the GPU that a run reserved, with graphs and evaluation, in MiB.

    It is null on a CPU.
    """

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        most = torch.cuda.max_memory_reserved() / 2**20 if pl_module.device.type == "cuda" else None
        (Path(trainer.default_root_dir) / "footprint.json").write_text(json.dumps(most))
