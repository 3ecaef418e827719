"""What ``lt predict`` leaves behind."""

import csv
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lt_lightning.data.base import Batch, LongTailDataModule


class Predictions(Callback):
    """Writes ``predictions.csv``: image, target, predicted class and its probability, then those of all classes.

    Images are numbered in the order of their file, or have their paths. Of several processes, each writes its own
    images; process 1 writes ``predictions_1.csv``.
    """

    def __init__(self) -> None:
        self._rows: list[list[Any]] = []

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin anew."""
        self._rows = []

    def on_predict_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *_: int
    ) -> None:
        """Keep the probabilities ``(B, C)`` of one batch."""
        data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
        for target, probability in zip(batch["target"].tolist(), outputs.float().tolist(), strict=True):
            image = len(self._rows) * trainer.world_size + trainer.global_rank
            predicted = max(range(len(probability)), key=probability.__getitem__)
            self._rows.append([data.image_name("test", image), target, predicted, probability[predicted], *probability])

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the file."""
        data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
        rank = f"_{trainer.global_rank}" if trainer.global_rank else ""
        file = Path(trainer.default_root_dir) / f"predictions{rank}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["image", "target", "predicted", "probability", *data.class_names])
            writer.writerows(self._rows)
        print(f"lt: {len(self._rows)} predictions in {file}")
