from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lt_lightning.callbacks.schedules import DeferredReweighting, ParabolicTransition, Ramp, Schedule
from lt_lightning.errors import LtError
from lt_lightning.losses import ClassBalanced, CrossEntropy
from lt_lightning.losses.margin import LDAM
from lt_lightning.losses.reweighting import effective_number_weights
from lt_lightning.losses.ride import DistributionAwareDiversity

pytestmark = pytest.mark.filterwarnings("ignore:.*(callbacks used to create|is not resumable).*:UserWarning")

COUNTS = [500, 40, 3]
WEIGHT = effective_number_weights(torch.tensor(COUNTS), 0.9999)


class Method(LightningModule):
    """Losses, a term and weights, as the methods have them; what each step saw is kept."""

    def __init__(self, distill_weight: float = 0.6, skill_weight: float = 0.5, contrast_weight: float = 0.5) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.class_counts = COUNTS
        counts = torch.tensor(COUNTS, dtype=torch.float32)
        self.net = nn.Linear(4, 3)
        self.losses = nn.ModuleList([CrossEntropy(counts), LDAM(counts), ClassBalanced(counts)])
        self.terms = nn.ModuleList([DistributionAwareDiversity(counts)])
        self.distill_weight, self.skill_weight, self.contrast_weight = distill_weight, skill_weight, contrast_weight
        self.seen: list[tuple[int, Any]] = []

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        logits, target = self.net(batch), torch.arange(len(batch)) % 3
        weights = [None if loss.class_weight is None else loss.class_weight.tolist() for loss in self.losses]
        values = float(self.distill_weight), float(self.skill_weight), float(self.contrast_weight)
        self.seen.append((self.current_epoch, (weights, self.terms[0].reweighted, values)))
        return torch.stack([loss(logits, target) for loss in self.losses]).sum()

    def configure_optimizers(self) -> torch.optim.SGD:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(
    folder: Path,
    *callbacks: Callback,
    module: Method | None = None,
    epochs: int | None = 5,
    steps: int = -1,
    resume: Path | None = None,
) -> Method:
    """Train epochs of four steps, each on the same images, for a plain loader does not resume within an epoch."""
    module = module or Method()
    trainer = Trainer(
        max_epochs=epochs,
        max_steps=steps,
        accelerator="cpu",
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    images = torch.randn(4, 4, generator=torch.Generator().manual_seed(0)).repeat(4, 1)
    trainer.fit(module, DataLoader(images, batch_size=4), ckpt_path=resume)
    return module


def by_epoch(module: Method, which: int) -> dict[int, Any]:
    """What the steps of each epoch saw, which must have been the same."""
    seen: dict[int, Any] = {}
    for epoch, values in module.seen:
        assert seen.setdefault(epoch, values[which]) == values[which]
    return seen


@pytest.mark.parametrize(
    ("start", "epochs", "first"), [(0.8, 5, 4), (0.6, 5, 3), (0.7, 10, 7), (0.0, 2, 0), (1.0, 2, 2)]
)
def test_losses_weigh_from_a_fraction_of_the_run_on(tmp_path: Path, start: float, epochs: int, first: int) -> None:
    module = fit(tmp_path, DeferredReweighting(start), epochs=epochs)
    weights, temperatures = by_epoch(module, 0), by_epoch(module, 1)
    assert list(weights) == list(range(epochs))
    for epoch in range(epochs):
        assert weights[epoch] == ([WEIGHT.tolist()] * 3 if epoch >= first else [None] * 3)
        assert temperatures[epoch] is (epoch >= first)


@pytest.mark.parametrize(
    ("start", "epochs", "first"),
    [(0.8, 200, 160), (0.55, 100, 55)],  # LDAM-DRW and RIDE; 0.55 * 100 is a little above 55
)
def test_weights_begin_in_the_very_epoch(start: float, epochs: int, first: int) -> None:
    module = Method()
    for epoch in (first - 1, first, epochs - 1):
        trainer = Trainer(max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False)
        trainer.fit_loop.epoch_progress.current.completed = epoch
        DeferredReweighting(start).on_train_epoch_start(trainer, module)
        assert (module.losses[0].class_weight is not None) == (epoch >= first)


def test_beta_is_that_of_the_weights(tmp_path: Path) -> None:
    module = fit(tmp_path, DeferredReweighting(0.0, beta=0.9), epochs=1)
    assert by_epoch(module, 0)[0][1] == effective_number_weights(torch.tensor(COUNTS), 0.9).tolist()
    assert module.losses[1].class_weight is not None
    assert "losses.1.class_weight" not in module.state_dict()


def test_weights_have_the_precision_of_the_loss(tmp_path: Path) -> None:
    module = Method().double()
    trainer = Trainer(max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False)
    DeferredReweighting(0.0).on_train_epoch_start(trainer, module)
    for loss in module.losses:
        assert loss(torch.randn(4, 3).double(), torch.tensor([0, 1, 2, 0])).dtype == torch.float64


def schedules() -> list[Schedule]:
    return [DeferredReweighting(0.5), Ramp("distill_weight", 3), ParabolicTransition()]


@pytest.mark.parametrize("step", range(1, 20))
def test_a_resumed_run_is_the_run_it_was(tmp_path: Path, step: int) -> None:
    every = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=step, save_top_k=-1)
    whole = fit(tmp_path, *schedules(), every)
    resumed = fit(tmp_path, *schedules(), resume=tmp_path / f"step={step}.ckpt")
    assert resumed.seen == whole.seen[step:]
    assert torch.equal(resumed.net.weight, whole.net.weight)


def test_the_same_objects_may_begin_again(tmp_path: Path) -> None:
    module, callbacks = Method(), schedules()
    fit(tmp_path, *callbacks, module=module)
    first, module.seen = module.seen, []
    fit(tmp_path, *callbacks, module=module)
    assert module.seen == first


def test_a_longer_run_moves_what_is_a_fraction_of_it(tmp_path: Path) -> None:
    fit(tmp_path, *schedules(), ModelCheckpoint(tmp_path, filename="end", every_n_epochs=1), epochs=4)
    longer = fit(tmp_path, *schedules(), epochs=12, resume=tmp_path / "end.ckpt")
    assert list(by_epoch(longer, 1).values()) == [False] * 2 + [True] * 6
    assert [values[0] for values in by_epoch(longer, 2).values()] == [pytest.approx(0.6)] * 8


def test_a_ramp_reaches_the_configured_weight(tmp_path: Path) -> None:
    module = fit(tmp_path, Ramp("distill_weight", 4), epochs=6)
    weights = [values[0] for values in by_epoch(module, 2).values()]
    assert weights == pytest.approx([0.15, 0.3, 0.45, 0.6, 0.6, 0.6])
    assert {values[1:] for values in by_epoch(module, 2).values()} == {(0.5, 0.5)}


def test_ramps_of_two_weights_do_not_meet(tmp_path: Path) -> None:
    module = fit(tmp_path, Ramp("distill_weight", 2), Ramp("skill_weight", 4), epochs=2)
    assert [v for values in by_epoch(module, 2).values() for v in values[:2]] == pytest.approx([0.3, 0.125, 0.6, 0.25])


def test_a_parabola_goes_from_contrast_to_skill(tmp_path: Path) -> None:
    module = fit(tmp_path, ParabolicTransition(), epochs=4)
    values = by_epoch(module, 2)
    assert [v[2] for v in values.values()] == pytest.approx([15 / 16, 12 / 16, 7 / 16, 0])
    assert [v[1] for v in values.values()] == pytest.approx([1 / 16, 4 / 16, 9 / 16, 1])
    assert {v[0] for v in values.values()} == {0.6}


@pytest.mark.parametrize("schedule", [Ramp("temper_weight"), ParabolicTransition(falling="temper_weight")])
def test_a_weight_that_is_not_there_is_one_clear_line(tmp_path: Path, schedule: Schedule) -> None:
    with pytest.raises(LtError, match="Method has no weight called temper_weight") as error:
        fit(tmp_path, schedule)
    assert "distill_weight, skill_weight, contrast_weight" in error.value.fix


@pytest.mark.parametrize("schedule", [DeferredReweighting(), ParabolicTransition()])
def test_a_run_without_a_number_of_epochs_is_one_clear_line(tmp_path: Path, schedule: Schedule) -> None:
    with pytest.raises(LtError, match="number of epochs"):
        fit(tmp_path, schedule, epochs=-1, steps=4)


def test_a_ramp_needs_no_number_of_epochs(tmp_path: Path) -> None:
    module = fit(tmp_path, Ramp("distill_weight", 2), epochs=-1, steps=6)
    assert [values[0] for values in by_epoch(module, 2).values()] == pytest.approx([0.3, 0.6])


@pytest.mark.parametrize(("start", "beta"), [(-0.1, 0.9), (1.1, 0.9), (0.8, 1.0), (0.8, -0.1)])
def test_deferred_values_out_of_range_are_refused(start: float, beta: float) -> None:
    with pytest.raises(ValueError, match="start must lie"):
        DeferredReweighting(start, beta)


def test_a_ramp_of_no_epoch_is_refused() -> None:
    with pytest.raises(ValueError, match="epochs"):
        Ramp("distill_weight", 0)


def test_a_schedule_must_say_what_it_sets() -> None:
    trainer = Trainer(max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False)
    with pytest.raises(NotImplementedError):
        Schedule().on_train_start(trainer, Method())
