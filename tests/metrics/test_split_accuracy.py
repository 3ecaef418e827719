from collections import Counter

import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, f1_score
from torch import Tensor
from torch.nn import functional as F

from lt_lightning.metrics import SplitAccuracy, shot_groups

COUNTS = torch.tensor([500, 101, 100, 60, 20, 19, 3, 0])
GROUP = ["many", "many", "medium", "medium", "medium", "few", "few", "few"]
ABSENT = [[], [1], [5, 6, 7], [0, 1, 2, 3]]
absences = pytest.mark.parametrize("absent", ABSENT, ids=str)


def random_images(absent: list[int], number: int = 200, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits ``(N, 8)`` that are right about half the time, and classes ``(N,)`` without those absent."""
    generator = torch.Generator().manual_seed(seed)
    present = torch.tensor([c for c in range(8) if c not in absent])
    target = present[torch.randint(len(present), (number,), generator=generator)]
    return torch.randn(number, 8, generator=generator) + 1.5 * F.one_hot(target, 8), target


def measure(logits: Tensor, target: Tensor, counts: Tensor = COUNTS) -> dict[str, float]:
    metric = SplitAccuracy(counts)
    metric.update(logits, target)
    return {name: value.item() for name, value in metric.compute().items()}


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


@absences
def test_accuracies_are_plain_counting(absent: list[int]) -> None:
    logits, target = random_images(absent)
    total, correct = Counter(target.tolist()), Counter()
    for row, y in zip(logits.tolist(), target.tolist(), strict=True):
        correct[y] += row.index(max(row)) == y
    accuracy = {c: correct[c] / total[c] for c in total}
    expected = {"acc": correct.total() / 200, "bal_acc": mean(list(accuracy.values()))}
    for group in set(GROUP):
        if members := [accuracy[c] for c in accuracy if GROUP[c] == group]:
            expected[f"acc_{group}"] = mean(members)
    actual = measure(logits, target)
    assert actual.keys() == expected.keys() | {"macro_f1", "nll"}
    assert {name: actual[name] for name in expected} == pytest.approx(expected, abs=1e-6)


@absences
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_the_rest_is_that_of_scikit_learn_and_torch(absent: list[int]) -> None:
    logits, target = random_images(absent)
    predicted, figures = logits.argmax(1), measure(logits, target)
    f1 = f1_score(target, predicted, labels=target.unique(), average="macro")
    assert figures["bal_acc"] == pytest.approx(balanced_accuracy_score(target, predicted), abs=1e-6)
    assert figures["macro_f1"] == pytest.approx(f1, abs=1e-6)
    assert figures["nll"] == pytest.approx(F.cross_entropy(logits.double(), target).item(), abs=1e-6)


def test_a_class_that_is_never_predicted_has_an_f1_of_0() -> None:
    logits = F.one_hot(torch.tensor([0, 0, 0]), 8).float()
    assert measure(logits, torch.tensor([0, 0, 1]))["macro_f1"] == pytest.approx((0.8 + 0) / 2)


def test_accuracy_of_each_class_is_nan_where_there_are_no_images() -> None:
    metric = SplitAccuracy(COUNTS)
    metric.update(torch.eye(8)[[0, 1, 2]], torch.tensor([0, 1, 1]))
    metric.compute()
    assert metric.class_accuracy[:2].tolist() == [1, 0.5]
    assert metric.class_accuracy[2:].isnan().all()


@pytest.mark.parametrize("sizes", [[1] * 200, [7, 193], [64, 64, 64, 8], [199, 1]], ids=lambda sizes: str(len(sizes)))
def test_any_division_into_batches_gives_the_same(sizes: list[int]) -> None:
    logits, target = random_images([3])
    metric, order = SplitAccuracy(COUNTS), torch.randperm(200)
    for batch in order.split(sizes):
        metric.update(logits[batch], target[batch])
    actual = {name: value.item() for name, value in metric.compute().items()}
    assert actual == pytest.approx(measure(logits, target), abs=1e-6)


def test_processes_add_their_sums() -> None:
    logits, target = random_images([3])
    whole, parts = SplitAccuracy(COUNTS), [SplitAccuracy(COUNTS) for _ in range(2)]
    whole.update(logits, target)
    for rank, part in enumerate(parts):
        part.update(logits[rank::2], target[rank::2])
    assert set(whole._reductions.values()) == {torch.sum} or all(
        f.__name__ == "dim_zero_sum" for f in whole._reductions.values()
    )
    for name in whole._defaults:
        torch.testing.assert_close(getattr(parts[0], name) + getattr(parts[1], name), getattr(whole, name))


def test_reset_forgets() -> None:
    logits, target = random_images([])
    metric = SplitAccuracy(COUNTS)
    metric.update(-logits, target)
    metric.reset()
    metric.update(logits, target)
    assert {name: value.item() for name, value in metric.compute().items()} == measure(logits, target)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits(dtype: torch.dtype) -> None:
    logits, target = random_images([])
    assert measure(logits.to(dtype), target) == measure(logits.to(dtype).float(), target)


def test_the_boundaries_are_medium() -> None:
    groups = shot_groups(COUNTS)
    assert [next(name for name, mask in groups.items() if mask[c]) for c in range(8)] == GROUP
    assert torch.stack(list(groups.values())).sum(0).eq(1).all()


@pytest.mark.parametrize(
    ("counts", "many", "few", "names"),
    [
        ([5, 3], 100, 20, ["few"]),
        ([500, 50], 100, 20, ["many", "medium"]),
        ([500, 50], 49, 20, ["many"]),
        ([500, 50], 49, 50, ["many"]),  # few = many + 1 leaves no room for medium
        ([50, 49], 49, 50, ["many", "few"]),
        ([10, 1], 9, 2, ["many", "few"]),
    ],
)
def test_thresholds_are_options_and_empty_groups_are_left_out(
    counts: list[int], many: int, few: int, names: list[str]
) -> None:
    assert list(shot_groups(torch.tensor(counts), many, few)) == names
    metric = SplitAccuracy(torch.tensor(counts), many, few)
    metric.update(torch.eye(2), torch.tensor([0, 1]))
    assert [name for name in metric.compute() if name.startswith("acc_")] == [f"acc_{name}" for name in names]


@pytest.mark.parametrize("build", [shot_groups, SplitAccuracy])
def test_groups_may_not_overlap(build: type[SplitAccuracy]) -> None:
    with pytest.raises(ValueError, match=r"few \(102\) must not be larger than many \+ 1 \(101\)"):
        build(COUNTS, many=100, few=102)


def test_memory_is_linear_in_the_number_of_classes() -> None:
    classes = 8142  # of iNaturalist 2018
    metric = SplitAccuracy(torch.arange(classes))
    target = torch.randint(classes, (4,))
    metric.update(F.one_hot(target, classes).float(), target)
    assert metric.compute()["acc"] == 1
    shapes = {tuple(value.shape) for value in [*metric.metric_state.values(), *metric.groups.values()]}
    assert shapes == {(classes,)}
