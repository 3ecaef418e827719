"""A batch that is measured asks its device for nothing: on a GPU the host would wait for all that was launched before.

Fake tensors have shapes and no values. What needs a value, or a shape that depends on values, raises.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torchmetrics import Metric

from lt_lightning import metrics

B, C, E = 6, 4, 3
COUNTS = torch.tensor([200, 50, 30, 5])
LOGITS, TARGET, INDEX = torch.randn(E, B, C), torch.arange(B) % C, torch.arange(B)
CASES: dict[str, tuple[Callable[[], Metric], tuple[Tensor, ...]]] = {
    "Agreement": (lambda: metrics.Agreement(COUNTS, num_predictors=E), (LOGITS.argmax(-1), TARGET, TARGET)),
    "AveragePrecision": (lambda: metrics.AveragePrecision(C), (LOGITS[0], TARGET)),
    "BestTemperature": (lambda: metrics.BestTemperature(), (LOGITS[0], TARGET)),
    "CalibrationError": (lambda: metrics.CalibrationError(), (LOGITS[0], TARGET)),
    "ConfusedPairs": (lambda: metrics.ConfusedPairs(C), (LOGITS[0], TARGET)),
    "EnsembleTheory": (lambda: metrics.EnsembleTheory(COUNTS), (LOGITS, TARGET)),
    "LargestLosses": (lambda: metrics.LargestLosses(), (LOGITS[0], TARGET, INDEX)),
    "Reliability": (lambda: metrics.Reliability(COUNTS), (LOGITS[0], TARGET)),
    "ShiftedAccuracy": (
        lambda: metrics.ShiftedAccuracy(torch.ones(2, B, dtype=torch.bool), torch.zeros(2, C)),
        (LOGITS[0], LOGITS[0], TARGET, INDEX),
    ),
    "SplitAccuracy": (lambda: metrics.SplitAccuracy(COUNTS), (LOGITS[0], TARGET)),
}


@pytest.mark.parametrize("name", CASES)
def test_an_update_waits_for_nothing(name: str) -> None:
    make, batch = CASES[name]
    metric = make()
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        metric.update(*(fake.from_tensor(tensor) for tensor in batch))


class NotDeterministic(TorchDispatchMode):
    """Operations for which CUDA has no deterministic form: sums of floats up to each place."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket == torch.ops.aten.cumsum and args[0].is_floating_point():
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", CASES)
def test_figures_work_with_deterministic_algorithms(name: str) -> None:
    make, batch = CASES[name]
    metric = make()
    with NotDeterministic() as mode:
        metric.update(*batch)
        metric.compute()
    assert not mode.found


def test_all_metrics_are_here() -> None:
    exported = {name for name in metrics.__all__ if isinstance(kind := getattr(metrics, name), type)
                and issubclass(kind, Metric)}  # fmt: skip
    assert exported == {*CASES}
