import pytest
import torch
from torch import Tensor, nn

from lt_lightning.models.backbones import BackboneName
from lt_lightning.models.classifiers import ClassifierName
from lt_lightning.models.cost import model_cost
from lt_lightning.models.depth_experts import DepthExperts
from lt_lightning.models.experts import MultiExpert


def learnt(module: nn.Module) -> set[bool]:
    """Whether parameters have gradients: of all, of none, or of some."""
    return {parameter.grad is not None and bool(parameter.grad.any()) for parameter in module.parameters()}


@pytest.mark.parametrize("backbone", ["resnet8", "resnet20", "resnet32", "resnet32_reduced", "resnet56"])
@pytest.mark.parametrize("shared_stages", [1, 2])
def test_every_cifar_backbone(backbone: BackboneName, shared_stages: int) -> None:
    net, image = DepthExperts(backbone, 5, 3, shared_stages), torch.randn(2, 3, 9, 9)  # an odd size is rounded up
    features = net.features(image)
    assert features.shape == (3, 2, net.num_features)
    assert net.classify(features).shape == net(image).shape == (3, 2, 5)
    assert net.class_vectors.shape == (3, 5, net.num_features)


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50_reduced"])
@pytest.mark.parametrize("shared_stages", [1, 3])
def test_imagenet_backbones(backbone: BackboneName, shared_stages: int) -> None:
    with torch.device("meta"):
        assert DepthExperts(backbone, 5, 4, shared_stages)(torch.randn(2, 3, 70, 70)).shape == (4, 2, 5)


@pytest.mark.parametrize("classifier", ["linear", "cosine"])
def test_an_expert_multiplies_its_own_stage_and_what_an_earlier_one_says(classifier: ClassifierName) -> None:
    """As in the authors' code for three experts: side paths begin after stages 1, 2 and 1."""
    torch.manual_seed(0)
    net, image = DepthExperts("resnet8", 5, 3, 2, classifier).eval(), torch.randn(2, 3, 8, 8)
    stem = net.trunk.relu(net.trunk.bn1(net.trunk.conv1(image)))
    first = net.trunk.layer1(stem)
    second = net.trunk.layer2(first)
    for expert, start in enumerate([first, second, first]):
        branch = net.branches[expert]
        convolutions = [module for module in branch.side if isinstance(module, nn.Conv2d)]
        norms = [module for module in branch.side if isinstance(module, nn.BatchNorm2d)]
        side = norms[0](convolutions[0](start)).relu()
        for convolution, norm in zip(convolutions[1:], norms[1:], strict=True):
            side = norm(convolution(side))
        fused = branch.deep(second) * side
        torch.testing.assert_close(net.features(image)[expert], fused.mean((2, 3)))
        torch.testing.assert_close(net(image)[expert], net.classifiers[expert](fused.mean((2, 3))))
    assert [len(list(branch.side.children())) // 3 for branch in net.branches] == [2, 1, 2]


@pytest.mark.parametrize("expert", [0, 1, 2])
def test_an_expert_learns_from_its_own_logits_only(expert: int) -> None:
    torch.manual_seed(0)
    net = DepthExperts("resnet8", 5, 3, 2)
    net(torch.randn(4, 3, 8, 8))[expert].square().sum().backward()
    assert learnt(net.trunk) == {True}
    for other in range(3):
        for parts in (net.branches, net.classifiers):
            assert learnt(parts[other]) == {other == expert}


def test_experts_share_the_trunk_and_nothing_else() -> None:
    net = DepthExperts("resnet8", 5, 3, 2)
    branches = [{id(p) for p in branch.parameters()} for branch in net.branches]
    trunk = {id(p) for p in net.trunk.parameters()}
    assert sum(map(len, branches)) == len(set.union(*branches))
    assert trunk.isdisjoint(set.union(*branches))
    assert [name for name, _ in net.trunk.named_children()] == ["conv1", "bn1", "relu", "layer1", "layer2"]


def test_one_expert() -> None:
    net = DepthExperts("resnet8", 5, shared_stages=2)
    assert net(torch.randn(2, 3, 8, 8)).shape == (1, 2, 5)


def test_branches_leave_the_shared_maps_alone() -> None:
    net, image = DepthExperts("resnet8", 5, 3, 2).eval(), torch.randn(2, 3, 8, 8)
    maps: list[Tensor] = net.trunk(image)
    before = [x.clone() for x in maps]
    for branch in net.branches:
        branch(maps)
    assert all(torch.equal(x, y) for x, y in zip(maps, before, strict=True))


def test_golden_costs() -> None:
    """The authors' network: 1,277,008 parameters, of these shortcuts 7,104, classifiers of a second stage 19,200."""
    with torch.device("meta"):
        net = DepthExperts("resnet32", 100, 3, 2)
    biases = 300
    assert model_cost(net, (3, 32, 32)) == (1_277_008 - 7_104 - 19_200 + biases, 119_606_016)


def test_side_paths_are_all_that_is_added() -> None:
    with torch.device("meta"):
        plain, deep = (kind("resnet32", 100, 3, 2) for kind in (MultiExpert, DepthExperts))
    (parameters, macs), (more_parameters, more_macs) = (model_cost(net, (3, 32, 32)) for net in (plain, deep))
    first, second = 9 * 16 * 32, 9 * 32 * 64
    assert more_parameters - parameters == 2 * (first + 64 + second + 128) + second + 128
    assert more_macs - macs == 2 * (first * 16**2 + second * 8**2) + second * 8**2


def test_bfloat16_autocast_is_close_to_float32() -> None:
    torch.manual_seed(0)
    net, image = DepthExperts("resnet8", 5, 2, 2).eval(), torch.randn(4, 3, 16, 16)
    expected = net(image)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = net(image).float()
    torch.testing.assert_close(logits, expected, atol=0.05 * expected.abs().max().item(), rtol=0)


@pytest.mark.parametrize(
    ("backbone", "shared_stages", "most"), [("resnet8", 0, 2), ("resnet8", 3, 2), ("resnet18", 4, 3)]
)
def test_nothing_shared_or_everything_is_an_error(backbone: BackboneName, shared_stages: int, most: int) -> None:
    with torch.device("meta"), pytest.raises(ValueError, match=f"between 1 and {most} .* got {shared_stages}"):
        DepthExperts(backbone, 5, 3, shared_stages)
