import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim import SGD
from torch.optim.lr_scheduler import MultiStepLR
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader

from lt_lightning.errors import LtError
from lt_lightning.optimizers import SAM

CURVATURE = (1.0, 10.0, 0.1)
START = (2.0, -1.0, 0.5)


def quadratic(optimizer: SGD, *parts: nn.Parameter) -> Callable[[], Tensor]:
    """Closure of half the sum of curvature times the squared parameters."""

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = 0.5 * (torch.tensor(CURVATURE) * torch.cat([p.view(-1) for p in parts]) ** 2).sum()
        loss.backward()
        return loss

    return closure


def slow_sam(steps: int, lr: float, rho: float, momentum: float, decay: float, nesterov: bool) -> list[float]:
    """The paper's two gradients and torch's description of SGD, number by number."""
    w, velocity = list(START), [0.0] * 3
    for step in range(steps):
        g = [a * v for a, v in zip(CURVATURE, w, strict=True)]
        norm = math.sqrt(sum(v * v for v in g))
        there = [v + rho * d / norm for v, d in zip(w, g, strict=True)]
        g = [a * v + decay * o for a, v, o in zip(CURVATURE, there, w, strict=True)]
        velocity = [momentum * v + d if step else d for v, d in zip(velocity, g, strict=True)]
        g = [d + momentum * v if nesterov else v for d, v in zip(g, velocity, strict=True)]
        w = [v - lr * d for v, d in zip(w, g, strict=True)]
    return w


@pytest.mark.parametrize("rho", [0.05, 0.5])
@pytest.mark.parametrize(("momentum", "decay", "nesterov"), [(0.0, 0.0, False), (0.9, 0.01, False), (0.9, 0.01, True)])
def test_steps_are_those_of_the_paper(rho: float, momentum: float, decay: float, nesterov: bool) -> None:
    # one norm over all parameters, whatever tensors and groups they are in
    first, second = nn.Parameter(torch.tensor(START[:2])), nn.Parameter(torch.tensor(START[2:]))
    groups = [{"params": [first]}, {"params": [second]}]
    optimizer = SAM(groups, 0.05, rho, momentum=momentum, weight_decay=decay, nesterov=nesterov)
    for _ in range(5):
        optimizer.step(quadratic(optimizer, first, second))
    expected = slow_sam(5, 0.05, rho, momentum, decay, nesterov)
    assert torch.cat([first, second]).tolist() == pytest.approx(expected, rel=1e-5)


def test_a_radius_of_0_is_sgd() -> None:
    ours, theirs = nn.Parameter(torch.tensor(START)), nn.Parameter(torch.tensor(START))
    sam, sgd = SAM([ours], lr=0.05, rho=0.0, momentum=0.9), SGD([theirs], lr=0.05, momentum=0.9)
    for _ in range(5):
        sam.step(quadratic(sam, ours))
        sgd.step(quadratic(sgd, theirs))
    assert torch.equal(ours, theirs)


def test_without_a_rate_the_weights_are_the_same_bit_for_bit() -> None:
    w = nn.Parameter(torch.randn(1000) * 10.0 ** torch.randint(-20, 4, (1000,)))
    before = w.detach().clone()
    optimizer = SAM([w], lr=0.0, rho=0.3)
    seen = []

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (torch.linspace(1, 2, 1000) * w).sum()
        loss.backward()
        seen.append(w.detach().clone())
        return loss

    optimizer.step(closure)
    assert torch.equal(w, before)
    assert torch.equal(seen[0], before)
    assert (seen[1] - before).norm().item() == pytest.approx(0.3, rel=1e-3)


def one_by_one(sgd: SGD, parameters: list[nn.Parameter], closure: Callable[[], Tensor], rho: float) -> None:
    """A step in which parameters climb and return one after the other."""
    closure()
    start = [p.detach().clone() for p in parameters]
    gradients = [p.grad for p in parameters if p.grad is not None]
    scale = rho / (get_total_norm(gradients) + 1e-12)
    with torch.no_grad():
        for p, gradient in zip(parameters, gradients, strict=True):
            p.add_(gradient * scale)
    closure()
    with torch.no_grad():
        for p, value in zip(parameters, start, strict=True):
            p.copy_(value)
    sgd.step()


def test_all_parameters_climb_at_once_and_end_where_they_would_one_by_one_bit_for_bit() -> None:
    def built() -> tuple[list[nn.Parameter], Callable[[], Tensor]]:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 5)).to(memory_format=torch.channels_last)
        net[2].bfloat16()
        image = torch.randn(6, 3, 4, 4)

        def closure() -> Tensor:
            net.zero_grad()
            loss = net[2](net[:2](image).bfloat16()).float().square().mean()
            loss.backward()
            return loss

        return list(net.parameters()), closure

    (ours, evaluate), (theirs, reference) = built(), built()
    sam, sgd = SAM(ours, lr=0.05, rho=0.1, momentum=0.9), SGD(theirs, lr=0.05, momentum=0.9)
    for _ in range(4):
        sam.step(evaluate)
        one_by_one(sgd, theirs, reference, rho=0.1)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


class Counted(TorchDispatchMode):
    """Counts operations by name."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations[str(func.overloadpacket)] += 1
        return func(*args, **(kwargs or {}))


def test_more_parameters_are_not_more_operations_up_and_down() -> None:
    counts = []
    for number in (2, 20):
        parameters = [nn.Parameter(torch.ones(3)) for _ in range(number)]
        for p in parameters:
            p.grad = torch.ones(3)
        with Counted() as counted:
            SAM(parameters, lr=0.1).step(lambda: 0.0)
        counts.append(counted.operations)
    assert counts[1]["aten.mul"] == counts[0]["aten.mul"]
    assert counts[1]["aten.copy_"] == counts[0]["aten.copy_"]


def test_the_loss_it_returns_is_that_of_the_weights() -> None:
    w = nn.Parameter(torch.tensor(START))
    optimizer = SAM([w], lr=0.1)
    assert optimizer.step(quadratic(optimizer, w)).item() == pytest.approx(0.5 * (4 + 10 + 0.1 * 0.25))


def test_where_nothing_slopes_nothing_moves() -> None:
    w = nn.Parameter(torch.zeros(3))
    optimizer = SAM([w], lr=0.1)
    optimizer.step(quadratic(optimizer, w))
    assert torch.equal(w, torch.zeros(3))


def test_parameters_without_a_gradient_stay() -> None:
    w, unused = nn.Parameter(torch.tensor(START)), nn.Parameter(torch.ones(2))
    frozen = nn.Parameter(torch.ones(2), requires_grad=False)
    optimizer = SAM([w, unused, frozen], lr=0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(2):
        optimizer.step(quadratic(optimizer, w))
    assert torch.equal(unused, torch.ones(2))
    assert torch.equal(frozen, torch.ones(2))
    assert SAM([unused], lr=0.1).step(lambda: 3.0) == 3.0  # a closure may leave no gradient at all


def test_an_interrupted_step_leaves_the_weights_alone() -> None:
    w = nn.Parameter(torch.tensor(START))
    optimizer = SAM([w], lr=0.1)
    evaluate, calls = quadratic(optimizer, w), []

    def closure() -> Tensor:
        calls.append(evaluate())
        if len(calls) == 2:
            raise KeyboardInterrupt
        return calls[-1]

    with pytest.raises(KeyboardInterrupt):
        optimizer.step(closure)
    assert w.tolist() == list(START)


def test_it_goes_on_from_sgds_state_and_sgd_from_its() -> None:
    ours, theirs = nn.Parameter(torch.tensor(START)), nn.Parameter(torch.tensor(START))
    sam, sgd = SAM([ours], lr=0.05, rho=0.0, momentum=0.9), SGD([theirs], lr=0.05, momentum=0.9)
    sam.step(quadratic(sam, ours))
    sgd.step(quadratic(sgd, theirs))
    assert sam.state_dict()["param_groups"] == sgd.state_dict()["param_groups"]
    resumed = SAM([theirs], lr=0.7, rho=0.0)
    resumed.load_state_dict(sgd.state_dict())
    sgd.load_state_dict(sam.state_dict())
    resumed.step(quadratic(resumed, theirs))
    sam.step(quadratic(sam, ours))
    assert torch.equal(ours, theirs)


def test_schedules_drive_it() -> None:
    w = nn.Parameter(torch.tensor(START))
    optimizer = SAM([w], lr=1.0)
    scheduler = MultiStepLR(optimizer, [1], gamma=0.0)
    optimizer.step(quadratic(optimizer, w))
    scheduler.step()
    before = w.detach().clone()
    optimizer.step(quadratic(optimizer, w))
    assert torch.equal(w, before)


def test_a_step_without_a_closure_is_one_clear_line() -> None:
    with pytest.raises(LtError, match="closure"):
        SAM([nn.Parameter(torch.ones(1))], lr=0.1).step()


@pytest.mark.parametrize("rho", [-0.1, math.inf, math.nan])
def test_a_radius_out_of_range_is_refused(rho: float) -> None:
    with pytest.raises(ValueError, match="rho"):
        SAM([nn.Parameter(torch.ones(1))], lr=0.1, rho=rho)


class Regression(LightningModule):
    """A line through points; ``w`` after each step is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([1.0, -2.0]))
        self.after: list[Tensor] = []

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return ((batch[:, :2] @ self.w - batch[:, 2]) ** 2).mean()

    def on_train_batch_end(self, *_: object) -> None:
        self.after.append(self.w.detach().clone())

    def configure_optimizers(self) -> SAM:
        return SAM(self.parameters(), lr=0.1, rho=0.05)


def quiet_trainer(folder: Path, **arguments: Any) -> Trainer:
    """One epoch on the CPU, without files."""
    return Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        **arguments,
    )


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_three_steps_of_a_trainer(precision: str, tmp_path: Path) -> None:
    points = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    module = Regression()
    trainer = quiet_trainer(tmp_path, precision=precision)
    trainer.fit(module, DataLoader(points, batch_size=4))
    assert trainer.global_step == 3
    w = torch.tensor([1.0, -2.0], dtype=torch.float64)
    for batch, after in zip(points.double().split(4), module.after, strict=True):

        def gradient(at: Tensor, batch: Tensor = batch) -> Tensor:
            return 2 * batch[:, :2].T @ (batch[:, :2] @ at - batch[:, 2]) / len(batch)

        g = gradient(w)
        w = w - 0.1 * gradient(w + 0.05 * g / g.norm())
        torch.testing.assert_close(after.double(), w, rtol=0, atol=1e-5 if precision == "32-true" else 2e-2)


def test_half_precision_with_a_scaler_is_one_clear_line(tmp_path: Path) -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=1.0)  # at the usual scale the first steps overflow and are left out
    trainer = quiet_trainer(tmp_path, plugins=MixedPrecision("16-mixed", "cpu", scaler))
    with pytest.raises(LtError, match="bf16-mixed"):
        trainer.fit(Regression(), DataLoader(torch.randn(4, 3), batch_size=4))
