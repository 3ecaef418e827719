import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lt_lightning.metrics import BestTemperature


def images(scale: float, number: int = 400, classes: int = 7) -> tuple[Tensor, Tensor]:
    """Logits ``(N, C)`` that are ``scale`` times what they should be, and classes drawn by their true probability."""
    generator = torch.Generator().manual_seed(int(10 * scale))
    true = 2 * torch.randn(number, classes, generator=generator)
    return scale * true, torch.multinomial(true.softmax(-1), 1, generator=generator)[:, 0]


def searched(logits: Tensor, target: Tensor, log_prior: Tensor) -> tuple[float, float]:
    """Best temperature and its NLL, by golden sections of all logits."""

    def nll(log_t: float) -> float:
        return float(F.cross_entropy(logits.double() / torch.tensor(log_t).exp() + log_prior.double(), target))

    low, high, golden = -3.0, 3.0, (5**0.5 - 1) / 2
    while high - low > 1e-6:
        a, b = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, b) if nll(a) < nll(b) else (a, high)
    return float(torch.tensor((low + high) / 2).exp()), nll((low + high) / 2)


@pytest.mark.parametrize("scale", [0.2, 0.7, 1.0, 1.8, 6.0])
@pytest.mark.parametrize("has_prior", [False, True])
def test_it_is_the_one_of_least_nll(scale: float, has_prior: bool) -> None:
    logits, target = images(scale)
    log_prior = torch.linspace(-3, 0, 7) if has_prior else torch.zeros(())
    best = BestTemperature(log_prior)
    for part in torch.arange(len(target)).split(64):
        best.update(logits[part], target[part])
    temperature, nll = searched(logits, target, log_prior)
    assert best.compute()["temperature"].item() == pytest.approx(temperature, rel=0.01)
    assert best.compute()["nll_calibrated"].item() == pytest.approx(nll, abs=5e-4)


def test_a_process_may_have_no_image() -> None:
    logits, target = images(2.0)
    one, other = BestTemperature(), BestTemperature()
    one.update(logits, target)
    other.update(logits[:0], target[:0])
    other.update(logits, target)
    torch.testing.assert_close(one.compute(), other.compute())


@pytest.mark.parametrize(("scale", "end"), [(0.01, 1 / 16), (-1.0, 16.0)])
def test_beyond_its_range_it_is_the_end(scale: float, end: float) -> None:
    """Of logits far too small, where the curve bends the other way, and of a model that is always wrong."""
    logits, target = scale * torch.eye(3), torch.arange(3)
    best = BestTemperature()
    best.update(logits, target)
    assert best.compute()["temperature"].item() == pytest.approx(end)
    nll = F.cross_entropy(logits / end, target).item()
    assert best.compute()["nll_calibrated"].item() == pytest.approx(nll, abs=1e-4)


@pytest.mark.parametrize("certain", [0.0, 60.0])
def test_it_stays_within_its_range(certain: float) -> None:
    """Of a model that says nothing, and of one that is always right."""
    logits, target = certain * torch.eye(3), torch.arange(3)
    best = BestTemperature()
    best.update(logits, target)
    found = best.compute()
    assert 1 / 16 <= found["temperature"].item() <= 16
    assert found["nll_calibrated"].item() == pytest.approx(0 if certain else torch.tensor(3.0).log().item(), abs=1e-5)
