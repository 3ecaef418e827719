import pytest
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor

from lt_lightning.metrics import AveragePrecision


def images(number: int, classes: int, margin: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits ``(N, C)`` in which the image's class stands out, and classes ``(N,)``, none of the last."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(classes - 1, (number,), generator=generator)
    logits = torch.randn(number, classes, generator=generator)
    logits[torch.arange(number), target] += margin
    return logits, target


def measure(logits: Tensor, target: Tensor, **options: int) -> float:
    metric = AveragePrecision(logits.shape[1], **options)
    metric.update(logits, target)
    return metric.compute().item()


def exact(score: Tensor, target: Tensor) -> float:
    """Of scikit-learn, with scores in which no two images of a class are alike."""
    found = [average_precision_score(target == c, score[:, c]) for c in target.unique().tolist()]
    return sum(found) / len(found)


@pytest.mark.parametrize(("number", "classes", "margin"), [(300, 10, 0.0), (2000, 10, 1.0), (1500, 100, 3.0)])
@pytest.mark.parametrize("scale", [1, 5])
def test_it_is_close_to_that_of_scikit_learn(number, classes, margin, scale):
    logits, target = images(number, classes, margin)
    logits *= scale
    score = logits.double().softmax(-1)
    assert measure(logits, target) == pytest.approx(exact(score, target), abs=5e-3)
    assert measure(logits, target, num_bins=100_000) == pytest.approx(exact(score, target), abs=2e-4)


def test_thousands_of_classes_are_told_apart():
    """Where all probabilities are below a tenth, which bins of equal width from 0 to 1 would take to be alike."""
    logits, target = images(400, 3000, 0.0)
    logits[torch.arange(400), target] += 3
    score = logits.double().softmax(-1)
    assert score.max() < 0.1
    assert measure(logits, target, num_bins=4096) == pytest.approx(exact(score, target), abs=5e-3)
    assert measure(logits, target) == pytest.approx(exact(score, target), abs=2e-2)


def test_perfect_scores_and_none():
    target = torch.arange(8).repeat(3)
    assert measure(30.0 * torch.eye(8)[target], target) == 1
    assert measure(torch.zeros(24, 8), target) == pytest.approx(1 / 8, abs=0.05)


def test_any_division_is_the_same_and_a_process_may_have_no_image():
    logits, target = images(101, 7, 1.0)
    whole, parts = AveragePrecision(7), AveragePrecision(7)
    whole.update(logits, target)
    for part in (slice(0, 0), slice(0, 1), slice(1, 60), slice(60, 101)):
        parts.update(logits[part], target[part])
    for name in ("positive", "scored"):
        assert torch.equal(getattr(whole, name), getattr(parts, name))
    assert whole.compute() == parts.compute()


def test_extreme_and_missing_numbers_are_counted():
    logits = torch.tensor([[1e4, -1e4, 0.0], [float("nan")] * 3, [float("inf"), 0.0, 0.0]])
    metric = AveragePrecision(3)
    metric.update(logits, torch.tensor([0, 1, 2]))
    assert metric.scored.sum() == 9
    assert metric.positive.sum() == 3
