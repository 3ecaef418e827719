"""What is gathered for pictures, against slow counting, in any division into batches."""

from collections import Counter

import pytest
import torch
from torch import Tensor

from lt_lightning.metrics import Agreement, CalibrationError, ConfusedPairs, LargestLosses, Reliability

COUNTS = torch.tensor([500, 120, 60, 30, 10, 1])
BATCHES = [(60,), (7, 0, 20, 33), (1,) * 60]


def images(sizes: tuple[int, ...]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Logits ``(B, 6)``, classes and places of images, in batches."""
    generator = torch.Generator().manual_seed(0)
    logits, target = 3 * torch.randn(60, 6, generator=generator), torch.randint(6, (60,), generator=generator)
    logits[40:] = logits[:20]
    target[40:] = target[:20]  # so that losses are equal
    return list(zip(logits.split(sizes), target.split(sizes), torch.arange(60).split(sizes), strict=True))


@pytest.mark.parametrize("sizes", BATCHES)
def test_pairs_are_counted(sizes: tuple[int, ...]) -> None:
    metric, counted = ConfusedPairs(6), Counter[tuple[int, int]]()
    for logits, target, _ in images(sizes):
        metric.update(logits, target)
        counted.update(zip(target.tolist(), logits.argmax(-1).tolist(), strict=True))
    assert metric.compute().tolist() == [[a, b, n] for (a, b), n in sorted(counted.items())]


@pytest.mark.parametrize("sizes", BATCHES)
def test_the_largest_losses_are_found_and_the_first_of_equals(sizes: tuple[int, ...]) -> None:
    metric, rows = LargestLosses(25), []
    for logits, target, index in images(sizes):
        metric.update(logits, target, index)
        for z, t, i in zip(logits, target, index, strict=True):
            p = z.double().softmax(-1)
            rows.append([float(i), float(t), float(p.argmax()), float(p.max()), -float(p[t].log())])
    expected = sorted(rows, key=lambda row: (-round(row[4], 9), row[0]))[:25]
    found = metric.compute()
    assert found[:, :3].tolist() == [row[:3] for row in expected]
    assert found.flatten().tolist() == pytest.approx([value for row in expected for value in row])


@pytest.mark.parametrize("sizes", BATCHES)
def test_bins_are_summed_by_group(sizes: tuple[int, ...]) -> None:
    metric, error = Reliability(COUNTS), CalibrationError()
    sums = {name: torch.zeros(3, 15, dtype=torch.float64) for name in ("all", "many", "medium", "few")}
    for logits, target, _ in images(sizes):
        metric.update(logits, target)
        error.update(logits, target)
        for z, t in zip(logits, target, strict=True):
            sure = float(z.double().softmax(-1).max())
            group = "many" if COUNTS[t] > 100 else "few" if COUNTS[t] < 20 else "medium"
            for name in ("all", group):
                right = float(z.argmax() == t)
                sums[name][:, min(int(15 * sure), 14)] += torch.tensor([1, sure, right], dtype=torch.float64)
    found = metric.compute()
    assert list(found) == list(sums)
    for name, expected in sums.items():
        torch.testing.assert_close(found[name], expected)
    images_of, sure, right = found["all"]
    assert ((sure - right).abs().sum() / images_of.sum()).item() == pytest.approx(error.compute().item())


def test_a_group_without_classes_has_no_bins() -> None:
    metric = Reliability(torch.tensor([500, 200, 5]))
    metric.update(torch.eye(3), torch.arange(3))
    assert {name: int(sums[0].sum()) for name, sums in metric.compute().items()} == {"all": 3, "many": 2, "few": 1}


@pytest.mark.parametrize("sizes", BATCHES)
def test_agreement_is_that_of_the_classes_said(sizes: tuple[int, ...]) -> None:
    metric, agreed = Agreement(COUNTS, num_predictors=2), []
    for logits, target, _ in images(sizes):
        predicted = torch.stack([logits.argmax(-1), logits.argmin(-1)])
        reference = (7 * target + 1) % 6
        metric.update(predicted, reference, target)
        agreed += list(zip(target.tolist(), (predicted == reference).double().T.tolist(), strict=True))
    found = metric.compute()
    assert found["all"].tolist() == pytest.approx([sum(a[k] for _, a in agreed) / 60 for k in (0, 1)])
    by_class = {c: [[a[k] for t, a in agreed if t == c] for k in (0, 1)] for c in range(6)}
    few = [sum(sum(by_class[c][k]) / len(by_class[c][k]) for c in (4, 5)) / 2 for k in (0, 1)]
    assert found["few"].tolist() == pytest.approx(few)
