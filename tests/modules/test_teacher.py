from typing import Any

import pytest
import torch
from torch import Tensor

from lt_lightning.losses import BalancedSoftmax, CrossEntropy, EnsembleTerm
from lt_lightning.models.depth_experts import DepthExperts
from lt_lightning.models.experts import MultiExpert, NetworkFactory
from lt_lightning.modules import Teacher

COUNTS = [20, 9, 3]


class Spread(EnsembleTerm):
    """How far experts are apart."""

    def __init__(self, class_counts: Tensor, weight: float = 2.0) -> None:
        super().__init__(class_counts)
        self.weight = weight * class_counts[0]

    def forward(self, expert_logits: Tensor, offset: Tensor, target: Tensor) -> Tensor:
        assert offset.shape == (len(expert_logits), 3)
        assert target.shape == (4,)
        return self.weight * expert_logits.var(0).mean()


def step(**kwargs: Any) -> Tensor:
    torch.manual_seed(0)
    module = Teacher(COUNTS, [CrossEntropy, BalancedSoftmax], backbone="resnet8", **kwargs)
    image, target = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])
    loss: Tensor = module.training_step({"image": image, "target": target}, 0)["loss"]  # type: ignore[typeddict-item]
    return loss


def test_the_loss_is_the_experts_own_and_the_terms() -> None:
    skill, both = step(), step(terms=[Spread])
    assert both > skill
    torch.testing.assert_close(step(terms=[Spread, Spread]) - both, both - skill)


def test_a_third_of_the_sum_is_the_mean_of_three() -> None:
    torch.testing.assert_close(step(skill_weight=0.5), step() / 2)


def test_what_lightning_says_of_each_hook_is_no_parameter_to_be_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    module, looked_for = Teacher(COUNTS, backbone="resnet8"), list[str]()
    monkeypatch.setattr(torch.nn.Module, "__setattr__", lambda self, name, value: looked_for.append(name))
    module._current_fx_name = "training_step"
    module.weight = torch.nn.Parameter(torch.zeros(1))
    assert looked_for == ["weight"]
    assert module._current_fx_name == "training_step"


@pytest.mark.parametrize(("network", "shared_stages"), [(MultiExpert, 0), (MultiExpert, 1), (DepthExperts, 1)])
def test_weights_and_gradients_lie_in_memory_as_images_do(network: NetworkFactory, shared_stages: int) -> None:
    """Else a GPU turns each weight in each step, and copies each gradient that lies otherwise than its weight."""
    losses = [CrossEntropy] * 3
    module = Teacher(COUNTS, losses, backbone="resnet8", network=network, shared_stages=shared_stages)
    image = torch.randn(4, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    batch: Any = {"image": image, "target": torch.tensor([0, 1, 2, 0])}
    module.training_step(batch, 0)["loss"].backward()  # type: ignore[no-untyped-call]
    convolutions = [p for p in module.parameters() if p.ndim == 4]
    assert len(convolutions) > 9
    for weight in convolutions:
        assert weight.is_contiguous(memory_format=torch.channels_last)
        assert weight.grad is not None
        assert weight.grad.stride() == weight.stride()
