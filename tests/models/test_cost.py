from typing import Any

import pytest
import torch

from lt_lightning.models.cost import model_cost
from lt_lightning.models.experts import MultiExpert

CIFAR = [
    (("resnet8", 100), 81_140, 12_245_248),
    (("resnet20", 100), 275_572, 40_556_800),
    (("resnet32", 100), 470_004, 68_868_352),
    (("resnet56", 100), 858_868, 125_491_456),
    (("resnet32", 100, 3), 1_410_012, 206_605_056),  # three networks, as NCL has
    (("resnet32", 100, 3, 1), 1_362_364, 158_534_400),  # BalPoE
    (("resnet32_reduced", 100, 3, 1), 784_156, 100_358_208),  # RIDE, SADE
    (("resnet32_reduced", 100, 4, 1), 1_037_600, 125_799_168),
]
IMAGENET = [  # torchvision publishes 11,689,512; 25,557,032; 60,192,808 and 25,028,904 parameters
    (("resnet18", 1000), 11_689_512, 1_814_073_344),
    (("resnet50", 1000), 25_557_032, 4_089_184_256),
    (("resnet152", 1000), 60_192_808, 11_513_626_624),
    (("resnext50", 1000), 25_028_904, 4_230_479_872),
    (("resnet50_reduced", 1000, 3, 2), 43_680_248, 5_770_432_512),
    (("resnext50_reduced", 1000, 3, 2), 42_892_024, 6_050_113_536),
]


@pytest.mark.parametrize(
    ("arguments", "size", "parameters", "multiplications"),
    [(arguments, 32, *cost) for arguments, *cost in CIFAR] + [(arguments, 224, *cost) for arguments, *cost in IMAGENET],
)
def test_golden_costs(arguments: tuple[Any, ...], size: int, parameters: int, multiplications: int) -> None:
    with torch.device("meta"):
        net = MultiExpert(*arguments)
    assert model_cost(net, (3, size, size)) == (parameters, multiplications)


def test_the_model_stays_as_it_was() -> None:
    net = MultiExpert("resnet8", 5, 2, classifier="cosine").train()
    net.branches[1].eval()  # frozen by someone
    modes = [module.training for module in net.modules()]
    state, random = {name: value.clone() for name, value in net.state_dict().items()}, torch.get_rng_state()
    model_cost(net, (3, 8, 8))
    assert [module.training for module in net.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert all(parameter.grad is None for parameter in net.parameters())


def test_a_failure_restores_the_mode() -> None:
    net = MultiExpert("resnet8", 5)
    with pytest.raises(RuntimeError):
        model_cost(net, (4, 8, 8))
    assert net.training
    assert net.branches[0].training
