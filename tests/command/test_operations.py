"""What a further step of training costs, counted and not timed: operations, and answers that the host waits for."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import fit
from test_configs import earlier_stage
from torch.utils._python_dispatch import TorchDispatchMode

WAITS = {
    "aten._local_scalar_dense",
    "aten.equal",
    "aten.is_nonzero",
    "aten.nonzero",
    "aten._unique2",
    "aten.unique_dim",
}
"""Operations whose result's value or size the host asks for: on a GPU it waits for all that was launched before."""


class Count(TorchDispatchMode):
    """Counts operations by name; what only looks at memory in another way is none."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not func.is_view:
            self.operations[str(func.overloadpacket)] += 1
        return func(*args, **(kwargs or {}))


def of_a_step(train: Callable[[int], object]) -> Counter[str]:
    """Operations of one of four further steps of an epoch."""
    train(2)  # what is done once for all is done
    counts = []
    for steps in (3, 7):
        with Count() as counted:
            train(steps)
        counts.append(counted.operations)
    more = {name: counts[1][name] - counts[0][name] for name in counts[1]}
    odd = {name: number for name, number in more.items() if number % 4}
    assert not odd
    return Counter({name: number // 4 for name, number in more.items()})


@pytest.fixture
def step(tmp_path: Path) -> Callable[..., Counter[str]]:
    """Operations of a step of a shipped method, on networks of three blocks, batches of four, without augmentation."""

    def count(config: str, *flags: str) -> Counter[str]:
        needs: list[str] = []
        if (found := earlier_stage(config, flags)) is not None:
            short = ["--trainer.max_epochs", "1", "--trainer.limit_val_batches", "0"]
            needs = [found[0], str(fit(tmp_path / "stage", *short, config=found[1]) / "last.ckpt")]

        def train(steps: int) -> None:
            few = ["--trainer.max_epochs", "1", "--trainer.limit_val_batches", "0", "--data.batch_size", "4"]
            few += ["--data.augment", "[]"]  # which groups images by draws
            few += ["--trainer.limit_train_batches", str(steps)]
            fit(tmp_path / f"{config}-{steps}", *few, *needs, *flags, config=config)

        return of_a_step(train)

    return count


MOST = {  # what was counted: a change that adds operations says so here
    "ce": 237,
    "mcsm": 932,
    "mcem": 1526,
}
MIXING = {"mcsm": 3}  # torchvision's MixUp: its draw, and bounds of the labels, which a GPU does not look at


@pytest.mark.parametrize("config", MOST)
def test_a_step_has_few_operations_and_waits_once(config: str, step: Callable[..., Counter[str]]) -> None:
    operations = step(config)
    waits = {name: number for name, number in operations.items() if number and name in WAITS}
    assert waits == {"aten._local_scalar_dense": 1 + MIXING.get(config, 0)}  # 1: are loss and gradients finite?
    assert 0.95 * MOST[config] <= operations.total() <= MOST[config]
