from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torch.optim import SGD, Optimizer

from lt_lightning.callbacks import DistillationTargets
from lt_lightning.checkpoints import read_checkpoint
from lt_lightning.commands import main
from lt_lightning.data import Batch, DigitsLT
from lt_lightning.errors import LtError
from lt_lightning.losses import (
    BalancedSoftmax,
    CrossEntropy,
    Distillation,
    EnsembleDistillation,
    EnsembleTerm,
    InverseSoftmax,
    LossFactory,
    MemberDistillation,
)
from lt_lightning.losses.priors import log_prior
from lt_lightning.modules import LongTailModule, StudentEnsemble, Teacher

CONFIG = Path(__file__).parents[2] / "configs" / "teacher.yaml"
COUNTS = [14, 9, 6, 3]
SKILLS: list[LossFactory] = [CrossEntropy, BalancedSoftmax, InverseSoftmax]


def sgd(module: LongTailModule) -> SGD:
    return SGD(module.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)


def images() -> Batch:
    """The first images of four digits, long-tailed, in no order, as a training step gets them."""
    data = DigitsLT(imbalance_factor=1.0).dataset("train")
    chosen = torch.cat([torch.nonzero(data.target == c)[:n, 0] for c, n in enumerate(COUNTS)])
    chosen = chosen[torch.randperm(32, generator=torch.Generator().manual_seed(0))]
    return {"image": data.image[chosen].permute(0, 3, 1, 2) / 255, "target": data.target[chosen], "seed": 0}


def taught(batch: Batch, logits: Tensor) -> Batch:
    return {**batch, "teacher_logits": logits, "teacher_offset": log_prior(torch.tensor(COUNTS))}


def students(losses: list[LossFactory] = SKILLS, **kwargs: Any) -> StudentEnsemble:
    return StudentEnsemble(COUNTS, "not loaded here", losses, backbone="resnet8", **kwargs)


def train(module: LongTailModule, batches: list[Batch]) -> None:
    optimizer = sgd(module)
    for step, batch in enumerate(batches):
        optimizer.zero_grad()
        module.training_step(batch, step)["loss"].backward()
        optimizer.step()


def together_and_alone(**kwargs: Any) -> tuple[StudentEnsemble, list[StudentEnsemble]]:
    """An ensemble and its students in ensembles of one, after the same steps from the same weights."""
    torch.manual_seed(0)
    together, alone = students(**kwargs), [students([loss], **kwargs) for loss in SKILLS]
    for s, single in enumerate(alone):
        single.net.branches[0].load_state_dict(together.net.branches[s].state_dict())
        single.net.classifiers[0].load_state_dict(together.net.classifiers[s].state_dict())
    batches = [taught({**images(), "image": torch.randn(32, 3, 8, 8)}, 3 * torch.randn(32, 4)) for _ in range(4)]
    for module in (together, *alone):
        train(module, batches)
    return together, alone


def largest_difference(together: StudentEnsemble, alone: list[StudentEnsemble]) -> float:
    """Over weights and running statistics of all students."""
    differences = []
    for s, single in enumerate(alone):
        for parts, part in (
            (together.net.branches, single.net.branches[0]),
            (together.net.classifiers, single.net.classifiers[0]),
        ):
            theirs = part.state_dict()
            differences += [(value - theirs[name]).abs().max().item() for name, value in parts[s].state_dict().items()]
    return max(differences)


def test_without_distillation_joint_training_is_separate_training_bit_for_bit() -> None:
    assert largest_difference(*together_and_alone(skill_weight=1.0, distill_weight=0.0)) == 0


def test_member_wise_distillation_keeps_students_separate() -> None:
    assert largest_difference(*together_and_alone(distillation=MemberDistillation())) < 1e-6


def test_distilling_the_ensemble_couples_students() -> None:
    assert largest_difference(*together_and_alone(distillation=EnsembleDistillation())) > 1e-3


@pytest.mark.parametrize("distillation", [MemberDistillation(), EnsembleDistillation()])
def test_the_loss_is_the_weighted_sum_of_its_parts(distillation: Distillation) -> None:
    module = students(distillation=distillation, skill_weight=0.3, distill_weight=2.0).eval()
    batch = taught(images(), torch.randn(32, 4))
    out, logits = module.training_step(batch, 0), module.net(batch["image"])
    counts = torch.tensor(COUNTS)
    skill = sum(loss(counts)(z, batch["target"]).item() for loss, z in zip(SKILLS, logits, strict=True))
    offsets = torch.stack([loss(counts).offset for loss in SKILLS])
    distill = distillation(logits, offsets, batch["teacher_logits"], batch["teacher_offset"]).item()
    expected = {"loss": 0.3 * skill + 2.0 * distill, "skill": skill, "distill": distill}
    assert {name: value.item() for name, value in out.items()} == pytest.approx(expected, rel=1e-5)
    assert [name for name, value in out.items() if value.requires_grad] == ["loss"]


def test_methods_overfit_32_images() -> None:
    torch.manual_seed(0)
    batch, teacher = images(), Teacher(COUNTS, [BalancedSoftmax], backbone="resnet8")
    train(teacher, [batch] * 40)
    teacher.eval()
    ensemble = students()
    train(ensemble, [taught(batch, teacher(batch["image"]).detach())] * 40)
    ensemble.eval()
    for predicted in (teacher(batch["image"]), ensemble(batch["image"])):
        assert torch.equal(predicted.argmax(1), batch["target"])


def test_an_ensemble_of_skills_without_a_teacher_overfits_32_images() -> None:
    torch.manual_seed(0)
    batch, module = images(), Teacher(COUNTS, SKILLS, backbone="resnet8", shared_stages=1)
    train(module, [batch] * 40)
    assert torch.equal(module.eval()(batch["image"]).argmax(1), batch["target"])


class Recorded(StudentEnsemble):
    """Students that keep what they see."""

    def configure_optimizers(self) -> Optimizer:
        return sgd(self)

    def on_fit_start(self) -> None:
        self.start = deepcopy(self.net.state_dict())
        self.seen: list[Batch] = []
        self.teacher_modes: set[bool] = set()

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        self.seen.append(batch)
        self.teacher_modes |= {module.training for module in targets(self.trainer).teacher.modules()}
        return super().training_step(batch, batch_idx)


class OtherDigits(DigitsLT):
    """The same digits by other names."""

    @property
    def class_names(self) -> list[str]:
        return ["zero", *super().class_names[1:]]


def targets(trainer: Trainer) -> DistillationTargets:
    return next(c for c in trainer.callbacks if isinstance(c, DistillationTargets))  # type: ignore[attr-defined]


def fit(teacher: str, data: DigitsLT) -> Recorded:
    torch.manual_seed(0)
    module = Recorded(data.class_counts, teacher, SKILLS, backbone="resnet8")
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = Trainer(max_steps=3, limit_val_batches=1, val_check_interval=2, accelerator="cpu", **quiet)
    trainer.fit(module, datamodule=data)
    return module


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A teacher that the command has trained for an epoch."""
    folder = tmp_path_factory.mktemp("teacher")
    short = ["--trainer.max_epochs", "1", "--trainer.check_val_every_n_epoch", "1"]
    quiet = ["--trainer.enable_progress_bar", "false", "--trainer.accelerator", "cpu", "--plots.pictures", "false"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        main(["fit", "--config", str(CONFIG), *short, *quiet, "--trainer.default_root_dir", str(folder)])
    return str(folder / "last.ckpt")


@pytest.fixture(scope="module")
def fitted(checkpoint: str) -> Recorded:
    """Students of that teacher after three steps and a validation between them."""
    return fit(checkpoint, DigitsLT(batch_size=64))


def test_training_leaves_the_teacher_as_it_was(checkpoint: str, fitted: Recorded) -> None:
    stored, teacher = read_checkpoint(checkpoint)["state_dict"], targets(fitted.trainer).teacher
    assert teacher.state_dict().keys() == stored.keys()
    assert all(torch.equal(value, stored[name]) for name, value in teacher.state_dict().items())
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in teacher.parameters())
    assert fitted.teacher_modes == {False}


def test_the_teacher_is_part_of_nothing_that_is_trained_or_saved(fitted: Recorded) -> None:
    reference = students()
    assert fitted.state_dict().keys() == reference.state_dict().keys()
    (optimizer,) = fitted.trainer.optimizers
    trained = {parameter for group in optimizer.param_groups for parameter in group["params"]}
    assert trained == set(fitted.net.parameters())
    assert trained.isdisjoint(targets(fitted.trainer).teacher.parameters())
    assert not targets(fitted.trainer).state_dict()


def test_targets_are_the_teachers_logits_of_that_very_batch(fitted: Recorded) -> None:
    teacher, counts = targets(fitted.trainer).teacher, torch.tensor(DigitsLT().class_counts)
    assert len(fitted.seen) == 3
    assert not torch.equal(fitted.seen[0]["image"], fitted.seen[1]["image"])
    for batch in fitted.seen:
        with torch.no_grad():
            assert torch.equal(batch["teacher_logits"], teacher.net(batch["image"]).mean(0))
        assert not batch["teacher_logits"].requires_grad
        torch.testing.assert_close(batch["teacher_offset"], log_prior(counts))  # its loss is balanced softmax


def test_a_teacher_of_other_counts_is_compared_under_the_prior_of_the_students(checkpoint: str) -> None:
    """Its loss is balanced softmax: its raw logits carry no prior, whatever it was trained on."""
    data = DigitsLT(batch_size=64, imbalance_factor=4.0)
    seen = fit(checkpoint, data).seen
    assert len({*data.class_counts}) > 1
    assert data.class_counts != DigitsLT().class_counts
    for batch in seen:
        torch.testing.assert_close(batch["teacher_offset"], log_prior(torch.tensor(data.class_counts)))


def test_a_teacher_of_the_same_counts_keeps_its_offset_bit_for_bit(fitted: Recorded) -> None:
    found = targets(fitted.trainer)
    assert torch.equal(found.offset, found.teacher.offset.mean(0))


def test_students_do_learn(fitted: Recorded) -> None:
    unmoved = [name for name, value in fitted.net.state_dict().items() if torch.equal(value, fitted.start[name])]
    assert unmoved == []


def test_a_teacher_of_other_classes_is_an_error(checkpoint: str) -> None:
    with pytest.raises(LtError, match="class 0 is '"):
        fit(checkpoint, OtherDigits())


def test_a_teacher_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LtError, match="does not exist"):
        fit(str(tmp_path / "none.ckpt"), DigitsLT())


def test_students_may_share_stages_and_owe_each_other_terms() -> None:
    def loss(**kwargs: Any) -> Tensor:
        torch.manual_seed(0)
        module = students(shared_stages=1, **kwargs)
        assert len(list(module.net.trunk.parameters())) > 0
        torch.manual_seed(1)
        batch = taught({**images(), "image": torch.randn(32, 3, 8, 8)}, 3 * torch.randn(32, 4))
        value: Tensor = module.training_step(batch, 0)["loss"]
        return value

    class Ten(EnsembleTerm):
        def forward(self, expert_logits: Tensor, offset: Tensor, target: Tensor) -> Tensor:
            return expert_logits.new_tensor(10.0)

    torch.testing.assert_close(loss(terms=[Ten, Ten]), loss() + 20)
