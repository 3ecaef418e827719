"""What ``lt predict`` leaves behind."""

import csv
import io
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torchmetrics.utilities.distributed import gather_all_tensors

from lt_lightning.data.base import Batch, LongTailDataModule
from lt_lightning.whole_files import whole_file


class Predictions(Callback):
    """Writes ``predictions.csv``: image, target, predicted class and its probability, then those of all classes.

    One file has all images, in the order of their set, on any number of processes. Images are numbered in that order,
    or have their paths.
    """

    def __init__(self) -> None:
        self._parts: list[tuple[Tensor, ...]] = []

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin anew."""
        none = torch.zeros(0, dtype=torch.int64)  # a process may get no image
        self._parts = [(none, none, torch.zeros(0, len(pl_module.class_counts)))]  # type: ignore[arg-type]

    def on_predict_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *_: int
    ) -> None:
        """Keep the probabilities ``(B, C)`` of one batch."""
        self._parts.append((batch["index"].cpu(), batch["target"].cpu(), outputs.float().cpu()))

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the file."""
        index, target, probability = (_of_all(torch.cat(part), trainer) for part in zip(*self._parts, strict=True))
        self._parts = []
        if not trainer.is_global_zero:
            return
        data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
        file = Path(trainer.default_root_dir) / "predictions.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(file) as binary:
            stream = io.TextIOWrapper(binary, "utf-8", "surrogateescape", newline="")
            writer = csv.writer(stream)
            writer.writerow(["image", "target", "predicted", "probability", *data.class_names])
            for place in index.argsort().tolist():
                image, row = data.image_name("test", int(index[place])), probability[place]
                predicted = int(row.argmax())
                writer.writerow([image, int(target[place]), predicted, float(row[predicted]), *row.tolist()])
            stream.detach()  # flushes, and leaves the file open
        print(f"lt: {len(index)} predictions in {file}")


def _of_all(part: Tensor, trainer: Trainer) -> Tensor:
    """What all processes have, ``(N, ...)``, of this one's part; parts may differ in length."""
    if trainer.world_size == 1:
        return part
    return torch.cat(gather_all_tensors(part.to(trainer.strategy.root_device))).cpu()
