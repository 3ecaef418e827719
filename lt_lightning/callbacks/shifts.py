"""How a model fares where the test set has another class prior than the uniform one."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lt_lightning.data.base import Batch, LongTailDataModule
from lt_lightning.data.shifts import shifted_parts
from lt_lightning.metrics import ShiftedAccuracy


class TestPriors(Callback):
    """Logs ``test/forward50/acc`` and others: accuracy on parts of the test set whose prior is long-tailed.

    ``forward`` parts follow the order of the training set, ``backward`` parts turn it round, the number says how many
    times more images the richest class has than the poorest. ``acc_known`` is what the model reaches when the part's
    prior is known and its logits are corrected for it. Images are never augmented.
    """

    __test__ = False  # no test of pytest's

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the parts."""
        data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
        target = data.dataset("test").target  # type: ignore[attr-defined]
        parts = shifted_parts(target.numpy(), data.class_counts)
        self.names = list(parts)
        drawn = torch.zeros(len(parts), len(target), dtype=torch.bool)
        counts = torch.zeros(len(parts), len(data.class_counts))
        for p, indices in enumerate(parts.values()):
            drawn[p, indices] = True
            counts[p] = target[indices].bincount(minlength=counts.shape[1])
        log_prior = (counts / counts.sum(1, keepdim=True)).log()
        self.metric = ShiftedAccuracy(drawn, log_prior).to(pl_module.device)

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *_: int
    ) -> None:
        """Add one batch."""
        if not self.names:  # a class has no test images
            return
        balanced = pl_module.balance(outputs)  # type: ignore[operator]
        self.metric.update(pl_module.combine(outputs), balanced, batch["target"], batch["index"])  # type: ignore[operator]

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the parts."""
        if not self.names:
            return
        figures = map(torch.atleast_1d, self.metric.compute())  # torchmetrics squeezes a single part
        for name, plain, known in zip(self.names, *figures, strict=True):
            pl_module.log_dict({f"test/{name}/acc": plain, f"test/{name}/acc_known": known})
