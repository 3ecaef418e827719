from functools import partial
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torchvision.transforms.v2 import MixUp

from lt_lightning.data import DigitsLT
from lt_lightning.errors import LtError
from lt_lightning.losses import (
    BalancedContrast,
    ContrastiveTerm,
    CrossEntropy,
    ExpertViews,
    ParametricContrast,
    ProbabilisticContrast,
    SupCon,
    SupSiam,
)
from lt_lightning.modules import ContrastiveExperts, Teacher
from lt_lightning.optimizers import SAM

COUNTS = [20, 9, 3]


class Nothing(ContrastiveTerm):
    """No contrast: SADE."""

    def forward(self, views: ExpertViews) -> Tensor:
        return 0 * views.features.sum()


class Seen(ContrastiveTerm):
    """Keeps what it is given."""

    def forward(self, views: ExpertViews) -> Tensor:
        self.views = views
        return views.features.sum() * 0


def small(contrast: Any = SupSiam, **kwargs: Any) -> ContrastiveExperts:
    torch.manual_seed(0)
    return ContrastiveExperts(COUNTS, contrast=contrast, backbone="resnet8", classifier="linear", **kwargs)


def batch(num_views: int = 2, size: int = 6) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    image, *views = (torch.randn(size, 3, 8, 8, generator=generator) for _ in range(1 + num_views))
    label = torch.arange(size) % 3
    return {"image": image, "views": views, "target": label, "label": label, "seed": 1, "step_seed": 2}


def test_without_contrast_it_is_sade() -> None:
    experts = small(Nothing, skill_weight=1.0)
    sade = Teacher(COUNTS, [CrossEntropy, *type_of(experts)[1:]], backbone="resnet8", shared_stages=1)
    sade.load_state_dict(experts.state_dict())
    values = [module.training_step(batch(), 0)["loss"] for module in (experts, sade)]
    torch.testing.assert_close(*values)


def type_of(module: ContrastiveExperts) -> list[Any]:
    return [type(loss) for loss in module.losses]


def test_the_loss_is_the_weighted_sum_of_its_parts() -> None:
    step = small(skill_weight=0.3, contrast_weight=0.7).training_step(batch(), 0)
    torch.testing.assert_close(step["loss"].detach(), 0.3 * step["skill"] + 0.7 * step["contrast"])


@pytest.mark.parametrize(("num_views", "seen"), [(0, 1), (1, 1), (2, 2), (3, 3)])
def test_terms_see_the_further_views_or_else_the_images(num_views: int, seen: int) -> None:
    module = small(Seen).eval()
    given = batch(num_views)
    module.training_step(given, 0)
    views = module.contrast.views
    assert views.features.shape == (3, seen, 6, 64)
    assert views.logits.shape == (3, seen, 6, 3)
    assert views.seed == 2
    first = given["views"][0] if num_views else given["image"]
    torch.testing.assert_close(views.features[:, 0], module.net.features(first))
    torch.testing.assert_close(views.logits[:, 0], module.net(first))
    torch.testing.assert_close(views.class_vectors[1], module.net.classifiers[1].weight)


@pytest.mark.parametrize("contrast", [SupSiam, SupCon, BalancedContrast])
def test_every_parameter_learns(contrast: Any) -> None:
    """Else DDP would complain."""
    module = small(contrast)
    module.training_step(batch(), 0)["loss"].backward()
    assert all(p.grad is not None for p in module.parameters())


def test_heads_are_no_part_of_the_net_that_predicts() -> None:
    module = small()
    called: list[str] = []
    for name, part in module.contrast.named_modules():
        if isinstance(part, nn.Linear):
            part.register_forward_hook(lambda *_, name=name: called.append(name))
    module(batch()["image"])
    assert called == []
    module.training_step(batch(), 0)
    assert called


def test_views_are_compared_under_their_hard_labels_whatever_is_mixed() -> None:
    module = small()
    mixed = batch()
    mixed["target"] = torch.eye(3)[mixed["label"]] * 0.7 + 0.1
    assert module.training_step(mixed, 0)["contrast"] == module_contrast(batch())


class Trained(ContrastiveExperts):
    """With an optimiser."""

    def configure_optimizers(self) -> Optimizer:
        return SGD(self.parameters(), lr=0.1)


class Climbing(ContrastiveExperts):
    """With an optimiser that takes each loss twice."""

    def configure_optimizers(self) -> Optimizer:
        return SAM(self.parameters(), lr=0.1)


def fit(data: DigitsLT, kind: type[ContrastiveExperts] = Trained, contrast: Any = SupSiam) -> None:
    module = kind(data.class_counts, backbone="resnet8", contrast=contrast)
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    Trainer(max_steps=1, limit_val_batches=0, enable_checkpointing=False, accelerator="cpu", **quiet).fit(
        module, datamodule=data
    )


def test_mixed_images_are_an_error_where_they_are_compared_themselves() -> None:
    with pytest.raises(LtError, match="of no single class"):
        fit(DigitsLT(batch_size=16, num_views=0, mix=MixUp()))
    fit(DigitsLT(batch_size=16, num_views=0))
    fit(DigitsLT(batch_size=16, num_views=1, mix=MixUp()))


REMEMBERING = {
    "SupCon": partial(SupCon, memory=1),
    "BalancedContrast": partial(BalancedContrast, memory=1),
    "SupSiam": partial(SupSiam, memory=1),
    "ParametricContrast": partial(ParametricContrast, queue=1),
    "ProbabilisticContrast": ProbabilisticContrast,
}


@pytest.mark.parametrize("name", REMEMBERING)
def test_what_is_remembered_is_an_error_with_an_optimiser_that_takes_each_loss_twice(name: str) -> None:
    with pytest.raises(LtError, match=f"and {name} would remember it twice"):
        fit(DigitsLT(batch_size=16, num_views=2), Climbing, REMEMBERING[name])


@pytest.mark.parametrize("contrast", [SupCon, BalancedContrast, SupSiam, partial(ParametricContrast, queue=0)])
def test_without_a_memory_each_loss_may_be_taken_twice(contrast: Any) -> None:
    fit(DigitsLT(batch_size=16, num_views=2), Climbing, contrast)


def module_contrast(given: dict[str, Any]) -> Tensor:
    return small().training_step(given, 0)["contrast"]
