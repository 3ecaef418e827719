from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from lt_lightning.checkpoints import read_checkpoint
from lt_lightning.commands import main
from lt_lightning.data import Batch, DigitsLT
from lt_lightning.data.sampling import ClassBalanced
from lt_lightning.errors import LtError
from lt_lightning.losses import BalancedSoftmax, CrossEntropy, LossFactory
from lt_lightning.modules import Teacher
from lt_lightning.modules.second_stage import (
    ClassifierRetraining,
    SecondStage,
    ShiftedRetraining,
    TauNormalisation,
    WeightScaling,
)

CONFIG = Path(__file__).parents[2] / "configs" / "ce.yaml"
COUNTS = DigitsLT().class_counts
CONTINUED = [WeightScaling, TauNormalisation, ShiftedRetraining]
ALL = [ClassifierRetraining, *CONTINUED]
PAIR: list[LossFactory] = [CrossEntropy, BalancedSoftmax]

Method = type[SecondStage]


def first_stage(losses: list[LossFactory] = [CrossEntropy], **kwargs: Any) -> Teacher:  # noqa: B006 - never changed
    """A network whose statistics and biases are not those of an initialised one."""
    torch.manual_seed(1)
    module = Teacher(COUNTS, losses, backbone="resnet8", **kwargs)
    module.net(2 * torch.randn(64, 3, 8, 8) + 1)
    for classifier in module.net.classifiers:
        classifier.get_parameter("weight").data *= torch.linspace(2, 0.5, 10)[:, None]
    nn.init.normal_(module.net.classifiers[0].get_parameter("bias"))
    return module.eval()


def second_stage(method: Method, first: Teacher, losses: list[LossFactory] | None = None, **kwargs: Any) -> SecondStage:
    torch.manual_seed(2)
    module = method(COUNTS, "not loaded here", losses or [CrossEntropy], "resnet8", **kwargs)
    module.start_from(first.net)
    return module


def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(32, 3, 8, 8, generator=generator)
    return {"image": image, "target": torch.arange(32) % 10}  # type: ignore[typeddict-item]


def train(module: SecondStage, steps: int = 3) -> None:
    optimizer = SGD(module.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    for step in range(steps):
        optimizer.zero_grad()
        module.training_step(batch(), step)["loss"].backward()
        optimizer.step()


def moved(module: SecondStage, before: dict[str, Tensor]) -> set[str]:
    """Last parts of the names of all tensors that changed."""
    return {
        name.removeprefix("net.") for name, value in module.state_dict().items() if not torch.equal(value, before[name])
    }


@pytest.mark.parametrize(
    ("method", "learns"),
    [
        (ClassifierRetraining, {"classifiers.0.weight", "classifiers.0.bias"}),
        (WeightScaling, {"classifiers.0.scale"}),
        (TauNormalisation, {"classifiers.0.tau"}),
    ],
)
def test_the_backbone_and_its_statistics_stay_bit_for_bit(method: Method, learns: set[str]) -> None:
    module = second_stage(method, first_stage())
    module.eval()
    module.train()  # as anybody may call it
    before = deepcopy(module.state_dict())
    train(module)
    assert moved(module, before) == learns
    assert {name for name, p in module.net.named_parameters() if p.requires_grad} == learns


def test_shifted_statistics_move_and_the_backbones_weights_do_not() -> None:
    module = second_stage(ShiftedRetraining, first_stage())
    before = deepcopy(module.state_dict())
    train(module)
    changed = moved(module, before)
    learns = {f"classifiers.0.{name}" for name in ("classifier.weight", "classifier.bias", "scale")}
    statistics = {name for name, _ in module.net.named_buffers()}
    assert changed == learns | statistics
    assert {name for name, p in module.net.named_parameters() if p.requires_grad} == learns
    assert not any(part.training for part in module.eval().modules())


@pytest.mark.parametrize("method", ALL)
def test_no_gradient_reaches_the_images(method: Method) -> None:
    module, images = second_stage(method, first_stage()), batch()
    images["image"].requires_grad_()
    module.training_step(images, 0)["loss"].backward()
    assert images["image"].grad is None


@pytest.mark.parametrize("method", ALL)
def test_the_loss_is_that_of_the_networks_logits(method: Method) -> None:
    module, images = second_stage(method, first_stage(PAIR), PAIR), batch()
    expected = sum(
        loss(torch.tensor(COUNTS))(z, images["target"])
        for loss, z in zip(PAIR, module.net(images["image"]), strict=True)
    )
    torch.testing.assert_close(module.training_step(images, 0)["loss"], expected)


def test_retraining_begins_with_the_backbone_alone() -> None:
    first = first_stage()
    module, images = second_stage(ClassifierRetraining, first).eval(), batch()["image"]
    assert torch.equal(module.net.features(images), first.net.features(images))
    assert not torch.equal(module.net(images), first.net(images))
    assert torch.equal(module.net.classifiers[0].get_parameter("bias"), torch.zeros(10))
    second_stage(ClassifierRetraining, first, classifier="cosine")  # a new classifier may be another


@pytest.mark.parametrize("experts", [PAIR[:1], PAIR])
@pytest.mark.parametrize("shared_stages", [0, 1])
@pytest.mark.parametrize("method", CONTINUED)
def test_others_begin_as_the_first_stage(method: Method, shared_stages: int, experts: list[LossFactory]) -> None:
    first = first_stage(experts, shared_stages=shared_stages)
    if method is TauNormalisation:  # which has no bias
        nn.init.zeros_(first.net.classifiers[0].get_parameter("bias"))
    module, images = second_stage(method, first, experts, shared_stages=shared_stages).eval(), batch()["image"]
    torch.testing.assert_close(module.net(images), first.net(images))
    assert module(images).shape == (32, 10)


@pytest.mark.parametrize("method", ALL)
def test_experts_learn_together_as_alone(method: Method) -> None:
    together, alone = (second_stage(method, first_stage(losses), losses) for losses in (PAIR, PAIR[1:]))
    alone.net.branches.load_state_dict(together.net.branches[1:].state_dict())
    alone.net.classifiers.load_state_dict(together.net.classifiers[1:].state_dict())
    for module in (together, alone):
        train(module)
    for name, value in alone.net.classifiers[0].state_dict().items():
        torch.testing.assert_close(value, together.net.classifiers[1].state_dict()[name])


@pytest.mark.parametrize("method", ALL)
def test_logits_learnt_on_balanced_batches_carry_no_prior(method: Method) -> None:
    module = second_stage(method, first_stage(PAIR[1:]), PAIR[:1])
    logits = torch.randn(1, 4, 10)
    torch.testing.assert_close(module.balance(logits).log_softmax(-1), logits[0].log_softmax(-1))


def test_tau_of_a_cosine_classifier_is_refused_and_scales_are_not() -> None:
    with pytest.raises(ValueError, match="needs a linear classifier"):
        TauNormalisation(COUNTS, "x", backbone="resnet8", classifier="cosine")
    WeightScaling(COUNTS, "x", backbone="resnet8", classifier="cosine")


class Fitted(WeightScaling):
    """Keeps what it begins with, the classes it sees and the modes of its backbone."""

    def configure_optimizers(self) -> Optimizer:
        return SGD(self.parameters(), lr=0.1)

    def on_fit_start(self) -> None:
        self.begun = deepcopy(self.net.state_dict())
        self.targets: list[Tensor] = []
        self.modes: set[bool] = set()

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        self.targets.append(batch["target"])
        self.modes |= {part.training for part in self.net.branches.modules()}
        return super().training_step(batch, batch_idx)


class Digits(DigitsLT):
    """The same digits by other names."""

    @property
    def class_names(self) -> list[str]:
        return ["zero", *super().class_names[1:]]


def fit(first: str, data: DigitsLT, losses: list[LossFactory] = PAIR[:1], backbone: Any = "resnet8") -> Fitted:
    module = Fitted(COUNTS, first, losses, backbone)
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    steps: dict[str, Any] = {"max_steps": 6, "limit_val_batches": 1, "val_check_interval": 2, "num_sanity_val_steps": 0}
    Trainer(**steps, **quiet, enable_model_summary=False, accelerator="cpu").fit(module, datamodule=data)
    return module


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A first stage that the command has trained for an epoch."""
    folder = tmp_path_factory.mktemp("first_stage")
    quiet = ["--trainer.enable_progress_bar", "false", "--trainer.accelerator", "cpu", "--trainer.max_epochs", "1"]
    quiet += ["--plots.pictures", "false"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        main(["fit", "--config", str(CONFIG), *quiet, "--trainer.default_root_dir", str(folder)])
    return str(folder / "last.ckpt")


def test_fitting_begins_with_the_first_stage_and_sees_all_classes_alike(checkpoint: str) -> None:
    module = fit(checkpoint, DigitsLT(batch_size=64, order=ClassBalanced()))
    stored = read_checkpoint(checkpoint)["state_dict"]
    for name, value in module.begun.items():
        if not name.endswith("scale"):
            assert torch.equal(value, stored[f"net.{name.replace('.classifier.', '.')}"]), name
    assert module.modes == {False}  # after a validation, too
    seen = torch.cat(module.targets).bincount(minlength=10) / sum(map(len, module.targets))
    assert (seen - 0.1).abs().max() < 0.06  # shuffled digits: 0.41 to 0.004


def test_a_first_stage_of_another_network_is_an_error(checkpoint: str) -> None:
    for network in ({"backbone": "resnet20"}, {"losses": PAIR}):
        with pytest.raises(LtError, match="is another than the model's"):
            fit(checkpoint, DigitsLT(), **network)  # type: ignore[arg-type]


def test_a_first_stage_of_other_classes_or_none_is_an_error(checkpoint: str, tmp_path: Path) -> None:
    with pytest.raises(LtError, match="class 0 is '"):
        fit(checkpoint, Digits())
    with pytest.raises(LtError, match="does not exist"):
        fit(str(tmp_path / "none.ckpt"), DigitsLT())
