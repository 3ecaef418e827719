"""What validation and test are logged as: the ensemble and each of its members, by shot group."""

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from lt_lightning.callbacks.measurement import Measurement, measuring_device
from lt_lightning.data.base import Batch, LongTailDataModule
from lt_lightning.metrics import AveragePrecision, CalibrationError, SplitAccuracy


class Predictor:
    """The measurements of one predictor: the ensemble, or a member.

    Args:
        prefix: What its names begin with: nothing for the ensemble, ``expert1/`` for its first member.
        accuracy: Its sums a class.
        device: Where it measures.
    """

    def __init__(self, prefix: str, accuracy: SplitAccuracy, device: torch.device) -> None:
        self.prefix, self.device = prefix, device
        self.accuracy, self.calibration = accuracy.to(device), CalibrationError().to(device)
        self.ranking = AveragePrecision(len(accuracy.total)).to(device)

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Add logits ``(B, C)`` of images of classes ``(B,)``."""
        logits, target = logits.to(self.device), target.to(self.device)
        self.accuracy.update(logits, target)
        self.calibration.update(logits, target)
        self.ranking.update(logits, target)

    def compute(self) -> dict[str, Tensor]:
        """Figures by name, in memory of the host."""
        ranking, calibration = self.ranking.compute(), self.calibration.compute()
        figures = {**self.accuracy.compute(), "auprc": ranking, "ece": calibration}
        values = torch.stack([value.float() for value in figures.values()]).cpu()  # all at once
        return {f"{self.prefix}{name}": value for name, value in zip(figures, values, strict=True)}


class Evaluation(Measurement):
    """Logs accuracy of all, many-, medium- and few-shot classes, balanced accuracy, macro F1 and AUPRC, NLL, ECE.

    ``val/acc_few`` is the ensemble's figure, ``val/expert1/acc_few`` that of its first member; a single model has no
    members. Groups follow the data's ``many`` and ``few``; a group without classes is left out. The last epoch is
    always measured.
    """

    def __init__(self) -> None:
        self.predictors: list[Predictor] = []

    def start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to measure."""
        data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
        counts = torch.tensor(data.class_counts)
        members = len(pl_module.losses) if len(pl_module.losses) > 1 else 0  # type: ignore[arg-type]
        self.predictors = [
            Predictor(prefix, SplitAccuracy(counts, data.many, data.few), measuring_device(pl_module))
            for prefix in ("", *(f"expert{m + 1}/" for m in range(members)))
        ]

    def update(self, pl_module: LightningModule, expert_logits: Tensor, batch: Batch) -> None:
        """Add one batch."""
        combined: Tensor = pl_module.combine(expert_logits)  # type: ignore[operator]
        for predictor, logits in zip(self.predictors, (combined, *expert_logits), strict=False):
            predictor.update(logits, batch["target"])

    def finish(self, pl_module: LightningModule, split: str) -> None:
        """Log ``SPLIT/*``."""
        for predictor in self.predictors:
            figures = predictor.compute()
            pl_module.log_dict({f"{split}/{name}": value for name, value in figures.items()})

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See :meth:`on_train_epoch_start`, which a run that is resumed within an epoch begins without."""
        self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Have the last epoch measured, whatever ``check_val_every_n_epoch`` is."""
        if trainer.current_epoch + 1 == trainer.max_epochs:
            trainer.check_val_every_n_epoch = 1
