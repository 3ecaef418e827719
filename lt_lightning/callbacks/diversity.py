"""What the members of an ensemble owe each other, logged beside what they get right."""

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from lt_lightning.callbacks.measurement import Measurement, measuring_device
from lt_lightning.data.base import Batch, LongTailDataModule
from lt_lightning.errors import LtError
from lt_lightning.metrics.diversity import EnsembleTheory

TOLERANCE = 1e-5
"""What an identity may leave, of its left side or of 1, whichever is larger; float64 leaves far less."""


class Diversity(Measurement):
    """Logs the theory of ensembles: ``val/theory/div_kl`` of all images, ``val/theory/div_kl_few`` of few-shot classes.

    The names are those of :class:`~lt_lightning.metrics.diversity.EnsembleTheory`. The logits are the members' own, or
    what ``PriorCorrected`` makes of them. ``nll_ens`` and ``err_ens`` are those of the mean of logits, with
    ``MeanProbabilities``, too, where the model's own differ. A model of one expert logs nothing.

    Raises:
        LtError: An identity does not hold, as where logits are not finite.
    """

    def __init__(self) -> None:
        self.theory: EnsembleTheory | None = None

    def start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to measure."""
        data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
        theory = EnsembleTheory(torch.tensor(data.class_counts), data.many, data.few)
        self.theory = theory.to(measuring_device(pl_module)) if len(pl_module.losses) > 1 else None  # type: ignore[arg-type]

    def update(self, pl_module: LightningModule, expert_logits: Tensor, batch: Batch) -> None:
        """Add one batch."""
        if self.theory is not None:
            members = pl_module.combination.members(expert_logits, pl_module.offset)  # type: ignore[union-attr, operator]
            self.theory.update(members.to(self.theory.device), batch["target"].to(self.theory.device))

    def finish(self, pl_module: LightningModule, split: str) -> None:
        """Log ``SPLIT/theory/*``."""
        if self.theory is not None:
            figures = self.theory.compute()
            values = torch.stack([*figures.values()]).cpu()  # all at once
            names = [f"{split}/theory/{name}" for name in figures]
            check_identities(dict(zip(names, values.tolist(), strict=True)))
            pl_module.log_dict(dict(zip(names, values.float(), strict=True)))


def check_identities(figures: dict[str, float]) -> None:
    """See that what members lose is what their ensemble loses and their diversity, on every split.

    Args:
        figures: Figures by name; ``nll_gap_check_few`` is held against ``nll_avg_few``.

    Raises:
        LtError: It is not.
    """
    for name, gap in figures.items():
        loss, check, split = name.partition("_gap_check")
        if check and not abs(gap) <= TOLERANCE * max(1.0, figures[f"{loss}_avg{split}"]):  # nan is not small either
            raise LtError(
                f"the members' loss is not the ensemble's and their diversity: {gap:.1e} is left",
                name,
                "see that the members' logits are finite: a smaller learning rate, or another precision",
            )
