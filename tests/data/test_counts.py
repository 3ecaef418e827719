"""Class counts are those of protocol.md 4.1; the selection is that of LDAM-DRW."""

# ruff: noqa: NPY002 - the published subsets come from numpy's global generator
import math
from collections.abc import Callable

import numpy as np
import pytest

from lt_lightning.data.counts import exponential_counts, select_long_tail, step_counts

Profile = Callable[[int, int, float], list[int]]
PUBLISHED = [  # classes, factor, total, first, last, many, medium, few
    (100, 200, 9502, 500, 2, 30, 31, 39),
    (100, 100, 10847, 500, 5, 35, 35, 30),
    (100, 50, 12608, 500, 10, 41, 41, 18),
    (100, 20, 15907, 500, 25, 53, 47, 0),
    (100, 10, 19573, 500, 50, 69, 31, 0),
    (10, 200, 11203, 5000, 25, 7, 3, 0),
    (10, 100, 12406, 5000, 50, 8, 2, 0),
    (10, 50, 13996, 5000, 100, 9, 1, 0),
    (10, 20, 17023, 5000, 250, 10, 0, 0),
    (10, 10, 20431, 5000, 500, 10, 0, 0),
]


@pytest.mark.parametrize(("classes", "factor", "total", "first", "last", "many", "medium", "few"), PUBLISHED)
def test_cifar_counts_are_the_published_ones(
    classes: int, factor: float, total: int, first: int, last: int, many: int, medium: int, few: int
) -> None:
    counts = exponential_counts(50_000 // classes, classes, factor)
    assert len(counts) == classes
    assert counts == sorted(counts, reverse=True)
    assert (sum(counts), counts[0], counts[-1]) == (total, first, last)
    groups = [sum(n > 100 for n in counts), sum(20 <= n <= 100 for n in counts), sum(n < 20 for n in counts)]
    assert groups == [many, medium, few]


@pytest.mark.parametrize(
    ("factor", "counts"),
    [
        (100, [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]),
        (50, [5000, 3237, 2096, 1357, 878, 568, 368, 238, 154, 100]),
        (10, [5000, 3871, 2997, 2320, 1796, 1391, 1077, 834, 645, 500]),
    ],
)
def test_every_count_of_cifar_10(factor: float, counts: list[int]) -> None:
    assert exponential_counts(5000, 10, factor) == counts


def test_head_and_tail_of_cifar_100() -> None:
    counts = exponential_counts(500, 100, 100)
    assert counts[:11] == [500, 477, 455, 434, 415, 396, 378, 361, 344, 328, 314]
    assert counts[-11:] == [7, 7, 7, 6, 6, 6, 6, 5, 5, 5, 5]


@pytest.mark.parametrize(
    ("largest", "classes", "factor", "counts"),
    [
        (5000, 10, 100, [5000] * 5 + [50] * 5),
        (500, 4, 200, [500, 500, 2, 2]),
        (10, 5, 2, [10, 10, 5, 5, 5]),
        (10, 1, 1, [10]),
    ],
)
def test_step_counts(largest: int, classes: int, factor: float, counts: list[int]) -> None:
    assert step_counts(largest, classes, factor) == counts


@pytest.mark.parametrize("profile", [exponential_counts, step_counts])
@pytest.mark.parametrize("factor", [0.5, 0, -1, math.nan, math.inf, -math.inf, 500.5])
def test_bad_factors_are_refused(profile: Profile, factor: float) -> None:
    with pytest.raises(ValueError, match=r"imbalance_factor must lie in \[1, 500\].*" + str(factor)):
        profile(500, 10, factor)


@pytest.mark.parametrize("profile", [exponential_counts, step_counts])
def test_any_factor_allowed_leaves_each_class_an_image(profile: Profile) -> None:
    for largest in range(1, 600):
        for factor in (1, largest):  # int(49 * (1 / 49)) is 0
            counts = profile(largest, 3, factor)
            assert (counts[0], counts[-1]) == (largest, largest // factor), (largest, factor)


def test_one_class_keeps_all() -> None:
    assert exponential_counts(7, 1, 3) == [7]


@pytest.mark.parametrize("seed", [0, 3])
def test_selection_is_ldam_drws(seed: int) -> None:
    counts = [20, 9, 3, 1]
    labels = np.arange(100) * 7 % 4
    state = np.random.get_state()
    np.random.seed(seed)
    expected = []
    for c, count in enumerate(counts):
        indices = np.where(np.array(labels) == c)[0]
        np.random.shuffle(indices)
        expected += indices[:count].tolist()
    np.random.set_state(state)
    chosen = select_long_tail(labels, counts, seed)
    assert chosen.dtype == np.int64
    assert chosen.tolist() == expected
    assert np.array_equal(np.random.get_state()[1], state[1])


def test_selection_refuses_a_class_that_is_too_small() -> None:
    with pytest.raises(ValueError, match="class 1 should keep 3 images but has 2"):
        select_long_tail(np.array([0, 1, 0, 1]), [2, 3])
