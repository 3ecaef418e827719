import pytest
import torch
from torch import Tensor, nn

from lt_lightning.models.resnet_cifar import PaddedShortcut, resnet_cifar


def slow_shortcut(x: Tensor, planes: int) -> Tensor:
    batch, channels, height, width = x.shape
    out = torch.zeros(batch, planes, (height + 1) // 2, (width + 1) // 2)
    for channel in range(channels):
        for row in range(0, height, 2):
            for column in range(0, width, 2):
                out[:, channel + (planes - channels) // 2, row // 2, column // 2] = x[:, channel, row, column]
    return out


@pytest.mark.parametrize(("in_planes", "planes"), [(16, 32), (32, 64), (16, 24), (24, 48)])
@pytest.mark.parametrize("size", [8, 7])
def test_shortcut_is_option_a(in_planes: int, planes: int, size: int) -> None:
    x = torch.randn(2, in_planes, size, size)
    torch.testing.assert_close(PaddedShortcut(in_planes, planes)(x), slow_shortcut(x, planes), atol=0, rtol=0)
    if planes == 2 * in_planes:
        assert PaddedShortcut(in_planes, planes).pad == planes // 4


@pytest.mark.parametrize("widths", [(16, 32, 64), (16, 24, 48)])
@pytest.mark.parametrize("size", [8, 16, 32])
def test_stages_have_their_widths_and_halve_the_image(widths: tuple[int, int, int], size: int) -> None:
    network, x = resnet_cifar(1, widths), torch.randn(2, 3, size, size)
    x = network[:4](x)
    assert x.shape == (2, widths[0], size, size)
    x = network.layer2(x)
    assert x.shape == (2, widths[1], size // 2, size // 2)
    x = network.layer3(x)
    assert x.shape == (2, widths[2], size // 4, size // 4)
    assert network[6:](x).shape == (2, widths[2])


@pytest.mark.parametrize("blocks", [1, 3, 5, 9])
def test_depth_counts_the_convolutions_and_the_classifier(blocks: int) -> None:
    convolutions = [module for module in resnet_cifar(blocks).modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) + 1 == 6 * blocks + 2
    assert all(convolution.bias is None for convolution in convolutions)


def test_convolutions_start_with_variance_two_over_fan_in() -> None:
    weight = resnet_cifar(1).layer3[0].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)


@pytest.mark.parametrize("widths", [(16, 32, 64), (16, 24, 48)])
def test_channels_last_stays_channels_last(widths: tuple[int, int, int]) -> None:
    network, kept = resnet_cifar(2, widths).to(memory_format=torch.channels_last), []
    for module in network.modules():
        module.register_forward_hook(
            lambda _, inputs, output: (
                kept.append(output.is_contiguous(memory_format=torch.channels_last)) if output.dim() == 4 else None
            )
        )
    network(torch.randn(2, 3, 32, 32).to(memory_format=torch.channels_last))
    assert len(kept) > 30
    assert all(kept)
