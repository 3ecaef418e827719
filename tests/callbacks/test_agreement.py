"""How often students agree with their teacher, measured while they learn."""

from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lt_lightning.callbacks import DistillationTargets, TeacherAgreement
from lt_lightning.data import DigitsLT
from lt_lightning.losses import BalancedSoftmax, CrossEntropy
from lt_lightning.modules import Teacher


class Given(DistillationTargets):
    """Targets of a teacher that is given, and not read from a file."""

    def __init__(self, teacher: Teacher) -> None:
        super().__init__("no file")
        self.teacher, self.offset = teacher.eval().requires_grad_(False), teacher.offset.mean(0)
        self.network = teacher.net
        self.calls = 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """It is there."""
        self.teacher.register_forward_hook(self.count)

    def count(self, *_: Any) -> None:
        self.calls += 1


class Trained(Teacher):
    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.05)


class Logged(Callback):
    """Keeps what was logged, and the logits of each validation."""

    def __init__(self) -> None:
        self.figures: list[dict[str, float]] = []
        self.logits: list[list[Tensor]] = []

    def on_validation_epoch_start(self, *_: Any) -> None:
        self.logits.append([])

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        self.logits[-1].append(outputs)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.figures.append({name: float(value) for name, value in trainer.callback_metrics.items()})


def quiet(*callbacks: Callback) -> Trainer:
    return Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=list(callbacks),
    )


@pytest.mark.parametrize("losses", [[CrossEntropy], [CrossEntropy, BalancedSoftmax]])
def test_it_is_logged_while_students_learn_and_the_teacher_is_asked_once(losses: list[Any]) -> None:
    torch.manual_seed(0)
    data = DigitsLT(batch_size=64, eval_batch_size=100)
    counts = data.class_counts
    targets, logged = Given(Teacher(counts, backbone="resnet8")), Logged()
    students = Trained(counts, losses, backbone="resnet8")
    trainer = quiet(targets, TeacherAgreement(targets), logged)
    trainer.fit(students, data)
    assert targets.calls == 3  # batches of 240 images, in the first of two epochs
    dataset = data.dataset("val")
    image, target = data.normalise(dataset.image), dataset.target
    with torch.no_grad():
        said = targets.teacher(image).argmax(-1)
    for figures, parts in zip(logged.figures, logged.logits, strict=True):
        logits = torch.cat(parts, 1)
        predictors = {
            "val/agreement": logits.mean(0),
            **{f"val/expert{m + 1}/agreement": z for m, z in enumerate(logits)},
        }
        names = [name for name in figures if name.endswith("agreement")]
        assert set(names) == set(predictors if len(losses) > 1 else ["val/agreement"])
        for name in names:
            agrees = (predictors[name].argmax(-1) == said).double()
            assert figures[name] == pytest.approx(agrees.mean().item())
            few = [agrees[target == c].mean().item() for c, n in enumerate(counts) if n < data.few]
            assert figures[f"{name}_few"] == pytest.approx(sum(few) / len(few))


def test_what_is_not_trained_needs_no_teacher() -> None:
    data, logged = DigitsLT(eval_batch_size=100), Logged()
    trainer = quiet(TeacherAgreement(DistillationTargets("no file")), logged)
    trainer.validate(Teacher(data.class_counts, backbone="resnet8"), data, verbose=False)
    assert logged.figures == [{}]
