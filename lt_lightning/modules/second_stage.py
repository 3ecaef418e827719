"""Decoupling: the second of two stages, in which a trained backbone stays as it is and its classifiers are balanced.

The data must be drawn class-balanced: ``order: ClassBalanced``.

- [Kang et al., 2020] Decoupling Representation and Classifier for Long-Tailed Recognition (cRT, LWS and
  tau-normalisation). https://arxiv.org/abs/1910.09217
- [Zhong et al., 2021] Improving Calibration for Long-Tailed Recognition (MiSLAS). https://arxiv.org/abs/2104.00466
"""

from abc import ABC, abstractmethod
from typing import Self

import torch
from lightning.pytorch import Callback
from torch import Tensor, nn

from lt_lightning.callbacks.first_stage import FirstStage
from lt_lightning.data.base import Batch, LongTailDataModule
from lt_lightning.errors import LtError
from lt_lightning.losses import CombinationFactory, CrossEntropy, LossFactory, MeanLogits
from lt_lightning.losses.priors import log_prior
from lt_lightning.models.backbones import BackboneFactory, BackboneName
from lt_lightning.models.classifiers import ClassifierName, ScaledClassifier, TauNormalised
from lt_lightning.models.experts import MultiExpert, NetworkFactory
from lt_lightning.modules.base import LongTailModule


class SecondStage(LongTailModule, ABC):
    """A frozen backbone, and classifiers of which something learns.

    Trunk and branches take no gradient and are in evaluation mode throughout: statistics of batch normalisation stay
    those of the first stage. The network must be that of the first stage. As batches are class-balanced, logits carry
    no training prior beside what the losses leave in them; ``offset`` says so.

    Args:
        class_counts: Training images of each class; the command takes them from the data.
        first_stage: A checkpoint (``.ckpt``) of a trained model, or a configuration (``.yaml``) that is trained first,
            on the same images, into the folder ``first_stage`` of the run.
        losses: One loss for each expert; their number is E.
        backbone: Name of the network, or a class of one's own.
        shared_stages: Stages that the experts share, from the input on; 0 makes independent networks.
        classifier: Last layer of each expert.
        combination: How the experts' logits become one prediction; the mean of raw logits by default.
        network: How experts share the backbone; by default each owns the stages that are not shared.

    Raises:
        LtError: Fitting starts with data that are not drawn class-balanced.
    """

    def __init__(
        self,
        class_counts: list[int],
        first_stage: str,
        losses: list[LossFactory] = [CrossEntropy],  # noqa: B006 - as in the base
        backbone: BackboneName | BackboneFactory = "resnet32",
        shared_stages: int = 0,
        classifier: ClassifierName = "linear",
        combination: CombinationFactory = MeanLogits,
        network: NetworkFactory = MultiExpert,
    ) -> None:
        super().__init__(class_counts, losses, backbone, shared_stages, classifier, combination, network)
        self.first_stage = first_stage
        self.offset += log_prior(torch.tensor(class_counts, dtype=torch.float32))
        self.net.requires_grad_(False)
        self.net.classifiers = nn.ModuleList(map(self.adapt, self.net.classifiers))
        self.train()

    @abstractmethod
    def adapt(self, classifier: nn.Module) -> nn.Module:
        """Make of a frozen classifier one of which something learns."""

    def start_from(self, net: MultiExpert) -> None:
        """Take over the first stage's trunk and branches.

        Raises:
            RuntimeError: The networks differ.
        """
        self.net.trunk.load_state_dict(net.trunk.state_dict())
        self.net.branches.load_state_dict(net.branches.state_dict())

    def train(self, mode: bool = True) -> Self:
        """Let classifiers train, and nothing else."""
        super().train(mode)
        self.net.trunk.eval()
        self.net.branches.eval()
        return self

    def configure_callbacks(self) -> list[Callback]:
        """The first stage's weights."""
        return [FirstStage(self.first_stage)]

    def on_fit_start(self) -> None:
        """Refuse batches that are not class-balanced: from them, logits would learn the training prior."""
        data: LongTailDataModule = self.trainer.datamodule  # type: ignore[attr-defined]
        if not data.order.is_balanced:
            what = "a second stage balances by class-balanced batches; from these it would learn the training prior"
            raise LtError(what, "data.order", "set it to ClassBalanced")

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """The experts' own losses on images ``(B, 3, H, W)``."""
        with torch.no_grad():
            features = self.net.features(batch["image"])
        return {"loss": self.skill(self.net.classify(features), batch["target"])}


class ClassifierRetraining(SecondStage):
    """cRT: classifiers learn anew, from their initialisation on [Kang et al., 2020].

    The paper retrains for 10 epochs after 90. Its code, unlike the text, leaves batch normalisation in training mode;
    see :class:`ShiftedRetraining`.
    """

    def adapt(self, classifier: nn.Module) -> nn.Module:
        """The classifier, which learns."""
        return classifier.requires_grad_(True)


class WeightScaling(SecondStage):
    """LWS: classifiers stay as the first stage left them, and one scale a class learns [Kang et al., 2020].

    The paper learns scales for 5 epochs after 90.
    """

    def adapt(self, classifier: nn.Module) -> nn.Module:
        """The classifier, frozen, and scales, which learn."""
        return ScaledClassifier(classifier, len(self.class_counts))

    def start_from(self, net: MultiExpert) -> None:
        """Take over the first stage's whole network.

        Raises:
            RuntimeError: The networks differ.
        """
        super().start_from(net)
        inner = nn.ModuleList(adapted.get_submodule("classifier") for adapted in self.net.classifiers)
        inner.load_state_dict(net.classifiers.state_dict())


class TauNormalisation(WeightScaling):
    """Scales of :class:`WeightScaling` that follow from the lengths of class vectors and one learnt number, tau.

    [Kang et al., 2020] choose tau on validation images, and where there are none learn it on training images drawn
    class-balanced (appendix B.5), as here; it starts at 0, the first stage without its bias. Each expert has its own.
    The classifier must be linear.
    """

    def adapt(self, classifier: nn.Module) -> nn.Module:
        """The classifier, frozen, and tau, which learns."""
        return TauNormalised(classifier)


class ShiftedRetraining(WeightScaling):
    """The second stage of MiSLAS: batch normalisation, classifiers and their scales adapt [Zhong et al., 2021].

    The backbone's weights are frozen, but it normalises by the class-balanced batch, and its statistics move to those
    of such batches. The classifiers go on from the first stage; with each, one scale a class learns. The paper's first
    stage is cross-entropy with mixup, its loss here label-aware smoothing. Its code gives classifiers a learning rate
    0.05 to 0.5 times that of the scales, here it is one for both; and shifts no statistics on CIFAR-10.
    """

    def adapt(self, classifier: nn.Module) -> nn.Module:
        """The classifier and scales, all of which learn."""
        return super().adapt(classifier).requires_grad_(True)

    def train(self, mode: bool = True) -> Self:
        """Let statistics of batch normalisation move, too."""
        super().train(mode)
        self.net.train(mode)
        return self
