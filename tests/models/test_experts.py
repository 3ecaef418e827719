import pytest
import torch

from lt_lightning.models.classifiers import ClassifierName
from lt_lightning.models.experts import MultiExpert


@pytest.mark.parametrize("num_experts", [1, 3])
@pytest.mark.parametrize("shared_stages", [0, 1, 3])
@pytest.mark.parametrize("classifier", ["linear", "cosine"])
def test_shapes(num_experts: int, shared_stages: int, classifier: ClassifierName) -> None:
    net, image = MultiExpert("resnet8", 5, num_experts, shared_stages, classifier), torch.randn(2, 3, 8, 8)
    features = net.features(image)
    assert features.shape == (num_experts, 2, 64)
    assert net.classify(features).shape == net(image).shape == (num_experts, 2, 5)


def test_forward_is_each_expert_by_itself() -> None:
    net, image = MultiExpert("resnet8", 5, 3, shared_stages=1).eval(), torch.randn(2, 3, 8, 8)
    for logits, branch, classifier in zip(net(image), net.branches, net.classifiers, strict=True):
        torch.testing.assert_close(logits, classifier(branch(net.trunk(image))), atol=0, rtol=0)


def test_independent_networks_are_initialised_one_after_another() -> None:
    torch.manual_seed(0)
    together = MultiExpert("resnet8", 5, num_experts=3)
    torch.manual_seed(0)
    alone = [MultiExpert("resnet8", 5) for _ in range(3)]
    image = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(together(image), torch.cat([net(image) for net in alone]), atol=0, rtol=0)


@pytest.mark.parametrize("shared_stages", [0, 1])
def test_an_expert_learns_from_its_own_logits_only(shared_stages: int) -> None:
    net = MultiExpert("resnet8", 5, 2, shared_stages)
    net(torch.randn(2, 3, 8, 8))[0].sum().backward()
    for module in (net.trunk, net.branches[0], net.classifiers[0]):
        assert all(parameter.grad is not None for parameter in module.parameters())
    for module in (net.branches[1], net.classifiers[1]):
        assert all(parameter.grad is None or not parameter.grad.any() for parameter in module.parameters())


def test_branches_leave_the_shared_features_alone() -> None:
    net, image = MultiExpert("resnet18", 5, 2, shared_stages=2).eval(), torch.randn(1, 3, 32, 32)
    shared = net.trunk(image)
    before = shared.clone()
    net.branches[0](shared)
    assert torch.equal(shared, before)


@pytest.mark.parametrize("classifier", ["linear", "cosine"])
def test_bfloat16_autocast_is_close_to_float32(classifier: ClassifierName) -> None:
    torch.manual_seed(0)
    net, image = MultiExpert("resnet8", 5, 2, classifier=classifier).eval(), torch.randn(4, 3, 16, 16)
    expected = net(image)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = net(image).float()
    torch.testing.assert_close(logits, expected, atol=0.05 * expected.abs().max().item(), rtol=0)


def test_an_ensemble_of_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        MultiExpert("resnet8", 5, num_experts=0)
