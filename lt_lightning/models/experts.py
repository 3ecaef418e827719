"""Several experts in one network.

- [Wang et al., 2021] Long-tailed Recognition by Routing Diverse Distribution-Aware Experts (RIDE).
  https://arxiv.org/abs/2010.01809
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lt_lightning.models.backbones import BACKBONES, BackboneFactory, BackboneName
from lt_lightning.models.classifiers import CLASSIFIERS, ClassifierName


class MultiExpert(nn.Module):
    """Experts that share the first stages of a backbone and own the rest, and a classifier, each.

    A single model is an ensemble of one; experts that share nothing are independent networks. These are initialised one
    after another, so from one seed the first of them is the network that ``num_experts=1`` gives.

    Args:
        backbone: Name of the network, or a class of one's own.
        num_classes: C.
        num_experts: E.
        shared_stages: Stages that the experts share, with the stem: 0 shares nothing. A CIFAR network has three, of
            which [Wang et al., 2021] share 1; an ImageNet network has four, of which they share 2.
        classifier: Name of the last layer.

    Raises:
        ValueError: If there is no expert, or the backbone has fewer stages than they should share.
    """

    def __init__(
        self,
        backbone: BackboneName | BackboneFactory,
        num_classes: int,
        num_experts: int = 1,
        shared_stages: int = 0,
        classifier: ClassifierName = "linear",
    ) -> None:
        super().__init__()
        if num_experts < 1:
            raise ValueError(f"num_experts must be at least 1, got {num_experts}")
        cut = BACKBONES[backbone](shared_stages) if isinstance(backbone, str) else backbone(shared_stages)
        self.trunk, self.num_features = cut.trunk, cut.num_features
        self.branches, self.classifiers = nn.ModuleList(), nn.ModuleList()
        for _ in range(num_experts):
            self.branches.append(cut.branch())
            self.classifiers.append(CLASSIFIERS[classifier](self.num_features, num_classes))

    @property
    def class_vectors(self) -> Tensor:
        """The classifiers' rows, ``(E, C, D)``."""
        return torch.stack([classifier.get_parameter("weight") for classifier in self.classifiers])

    def features(self, image: Tensor) -> Tensor:
        """``(B, 3, H, W)`` to ``(E, B, D)``."""
        shared = self.trunk(image)
        return torch.stack([branch(shared) for branch in self.branches])

    def classify(self, features: Tensor) -> Tensor:
        """``(E, B, D)`` to ``(E, B, C)``."""
        return torch.stack([classify(f) for classify, f in zip(self.classifiers, features, strict=True)])

    def forward(self, image: Tensor) -> Tensor:
        """``(B, 3, H, W)`` to ``(E, B, C)``."""
        return self.classify(self.features(image))


NetworkFactory = Callable[[BackboneName | BackboneFactory, int, int, int, ClassifierName], MultiExpert]
"""Builds a network from a backbone, C, E, shared stages and a classifier; in YAML, the name of a kind of network."""
