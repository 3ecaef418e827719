"""DigitsLT is scikit-learn's digits, split without overlap."""

from collections import Counter
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from lt_lightning.data import DigitsLT, Split

SPLITS: list[Split] = ["train", "val", "test"]


@pytest.fixture(scope="module")
def official() -> Any:
    return pytest.importorskip("sklearn.datasets").load_digits()


def pairs(split: Split, factor: float = 50.0) -> list[tuple[bytes, int]]:
    """Pixels and digit of each image."""
    image, target = DigitsLT(imbalance_factor=factor).arrays(split)
    return [(i.tobytes(), t) for i, t in zip(image, target.tolist(), strict=True)]


def test_the_shipped_file_is_scikit_learns(official: Any) -> None:
    with (files("lt_lightning.data") / "embedded" / "digits.npz").open("rb") as file, np.load(file) as stored:
        assert np.array_equal(stored["image"], official.images)
        assert np.array_equal(stored["target"], official.target)


@pytest.mark.parametrize("factor", [1, 50, 100])
def test_splits_are_disjoint_and_truly_labelled(factor: float, official: Any) -> None:
    grey = np.round(official.images * 255 / 16).astype(np.uint8)
    known = Counter((np.stack([i] * 3, -1).tobytes(), t) for i, t in zip(grey, official.target.tolist(), strict=True))
    assert max(known.values()) == 1  # so an image is known by its pixels
    used = Counter(pair for split in SPLITS for pair in pairs(split, factor))
    assert used <= known


@pytest.mark.parametrize(
    ("split", "counts"),
    [
        ("train", [100, 59, 35, 21, 12, 7, 4, 2, 1, 1]),
        ("val", [24] * 10),
        ("test", [50] * 10),
    ],
)
def test_counts(split: Split, counts: list[int]) -> None:
    data = DigitsLT()
    image, target = data.arrays(split)
    assert image.shape == (sum(counts), 8, 8, 3)
    assert (image.dtype, target.dtype) == (np.uint8, np.int64)
    assert np.bincount(target).tolist() == counts
    assert data.class_names == [str(digit) for digit in range(10)]
    if split == "train":
        assert data.class_counts == counts
        groups = [sum(n > data.many for n in counts), sum(n < data.few for n in counts)]
        assert groups == [2, 5]


@pytest.mark.parametrize("factor", [1, 2.5, 10, 100])
def test_the_factor_shapes_training_only(factor: float) -> None:
    data = DigitsLT(imbalance_factor=factor)
    counts = np.bincount(data.arrays("train")[1], minlength=10).tolist()
    assert counts == data.class_counts
    assert (counts[0], counts[-1]) == (100, int(100 / factor))
    for split in ("val", "test"):
        assert pairs(split, factor) == pairs(split)


@pytest.mark.parametrize(("larger", "smaller"), [(50, 10), (100, 50), (10, 1)])
def test_a_smaller_factor_only_adds_training_images(larger: float, smaller: float) -> None:
    assert set(pairs("train", larger)) < set(pairs("train", smaller))


@pytest.mark.parametrize("factor", [0.5, 101, float("nan")])
def test_bad_factors_are_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="imbalance_factor"):
        DigitsLT(imbalance_factor=factor)


def test_channels_are_equal_and_span_the_range() -> None:
    image, _ = DigitsLT().arrays("train")
    assert (image == image[..., :1]).all()
    assert (image.min(), image.max()) == (0, 255)


def test_mean_and_deviation_are_those_of_balanced_training_pixels() -> None:
    data = DigitsLT(imbalance_factor=1)
    pixel = data.arrays("train")[0] / 255
    assert pixel.mean((0, 1, 2)) == pytest.approx(data.mean, abs=0.005)
    assert pixel.std((0, 1, 2)) == pytest.approx(data.std, abs=0.005)
    assert not data.selected_on_test
