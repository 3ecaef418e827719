import math
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor

from lt_lightning.callbacks import Evaluation
from lt_lightning.callbacks.diversity import TOLERANCE, Diversity, check_identities
from lt_lightning.data import DigitsLT
from lt_lightning.errors import LtError
from lt_lightning.losses import (
    BalancedSoftmax,
    CrossEntropy,
    InverseSoftmax,
    MeanLogits,
    MeanProbabilities,
    PriorCorrected,
)
from lt_lightning.modules import Teacher

SKILLS = [CrossEntropy, BalancedSoftmax, InverseSoftmax]
SPLITS = ("", "_many", "_medium", "_few", "_balanced")


class Trained(Teacher):
    """With an optimizer, which the command adds elsewhere."""

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)


class Infinite(MeanLogits):
    """One logit of one image of the first member is infinite, as after an overflow."""

    def members(self, expert_logits: Tensor, offset: Tensor) -> Tensor:
        members = expert_logits.float().clone()
        members[0, 0, 0] = torch.inf
        return members


def a_run(losses: list[Any], combination: Any = MeanLogits) -> tuple[Trainer, Trained, DigitsLT]:
    """A trainer with the two callbacks that measure, a small model and the digits."""
    data = DigitsLT(batch_size=64, eval_batch_size=100)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=3,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[Evaluation(), Diversity()],
    )
    torch.manual_seed(0)
    return trainer, Trained(data.class_counts, losses, backbone="resnet8", combination=combination), data


def figures(trainer: Trainer) -> dict[str, float]:
    return {name: value.item() for name, value in trainer.callback_metrics.items()}


@pytest.fixture(scope="module")
def trained() -> tuple[Trainer, Trained, DigitsLT, dict[str, float]]:
    """Three experts, trained for three epochs; with what the last validation logged."""
    trainer, module, data = a_run(SKILLS)
    trainer.fit(module, data)
    return trainer, module, data, figures(trainer)


def test_the_theory_of_each_split_is_logged(trained: Any) -> None:
    logged = trained[-1]
    names = {name for name in logged if "/theory/" in name}
    for suffix in SPLITS:
        expected = ("nll_avg", "nll_ens", "div_kl", "amb_brier", "double_fault", "dis_correct", "eir", "oracle_err")
        assert {f"val/theory/{name}{suffix}" for name in expected} <= names
    assert all(math.isfinite(logged[name]) for name in names)


def test_both_identities_hold_on_the_trained_run(trained: Any) -> None:
    logged = trained[-1]
    for s in SPLITS:
        for average, ensemble, diversity in (("nll_avg", "nll_ens", "div_kl"), ("brier_avg", "brier_ens", "amb_brier")):
            a, e, d = (logged[f"val/theory/{name}{s}"] for name in (average, ensemble, diversity))
            assert d > 0.01
            assert abs(a - e - d) <= 1e-5 * max(1.0, a)
        assert abs(logged[f"val/theory/nll_gap_check{s}"]) <= 1e-12
        assert abs(logged[f"val/theory/brier_gap_check{s}"]) <= 1e-12


def test_it_is_about_the_ensemble_and_the_members_that_are_evaluated(trained: Any) -> None:
    logged = trained[-1]
    of_members = [sum(logged[f"val/expert{m}/{name}"] for m in (1, 2, 3)) / 3 for name in ("nll", "acc", "acc_few")]
    theory = [logged[f"val/theory/{name}"] for name in ("nll_avg", "err_avg", "err_avg_few")]
    assert theory == pytest.approx([of_members[0], 1 - of_members[1], 1 - of_members[2]], abs=1e-5)
    assert logged["val/theory/nll_ens"] == pytest.approx(logged["val/nll"], abs=1e-5)
    for split, name in {"": "acc", "_many": "acc_many", "_few": "acc_few", "_balanced": "bal_acc"}.items():
        assert logged[f"val/theory/err_ens{split}"] == pytest.approx(1 - logged[f"val/{name}"], abs=1e-5)


def test_test_is_measured_too(trained: Any) -> None:
    trainer, module, data, validated = trained
    trainer.test(module, data, verbose=False)
    tested = figures(trainer)
    names = {name.removeprefix("test/") for name in tested if name.startswith("test/theory/")}
    assert names == {name.removeprefix("val/") for name in validated if name.startswith("val/theory/")}
    assert tested["test/theory/nll_ens"] == pytest.approx(tested["test/nll"], abs=1e-5)


@pytest.mark.parametrize("combination", [PriorCorrected, MeanProbabilities])
def test_members_are_those_that_the_combination_names(combination: type[MeanLogits]) -> None:
    trainer, module, data = a_run(SKILLS, combination)
    trainer.validate(module, data, verbose=False)
    logged = figures(trainer)
    assert abs(logged["val/theory/nll_gap_check"]) <= 1e-12
    same = logged["val/theory/nll_ens"] == pytest.approx(logged["val/nll"], abs=1e-5)
    assert same == (combination is PriorCorrected)  # the mean of probabilities is another ensemble: theorem C1
    assert logged["val/nll"] <= logged["val/theory/nll_avg"]


def test_a_single_model_logs_nothing() -> None:
    trainer, module, data = a_run([CrossEntropy])
    trainer.validate(module, data, verbose=False)
    trainer.test(module, data, verbose=False)
    assert not [name for name in figures(trainer) if "theory" in name]
    assert "test/acc" in figures(trainer)


def test_a_broken_combination_is_an_error() -> None:
    trainer, module, data = a_run(SKILLS, Infinite)
    with pytest.raises(
        LtError, match="the members' loss is not the ensemble's and their diversity: nan is left"
    ) as stop:
        trainer.validate(module, data, verbose=False)
    assert stop.value.where.startswith("val/theory/nll_gap_check")


@pytest.mark.parametrize(("average", "gap", "holds"), [
    (0.1, 0.9 * TOLERANCE, True),
    (0.1, 1.1 * TOLERANCE, False),
    (0.1, -1.1 * TOLERANCE, False),
    (100.0, 90 * TOLERANCE, True),
    (100.0, 110 * TOLERANCE, False),
    (math.nan, 0.0, True),
    (1.0, math.nan, False),
])  # fmt: skip
@pytest.mark.parametrize("loss", ["nll", "brier"])
def test_what_an_identity_may_leave(loss: str, average: float, gap: float, holds: bool) -> None:
    others = {"val/theory/nll_avg": 1.0, "val/theory/nll_gap_check": 0.0, "val/theory/err_avg_few": 0.5}
    measured = others | {f"val/theory/{loss}_avg_few": average, f"val/theory/{loss}_gap_check_few": gap}
    if holds:
        check_identities(measured)
    else:
        with pytest.raises(LtError) as stop:
            check_identities(measured)
        assert stop.value.where == f"val/theory/{loss}_gap_check_few"
