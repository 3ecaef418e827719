"""Residual networks for small images.

- [He et al., 2016] Deep Residual Learning for Image Recognition, section 4.2. https://arxiv.org/abs/1512.03385
- [He et al., 2015] Delving Deep into Rectifiers (the initialisation). https://arxiv.org/abs/1502.01852
- [Wang et al., 2021] Long-tailed Recognition by Routing Diverse Distribution-Aware Experts (RIDE; the widths 16, 24,
  48). https://arxiv.org/abs/2010.01809
"""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock


class PaddedShortcut(nn.Module):
    """Shortcut without parameters, option A of [He et al., 2016]: every second pixel, zero channels before and after.

    Args:
        in_planes: Channels of the input.
        planes: Channels of the output; half of what is missing goes to either side.
    """

    def __init__(self, in_planes: int, planes: int) -> None:
        super().__init__()
        self.pad = (planes - in_planes) // 2

    def forward(self, x: Tensor) -> Tensor:
        """``(B, in_planes, H, W)`` to ``(B, planes, H / 2, W / 2)``, rounded up."""
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))


def stage(in_planes: int, planes: int, blocks: int) -> nn.Sequential:
    """Basic blocks of one width; where the width changes, the first block halves the image."""
    first = (
        BasicBlock(in_planes, planes)
        if in_planes == planes
        else BasicBlock(in_planes, planes, stride=2, downsample=PaddedShortcut(in_planes, planes))
    )
    return nn.Sequential(first, *(BasicBlock(planes, planes) for _ in range(blocks - 1)))


def resnet_cifar(blocks: int, widths: tuple[int, int, int] = (16, 32, 64)) -> nn.Sequential:
    """Residual network of depth ``6 * blocks + 2``: ``(B, 3, H, W)`` to features ``(B, widths[2])``.

    Convolutions start from a normal distribution with variance ``2 / fan_in`` [He et al., 2015].

    Args:
        blocks: Basic blocks in each of the three stages.
        widths: Channels of the stages.
    """
    network = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, widths[0], kernel_size=3, padding=1, bias=False),
            bn1=nn.BatchNorm2d(widths[0]),
            relu=nn.ReLU(inplace=True),
            layer1=stage(widths[0], widths[0], blocks),
            layer2=stage(widths[0], widths[1], blocks),
            layer3=stage(widths[1], widths[2], blocks),
            avgpool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
        )
    )
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return network
