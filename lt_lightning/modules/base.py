"""What teachers, student ensembles and contrastive experts share."""

from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from lt_lightning.data.base import Batch, LongTailDataModule
from lt_lightning.errors import LtError
from lt_lightning.losses import (
    CombinationFactory,
    CrossEntropy,
    LossFactory,
    MeanLogits,
    PriorCorrected,
    TermFactory,
)
from lt_lightning.models.backbones import BackboneFactory, BackboneName
from lt_lightning.models.classifiers import ClassifierName
from lt_lightning.models.experts import MultiExpert, NetworkFactory


class LongTailModule(LightningModule):
    """One or more experts, each with a loss of its own.

    Args:
        class_counts: Training images of each class; the command takes them from the data.
        losses: One loss for each expert; their number is E.
        backbone: Name of the network, or a class of one's own.
        shared_stages: Stages that the experts share, from the input on; 0 makes independent networks.
        classifier: Last layer of each expert.
        combination: How the experts' logits become one prediction; the mean of raw logits by default.
        network: How experts share a backbone.
        terms: Losses of all experts together.

    Raises:
        ValueError: An argument called ``..._weight``, of this or a derived class, is negative.
        LtError: Fitting starts with data that are drawn class-balanced.
    """

    offset: Tensor

    def __init__(
        self,
        class_counts: list[int],
        losses: list[LossFactory] = [CrossEntropy],  # noqa: B006 - never changed; a list is what YAML gives
        backbone: BackboneName | BackboneFactory = "resnet32",
        shared_stages: int = 0,
        classifier: ClassifierName = "linear",
        combination: CombinationFactory = MeanLogits,
        network: NetworkFactory = MultiExpert,
        terms: list[TermFactory] = [],  # noqa: B006 - as above
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)  # thousands of counts do not belong on a dashboard
        for name, value in self.hparams.items():
            if name.endswith("_weight") and value < 0:  # would train away from what the term asks for
                raise ValueError(f"{name} must not be negative, got {value}")
        self.class_counts = class_counts
        counts = torch.tensor(class_counts, dtype=torch.float32)
        net = network(backbone, len(class_counts), len(losses), shared_stages, classifier)
        # as images are: else a GPU turns each weight in each step, and its gradient back
        self.net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
        self.losses = nn.ModuleList(loss(counts) for loss in losses)
        self.terms = nn.ModuleList(term(counts) for term in terms)
        self.combination, self.prior_corrected = combination(counts), PriorCorrected(counts)
        self.register_buffer(
            "offset", torch.stack([loss.get_buffer("offset") for loss in self.losses]), persistent=False
        )

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; whether it is a parameter is not asked where Lightning says, 26 times a step, what runs."""
        if name == "_current_fx_name":
            vars(self)[name] = value
        else:
            super().__setattr__(name, value)

    def on_fit_start(self) -> None:
        """Refuse class-balanced batches: ``offset`` is that of logits that learn under the training prior."""
        data: LongTailDataModule | None = self.trainer.datamodule  # type: ignore[attr-defined]
        if data is not None and data.order.is_balanced:  # plain loaders do not say what they draw
            what = "class-balanced batches take away the training prior, which losses and corrections count on"
            raise LtError(what, "data.order", "set it to null, or train a second stage, such as ClassifierRetraining")

    def forward(self, image: Tensor) -> Tensor:
        """Predict: images ``(B, 3, H, W)`` to logits ``(B, C)``."""
        return self.combine(self.net(image))

    def combine(self, expert_logits: Tensor) -> Tensor:
        """``(E, B, C)`` to ``(B, C)``."""
        combined: Tensor = self.combination(expert_logits, self.offset)
        return combined

    def balance(self, expert_logits: Tensor) -> Tensor:
        """``(E, B, C)`` to logits ``(B, C)`` that carry a uniform prior, whatever the experts' losses."""
        balanced: Tensor = self.prior_corrected(expert_logits, self.offset)
        return balanced

    def skill(self, expert_logits: Tensor, target: Tensor) -> Tensor:
        """Sum over experts of each one's own loss, in nats, of logits ``(E, B, C)``."""
        return torch.stack([loss(z, target) for loss, z in zip(self.losses, expert_logits, strict=True)]).sum()

    def mutual(self, expert_logits: Tensor, target: Tensor) -> Tensor:
        """Sum of the terms of all experts together, in nats, of logits ``(E, B, C)``; 0 without terms."""
        return sum((term(expert_logits, self.offset, target) for term in self.terms), expert_logits.new_zeros(()))

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Expert logits ``(E, B, C)``, for the callbacks that measure."""
        expert_logits: Tensor = self.net(batch["image"])
        return expert_logits

    def test_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Expert logits ``(E, B, C)``, for the callbacks that measure."""
        return self.validation_step(batch, batch_idx)

    def predict_step(self, batch: Batch, batch_idx: int) -> Any:
        """Expert logits ``(E, B, C)``, for the callback that writes predictions."""
        return self.net(batch["image"])
