import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import Trainer
from torch import Tensor
from torch.optim import SGD, Optimizer
from torchvision.transforms.v2 import MixUp

from lt_lightning.data import DigitsLT
from lt_lightning.errors import LtError
from lt_lightning.losses import CrossEntropy, LogitAdjustment, LossFactory
from lt_lightning.modules import SelfDistillation
from lt_lightning.modules.self_distillation import consistency

COUNTS = [20, 9, 3]


def head(counts: Tensor) -> LogitAdjustment:
    return LogitAdjustment(counts, tau=-0.5)


def tail(counts: Tensor) -> LogitAdjustment:
    return LogitAdjustment(counts, tau=2.5)


class Trained(SelfDistillation):
    """With an optimiser."""

    def configure_optimizers(self) -> Optimizer:
        return SGD(self.parameters(), lr=0.1)


def small(losses: list[LossFactory] = [head, LogitAdjustment, tail], **kwargs: Any) -> Trained:  # noqa: B006
    torch.manual_seed(0)
    return Trained(COUNTS, losses, backbone="resnet8", classifier="linear", **kwargs)


def batch(size: int = 12) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    image, view = torch.randn(2, size, 3, 8, 8, generator=generator)
    label = torch.arange(size) % 3
    return {"image": image, "views": [view], "target": label, "label": label, "seed": 1, "step_seed": 2}


def log_probabilities(row: list[float]) -> list[float]:
    largest = max(row)
    total = math.fsum(math.exp(x - largest) for x in row)
    return [x - largest - math.log(total) for x in row]


def slow(weak: Tensor, strong: Tensor, label: list[int]) -> float:
    """The formula, in loops."""
    total = 0.0
    for weak_rows, strong_rows in zip(weak.tolist(), strong.tolist(), strict=True):
        kept = []
        for w, s, c in zip(weak_rows, strong_rows, label, strict=True):
            if w.index(max(w)) == c:
                p, q = log_probabilities(w), log_probabilities(s)
                kept.append(math.fsum(math.exp(a) * (a - b) for a, b in zip(p, q, strict=True)))
        total += math.fsum(kept) / len(kept) if kept else 0.0
    return total


@given(
    seed=st.integers(0, 2**31),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(2, 5)),
    scale=st.sampled_from([1.0, 30.0, 1e4]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_consistency_is_its_formula(seed: int, shape: tuple[int, ...], scale: float, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(seed)
    weak, strong = (scale * torch.randn(2, *shape, generator=generator)).to(dtype)
    label = torch.randint(shape[-1], shape[1:2], generator=generator)
    strong.requires_grad_()
    loss = consistency(weak, strong, label)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(slow(weak, strong.detach(), label.tolist()), rel=1e-4, abs=1e-5)
    loss.backward()
    assert strong.grad is not None
    assert strong.grad.isfinite().all()


def test_only_what_an_expert_gets_right_counts_and_only_for_that_expert() -> None:
    weak, strong = torch.randn(2, 2, 3, 4, generator=torch.Generator().manual_seed(1))
    label = weak[0].argmax(-1)
    weak[1].scatter_(1, label.unsqueeze(1), -9.0)  # the second expert is always wrong
    strong.requires_grad_()
    loss = consistency(weak, strong, label)
    loss.backward()
    assert strong.grad is not None
    assert strong.grad[0].any()
    assert not strong.grad[1].any()
    torch.testing.assert_close(loss, consistency(weak[:1], strong[:1], label))


def test_where_no_expert_is_right_there_is_nothing_to_learn() -> None:
    strong = torch.randn(2, 3, 4, requires_grad=True)
    loss = consistency(torch.tensor([1.0, 0, 0, 0]).expand(2, 3, 4), strong, torch.full((3,), 2))
    loss.backward()
    assert loss == 0
    assert strong.grad is not None
    assert not strong.grad.any()


def test_the_weak_view_teaches_and_does_not_learn() -> None:
    weak, strong = torch.randn(2, 1, 8, 3).requires_grad_().unbind()
    loss = consistency(weak, strong, weak[0].argmax(-1))
    (gradient,) = torch.autograd.grad(loss, weak, allow_unused=True)
    assert gradient is None


def test_views_of_one_mind_differ_by_nothing() -> None:
    logits = torch.randn(3, 5, 4)
    assert consistency(logits, logits.clone(), logits[0].argmax(-1)) == 0


def test_the_step_is_its_formula() -> None:
    module, given = small(distill_weight=0.7).eval(), batch()
    with torch.no_grad():
        step, strong, weak = module.training_step(given, 0), module.net(given["image"]), module.net(given["views"][0])
    log_n = [math.log(n) for n in COUNTS]
    skill, adjusted = 0.0, []
    for logits in (strong, weak):
        offsets = [torch.tensor([tau * x for x in log_n]) for tau in (-0.5, 1.0, 2.5)]
        adjusted.append(torch.stack([z + offset for z, offset in zip(logits, offsets, strict=True)]))
        for rows in adjusted[-1].tolist():
            losses = [-log_probabilities(row)[c] for row, c in zip(rows, given["label"].tolist(), strict=True)]
            skill += sum(losses) / len(losses) / 2
    distill = slow(adjusted[1], adjusted[0], given["label"].tolist())
    assert distill > 0
    expected = {"loss": skill + 0.7 * distill, "skill": skill, "distill": distill}
    assert {name: value.item() for name, value in step.items()} == pytest.approx(expected, rel=1e-4)


def test_an_expert_is_right_in_the_prior_of_its_own_loss() -> None:
    """Raw logits of the tail's expert say class 2, with the offset of its loss class 0."""
    module = small([tail])
    (classifier,) = module.net.classifiers
    torch.nn.init.normal_(classifier.weight, std=1e-3)
    classifier.bias.data = torch.tensor([0.0, 0.0, 1.0])
    distill = [module.training_step({**batch(), "label": torch.full((12,), c)}, 0)["distill"] for c in range(3)]
    assert distill[0] > 0
    assert distill[1:] == [0, 0]


def test_batch_norm_sees_both_views_together() -> None:
    module, given = small(), batch()
    module.training_step(given, 0)
    together = small()
    together.net(torch.cat([given["image"], given["views"][0]]))
    torch.testing.assert_close(module.net.state_dict(), together.net.state_dict(), rtol=0, atol=0)


def test_of_mixed_images_the_view_keeps_its_hard_label() -> None:
    module, given = small([CrossEntropy]).eval(), batch()
    mixed = {**given, "target": torch.full((12, 3), 1 / 3)}
    with torch.no_grad():
        step, weak = module.training_step(mixed, 0), module.net(given["views"][0])
        skills = [module.skill(module.net(given["image"]), mixed["target"]), module.skill(weak, given["label"])]
    torch.testing.assert_close(step["skill"], sum(skills) / 2)
    torch.testing.assert_close(step["distill"], module.training_step(given, 0)["distill"])


def test_without_the_weight_the_parameters_learn_from_labels_alone() -> None:
    gradients = []
    for weight in (0.0, 0.6):
        module = small(distill_weight=weight)
        module.training_step(batch(), 0)["loss"].backward()
        assert all(p.grad is not None for p in module.parameters())  # else DDP would complain
        gradients.append(torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None]))
    module = small()
    both = module.net(torch.cat([batch()["image"], batch()["views"][0]]))
    module.skill(both, batch()["label"].repeat(2)).backward()
    labels = torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])
    torch.testing.assert_close(gradients[0], labels)
    assert not torch.allclose(gradients[1], labels)


@pytest.mark.parametrize("num_views", [0, 2])
def test_data_of_no_view_or_of_several_are_an_error(num_views: int, tmp_path: Path) -> None:
    data = DigitsLT(num_views=num_views)
    module = Trained(data.class_counts, [CrossEntropy], backbone="resnet8")
    trainer = Trainer(
        max_steps=1, logger=False, enable_checkpointing=False, accelerator="cpu", enable_progress_bar=False
    )
    with pytest.raises(LtError, match=f"one view of it, got {num_views}"):
        trainer.fit(module, datamodule=data)


def test_mixed_images_are_an_error() -> None:
    data = DigitsLT(num_views=1, mix=MixUp())
    module = Trained(data.class_counts, [CrossEntropy], backbone="resnet8")
    trainer = Trainer(
        max_steps=1, logger=False, enable_checkpointing=False, accelerator="cpu", enable_progress_bar=False
    )
    with pytest.raises(LtError, match="mixing would leave the one as it is"):
        trainer.fit(module, datamodule=data)
