from typing import get_args

import pytest
import torch
from torch import Tensor

from lt_lightning.models.backbones import BACKBONES, BackboneName
from lt_lightning.models.experts import MultiExpert

CIFAR = ["resnet8", "resnet20", "resnet32", "resnet32_reduced", "resnet56"]
CUTS = [(name, shared) for name in BACKBONES for shared in range(4 if name in CIFAR else 5)]


def bare(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict by the names of the uncut network."""
    return {name.removeprefix("trunk.").removeprefix("branches.0."): value for name, value in state.items()}


def test_the_names_for_the_command_are_the_names_of_the_table() -> None:
    assert set(get_args(BackboneName)) == set(BACKBONES)


@pytest.mark.parametrize(("name", "shared_stages"), CUTS)
def test_every_cut_ends_in_features(name: str, shared_stages: int) -> None:
    with torch.device("meta"):
        cut = BACKBONES[name](shared_stages)
        image = torch.empty(2, 3, 32, 32)
        assert cut.branch()(cut.trunk(image)).shape == (2, cut.num_features)


@pytest.mark.parametrize(("name", "given", "largest"), [("resnet8", 4, 3), ("resnet18", 5, 4), ("resnet18", -1, 4)])
def test_a_cut_outside_the_network_is_an_error(name: str, given: int, largest: int) -> None:
    with pytest.raises(ValueError, match=f"between 0 and {largest} for this backbone, got {given}"):
        BACKBONES[name](given)


@pytest.mark.parametrize(
    ("name", "stages", "size"),
    [("resnet8", 3, 32), ("resnet32_reduced", 3, 16), ("resnet18", 4, 64), ("resnet50_reduced", 4, 64)],
)
def test_the_cut_does_not_change_the_function(name: BackboneName, stages: int, size: int) -> None:
    torch.manual_seed(0)
    image = torch.randn(2, 3, size, size)
    whole = MultiExpert(name, 5).eval()
    expected, weights = whole(image), bare(whole.state_dict())
    for shared_stages in range(1, stages + 1):
        net = MultiExpert(name, 5, shared_stages=shared_stages).eval()
        assert set(bare(net.state_dict())) == set(weights)
        net.load_state_dict(dict(zip(net.state_dict(), map(weights.get, bare(net.state_dict())), strict=True)))
        torch.testing.assert_close(net(image), expected, atol=0, rtol=0)


@pytest.mark.parametrize("shared_stages", [0, 1, 2])
def test_branches_are_fresh(shared_stages: int) -> None:
    branch = BACKBONES["resnet8"](shared_stages).branch
    first, second = branch().state_dict(), branch().state_dict()
    convolutions = [name for name in first if first[name].dim() == 4]
    assert convolutions
    assert not any(torch.equal(first[name], second[name]) for name in convolutions)


def test_an_uncut_backbone_uses_no_random_numbers_before_its_branches() -> None:
    state = torch.get_rng_state()
    BACKBONES["resnet8"](0)
    assert torch.equal(torch.get_rng_state(), state)
