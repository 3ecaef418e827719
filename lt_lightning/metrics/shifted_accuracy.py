"""Accuracy under other class priors than the uniform one of a balanced test set."""

import torch
from torch import Tensor
from torchmetrics import Metric


class ShiftedAccuracy(Metric):
    """Accuracy on P parts of a test set, each drawn to have another prior.

    Any division into batches or processes gives the same result.

    Args:
        drawn: Which of N images each part holds, ``(P, N)``, bool.
        log_prior: Logarithm of each part's class prior, ``(P, C)``.
    """

    full_state_update = False
    drawn: Tensor
    log_prior: Tensor
    correct: Tensor
    known: Tensor
    total: Tensor

    def __init__(self, drawn: Tensor, log_prior: Tensor) -> None:
        super().__init__()
        self.register_buffer("drawn", drawn, persistent=False)
        self.register_buffer("log_prior", log_prior, persistent=False)
        for name in ("correct", "known", "total"):
            self.add_state(name, torch.zeros(len(drawn), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, logits: Tensor, balanced: Tensor, target: Tensor, index: Tensor) -> None:
        """Add a batch.

        Args:
            logits: What the model predicts, ``(B, C)``.
            balanced: Logits that carry a uniform prior, ``(B, C)``.
            target: Classes, ``(B,)``.
            index: Places of the images in the test set, ``(B,)``.
        """
        drawn = self.drawn[:, index]
        corrected = torch.stack([(balanced + prior).argmax(-1) for prior in self.log_prior])
        self.correct += (drawn & (logits.argmax(-1) == target)).sum(1)
        self.known += (drawn & (corrected == target)).sum(1)
        self.total += drawn.sum(1)

    def compute(self) -> tuple[Tensor, Tensor]:
        """Accuracy on each part ``(P,)``, as the model predicts and with its prior known."""
        return self.correct / self.total, self.known / self.total
