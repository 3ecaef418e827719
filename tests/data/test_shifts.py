import numpy as np
import pytest

from lt_lightning.data.counts import exponential_counts
from lt_lightning.data.shifts import shifted_parts

BALANCED = np.tile(np.arange(10), 50)


def counts(part: np.ndarray, num_classes: int = 10) -> list[int]:
    return np.bincount(BALANCED[part], minlength=num_classes).tolist()


def test_parts_rise_and_fall_with_the_training_counts() -> None:
    parts = shifted_parts(BALANCED, [100, 59, 35, 21, 12, 7, 4, 2, 1, 1])
    assert counts(parts["uniform"]) == [50] * 10
    assert counts(parts["forward50"]) == exponential_counts(50, 10, 50)
    assert counts(parts["backward50"]) == exponential_counts(50, 10, 50)[::-1]
    assert counts(parts["forward2"])[0] == 50
    assert counts(parts["forward2"])[-1] == 25
    assert len(parts) == 11


def test_the_order_is_that_of_the_counts_not_of_the_labels() -> None:
    parts = shifted_parts(BALANCED, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    assert counts(parts["forward10"]) == exponential_counts(50, 10, 10)[::-1]


def test_cifar_100_has_the_published_sizes() -> None:
    """100 test images a class at strength 50: the counts of CIFAR-100-LT's formula with 100 in the place of 500."""
    target = np.repeat(np.arange(100), 100)
    parts = shifted_parts(target, exponential_counts(500, 100, 100))
    kept = np.bincount(target[parts["forward50"]], minlength=100)
    assert kept.tolist() == [int(100 * 0.02 ** (c / 99)) for c in range(100)]


def test_images_are_drawn_once_and_from_their_class() -> None:
    for part in shifted_parts(BALANCED, list(range(10, 0, -1))).values():
        assert len(set(part.tolist())) == len(part)


@pytest.mark.parametrize(("images", "names"), [(1, {"uniform"}), (2, {"uniform", "forward2", "backward2"})])
def test_a_strength_that_would_empty_a_class_is_left_out(images: int, names: set[str]) -> None:
    assert set(shifted_parts(np.tile(np.arange(10), images), [3] * 10)) == names


def test_a_class_without_test_images_leaves_nothing_to_draw() -> None:
    assert shifted_parts(np.array([0, 0, 1]), [3, 2, 1]) == {}
