"""What ``lt test`` says of each image, for comparisons on the same images."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lt_lightning.callbacks.gathering import of_all_processes
from lt_lightning.data.base import Batch, LongTailDataModule, Split
from lt_lightning.run_folder import PER_IMAGE
from lt_lightning.whole_files import write_whole


class PerImage(Callback):
    """Writes ``per_image.csv`` when a test ends: the class of each image and the predicted one, in the set's order.

    A line is a few bytes, so images are not named; :func:`digest_of_images` tells which they are.
    """

    def __init__(self) -> None:
        self._parts: list[Tensor] = []

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin anew."""
        self._parts = [torch.zeros(0, 3, dtype=torch.int64)]  # a process may get no image

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *_: int
    ) -> None:
        """Keep place, class and predicted class of the images of one batch."""
        predicted = pl_module.combine(outputs).argmax(-1)  # type: ignore[operator]
        self._parts.append(torch.stack([batch["index"], batch["target"], predicted], dim=1).cpu())

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the file."""
        rows = of_all_processes(torch.cat(self._parts), trainer)
        self._parts = []
        if trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            folder = Path(trainer.default_root_dir)
            folder.mkdir(parents=True, exist_ok=True)
            lines = (f"{target},{predicted}\n" for _, target, predicted in rows[rows[:, 0].argsort()].tolist())
            write_whole(folder / PER_IMAGE, "target,predicted\n" + "".join(lines))


def digest_of_images(data: LongTailDataModule, split: Split) -> str:
    """SHA-256 of the names of all images of a split, in order, one a line."""
    number = len(data.dataset(split))  # type: ignore[arg-type]
    names = "".join(f"{data.image_name(split, i)}\n" for i in range(number))
    return hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()
