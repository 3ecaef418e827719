from collections.abc import Callable

import pytest
import torch
from torchvision.models import resnet

from lt_lightning.models.resnet import headless, reduced_resnet50, reduced_resnext50


@pytest.mark.parametrize("build", [resnet.resnet18, resnet.resnet50, resnet.resnext50_32x4d])
def test_headless_is_torchvisions_network_from_one_seed(build: Callable[[], resnet.ResNet]) -> None:
    torch.manual_seed(0)
    expected = build().eval()
    expected.fc = torch.nn.Identity()
    torch.manual_seed(0)
    network = headless(build).eval()
    image = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(network(image), expected(image), atol=1e-5, rtol=0)
    expected.load_state_dict(network.state_dict())  # the names are torchvision's too


@pytest.mark.parametrize("build", [reduced_resnet50, reduced_resnext50])
def test_reduced_networks_narrow_the_last_two_stages_only(build: Callable[[], resnet.ResNet]) -> None:
    with torch.device("meta"):
        network = headless(build)
        widths = [stage(x).shape[1] for stage, x in zip(network[4:8], map(inputs, (64, 256, 512, 768)), strict=True)]
    assert widths == [256, 512, 768, 1536]


def inputs(channels: int) -> torch.Tensor:
    return torch.empty(1, channels, 8, 8)


def test_reduced_layers_start_as_torchvisions_do() -> None:
    weight = reduced_resnet50().layer4[1].conv2.weight
    fan_out = weight.shape[0] * 9
    assert weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.01)
