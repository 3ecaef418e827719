"""Experts that look at different depths of one network.

- [Jin et al., 2023] Long-Tailed Visual Recognition via Self-Heterogeneous Integration with Knowledge Excavation
  (SHIKE). https://arxiv.org/abs/2304.01279
"""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate, chain, pairwise

from torch import Tensor, nn

from lt_lightning.models.backbones import BackboneFactory, BackboneName
from lt_lightning.models.classifiers import ClassifierName
from lt_lightning.models.experts import MultiExpert

RECTIFIED = (True, False, True)
"""Whether a ReLU follows the first, second and third convolution of a side path; so it is in the authors' code."""


class DepthExperts(MultiExpert):
    """Experts that share all but the last stages of a backbone, each with a side path from another depth of it.

    The side path of expert e begins after the shared stage ``1 + e % shared_stages``; strided convolutions bring it to
    the shape of the last stage, where it is multiplied, position by position, with what the expert's own stages make of
    the last shared one [Jin et al., 2023]. Shortcuts are the backbone's; for CIFAR, the authors' have parameters.

    Args:
        backbone: Name of the network, or a class of one's own.
        num_classes: C.
        num_experts: E.
        shared_stages: Stages that the experts share, with the stem; [Jin et al., 2023] share 2 of a CIFAR network's 3.
        classifier: Name of the last layer.

    Raises:
        ValueError: If there is no expert, or they share no stage, or all.
    """

    def __init__(
        self,
        backbone: BackboneName | BackboneFactory,
        num_classes: int,
        num_experts: int = 1,
        shared_stages: int = 2,
        classifier: ClassifierName = "linear",
    ) -> None:
        super().__init__(backbone, num_classes, num_experts, shared_stages, classifier)
        parts = chain(self.trunk.named_children(), self.branches[0].named_children())
        widths = [_width(part) for name, part in parts if name.startswith("layer")]
        if not 0 < shared_stages < len(widths):
            raise ValueError(
                f"shared_stages must be between 1 and {len(widths) - 1} for experts of different depth, "
                f"got {shared_stages}"
            )
        self.trunk = StageMaps(OrderedDict(self.trunk.named_children()), shared_stages)
        depths = [expert % shared_stages for expert in range(num_experts)]
        self.branches = nn.ModuleList(
            DepthBranch(branch, side_path(widths[depth:]), depth)
            for branch, depth in zip(self.branches, depths, strict=True)
        )


class StageMaps(nn.Sequential):
    """A stem and stages.

    Args:
        parts: Modules by name, of which the last are the stages.
        num_stages: How many they are.
    """

    def __init__(self, parts: "OrderedDict[str, nn.Module]", num_stages: int) -> None:
        super().__init__(parts)
        self.num_stages = num_stages

    def forward(self, image: Tensor) -> list[Tensor]:
        """``(B, 3, H, W)`` to the output of each stage."""
        return list(accumulate(self, lambda x, part: part(x), initial=image))[-self.num_stages :]


class DepthBranch(nn.Module):
    """What one expert owns.

    Args:
        branch: Its stages; pooling and flattening after them.
        side: Brings an earlier map to the shape of its last stage.
        depth: Which of the shared maps that is.
    """

    def __init__(self, branch: nn.Module, side: nn.Module, depth: int) -> None:
        super().__init__()
        *deep, pool, flatten = branch.children()
        self.deep, self.side, self.pool, self.depth = nn.Sequential(*deep), side, nn.Sequential(pool, flatten), depth

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Outputs of the shared stages to features ``(B, D)``."""
        features: Tensor = self.pool(self.deep(maps[-1]) * self.side(maps[self.depth]))
        return features


def side_path(widths: Sequence[int]) -> nn.Sequential:
    """Convolutions from each width to the next, each of which halves the image."""
    path = nn.Sequential()
    for (in_planes, planes), rectified in zip(pairwise(widths), RECTIFIED, strict=False):
        path.append(nn.Conv2d(in_planes, planes, kernel_size=3, stride=2, padding=1, bias=False))
        path.append(nn.BatchNorm2d(planes))
        path.append(nn.ReLU(inplace=True) if rectified else nn.Identity())
    return path


def _width(stage: nn.Module) -> int:
    """Channels of a stage's output."""
    return [module for module in stage.modules() if isinstance(module, nn.BatchNorm2d)][-1].num_features
