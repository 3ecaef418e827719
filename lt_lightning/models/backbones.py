"""Backbones by name, cut where experts part ways.

- [Wang et al., 2021] Long-tailed Recognition by Routing Diverse Distribution-Aware Experts (RIDE): experts share the
  first stages and own the last two. https://arxiv.org/abs/2010.01809
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import nn
from torchvision.models import resnet

from lt_lightning.models.resnet import headless, reduced_resnet50, reduced_resnext50
from lt_lightning.models.resnet_cifar import resnet_cifar


class Backbone:
    """A network, cut after its stem and ``shared_stages`` stages.

    A subclass that takes ``shared_stages`` alone is a backbone of one's own; a configuration names it.

    Args:
        network: Builds the network, whose stages are named ``layer1``, ``layer2``, ...; it ends in features ``(B, D)``.
        num_stages: How many stages it has.
        num_features: D, the length of its features.
        shared_stages: Stages in the trunk; with 0 the stem belongs to the branch as well.

    Attributes:
        trunk: What the experts share; the identity when they share nothing.
        branch: Each call builds a freshly initialised branch, which ends in features ``(B, D)``.
        num_features: D.

    Raises:
        ValueError: If the network has fewer stages than it should share.
    """

    def __init__(
        self, network: Callable[[], nn.Sequential], num_stages: int, num_features: int, shared_stages: int
    ) -> None:
        if not 0 <= shared_stages <= num_stages:
            raise ValueError(f"shared_stages must be between 0 and {num_stages} for this backbone, got {shared_stages}")
        self.trunk: nn.Module = nn.Identity()
        self.branch: Callable[[], nn.Module] = network
        self.num_features = num_features
        if shared_stages > 0:
            whole = network()
            end = [name for name, _ in whole.named_children()].index(f"layer{shared_stages}") + 1
            self.trunk, self.branch = whole[:end], lambda: network()[end:]


BackboneFactory = Callable[[int], Backbone]
"""Builds a backbone from ``shared_stages``; in YAML, the name of a class."""

BackboneName = Literal[
    "resnet8",
    "resnet20",
    "resnet32",
    "resnet32_reduced",
    "resnet56",
    "resnet18",
    "resnet50",
    "resnet50_reduced",
    "resnet152",
    "resnext50",
    "resnext50_reduced",
]

BACKBONES: dict[str, BackboneFactory] = {
    "resnet8": partial(Backbone, partial(resnet_cifar, 1), 3, 64),
    "resnet20": partial(Backbone, partial(resnet_cifar, 3), 3, 64),
    "resnet32": partial(Backbone, partial(resnet_cifar, 5), 3, 64),
    "resnet32_reduced": partial(Backbone, partial(resnet_cifar, 5, (16, 24, 48)), 3, 48),
    "resnet56": partial(Backbone, partial(resnet_cifar, 9), 3, 64),
    "resnet18": partial(Backbone, partial(headless, resnet.resnet18), 4, 512),
    "resnet50": partial(Backbone, partial(headless, resnet.resnet50), 4, 2048),
    "resnet50_reduced": partial(Backbone, partial(headless, reduced_resnet50), 4, 1536),
    "resnet152": partial(Backbone, partial(headless, resnet.resnet152), 4, 2048),
    "resnext50": partial(Backbone, partial(headless, resnet.resnext50_32x4d), 4, 2048),
    "resnext50_reduced": partial(Backbone, partial(headless, reduced_resnext50), 4, 1536),
}
"""A function of ``shared_stages`` for each name."""
