"""torchvision's residual networks as chains of stages that end in features.

- [He et al., 2016] Deep Residual Learning for Image Recognition. https://arxiv.org/abs/1512.03385
- [Xie et al., 2017] Aggregated Residual Transformations for Deep Neural Networks. https://arxiv.org/abs/1611.05431
- [Wang et al., 2021] Long-tailed Recognition by Routing Diverse Distribution-Aware Experts (RIDE; the narrower last
  stages). https://arxiv.org/abs/2010.01809
"""

from collections import OrderedDict
from collections.abc import Callable

from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet


class ReducedResNet(ResNet):  # type: ignore[misc]  # torchvision ships no types
    """ResNet whose last two stages have three quarters of the width, 192 and 384 planes, as RIDE's experts have."""

    def _make_layer(
        self, block: type[BasicBlock | Bottleneck], planes: int, blocks: int, stride: int = 1, dilate: bool = False
    ) -> nn.Sequential:
        planes = planes if planes < 256 else planes * 3 // 4
        layer: nn.Sequential = super()._make_layer(block, planes, blocks, stride, dilate)
        return layer


def reduced_resnet50() -> ReducedResNet:
    """ResNet-50 with 1536 features."""
    return ReducedResNet(Bottleneck, [3, 4, 6, 3])


def reduced_resnext50() -> ReducedResNet:
    """ResNeXt-50 (32x4d) with 1536 features."""
    return ReducedResNet(Bottleneck, [3, 4, 6, 3], groups=32, width_per_group=4)


def headless(build: Callable[[], ResNet]) -> nn.Sequential:
    """A new torchvision network without its classifier: ``(B, 3, H, W)`` to features ``(B, D)``.

    The modules keep torchvision's names and initial weights, and they follow each other as in its forward pass.
    """
    modules = OrderedDict(build().named_children())
    del modules["fc"]
    return nn.Sequential(OrderedDict(modules, flatten=nn.Flatten()))
