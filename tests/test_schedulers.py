from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import LRScheduler

from lt_lightning.schedulers import WarmupCosine, WarmupMultiStep

Build = Callable[[SGD], LRScheduler]
BOTH: list[Build] = [
    lambda optimizer: WarmupCosine(optimizer, epochs=20, warmup=5),
    lambda optimizer: WarmupMultiStep(optimizer, milestones=[12, 16], gamma=0.01, warmup=5),
]
both = pytest.mark.parametrize("build", BOTH, ids=["cosine", "multistep"])


def sgd(*rates: float) -> SGD:
    return SGD([{"params": [nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates or (0.1,)])


def rates(optimizer: SGD, scheduler: LRScheduler, epochs: int) -> list[float]:
    """Rates of the first group in each of the epochs."""
    used = []
    for _ in range(epochs):
        used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return used


def ldam(epoch: int, milestones: tuple[int, int]) -> float:
    """``adjust_learning_rate`` of LDAM-DRW's cifar_train.py."""
    epoch = epoch + 1
    if epoch <= 5:
        return 0.1 * epoch / 5
    if epoch > milestones[1]:
        return 0.1 * 0.0001
    if epoch > milestones[0]:
        return 0.1 * 0.01
    return 0.1


@both
def test_warm_up_is_linear_and_reaches_the_base_rate(build: Build) -> None:
    optimizer = sgd()
    assert rates(optimizer, build(optimizer), 6) == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1, 0.1])


def test_cosine_falls_from_the_base_rate_over_its_half_to_zero() -> None:
    optimizer = sgd()
    scheduler = WarmupCosine(optimizer, epochs=25, warmup=5)
    used = rates(optimizer, scheduler, 26)
    assert [used[5], used[15], used[25]] == pytest.approx([0.1, 0.05, 0])
    assert used[5:] == sorted(used[5:], reverse=True)
    assert used[24] > 0  # the last epoch of the run still learns


def test_cosine_without_warm_up_is_that_of_torch() -> None:
    ours, theirs = sgd(), sgd()
    expected = rates(theirs, torch.optim.lr_scheduler.CosineAnnealingLR(theirs, T_max=20), 20)
    assert rates(ours, WarmupCosine(ours, epochs=20, warmup=0), 20) == pytest.approx(expected)


@pytest.mark.parametrize("epochs", [1, 3, 5])
def test_a_run_may_end_within_the_warm_up(epochs: int) -> None:
    optimizer = sgd()
    used = rates(optimizer, WarmupCosine(optimizer, epochs=epochs, warmup=5), epochs)
    assert used == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1][:epochs])


@pytest.mark.parametrize("milestones", [(160, 180), (320, 360)])
def test_steps_are_those_of_ldam(milestones: tuple[int, int]) -> None:
    optimizer = sgd()
    scheduler = WarmupMultiStep(optimizer, milestones=list(milestones), gamma=0.01)
    epochs = milestones[1] + 20
    assert rates(optimizer, scheduler, epochs) == pytest.approx([ldam(epoch, milestones) for epoch in range(epochs)])


@both
def test_groups_keep_their_own_rates(build: Build) -> None:
    optimizer = sgd(0.1, 0.02)
    scheduler = build(optimizer)
    for _ in range(20):
        first, second = (group["lr"] for group in optimizer.param_groups)
        assert first == pytest.approx(5 * second)
        optimizer.step()
        scheduler.step()


@both
@pytest.mark.parametrize("epoch", [3, 5, 13])
def test_a_restored_schedule_goes_on(build: Build, epoch: int) -> None:
    optimizer = sgd()
    scheduler = build(optimizer)
    rates(optimizer, scheduler, epoch)
    states = optimizer.state_dict(), scheduler.state_dict()
    resumed = sgd()
    resumed_scheduler = build(resumed)
    resumed.load_state_dict(states[0])
    resumed_scheduler.load_state_dict(states[1])
    assert rates(resumed, resumed_scheduler, 20 - epoch) == rates(optimizer, scheduler, 20 - epoch)


@both
def test_its_state_is_plain_values(build: Build) -> None:
    def leaves(value: object) -> list[object]:
        return [leaf for part in value for leaf in leaves(part)] if isinstance(value, list) else [value]

    state = build(sgd()).state_dict()
    assert {type(leaf) for value in state.values() for leaf in leaves(value)} <= {int, float, bool}
