import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lt_lightning.data.stratified import stratified_split

COUNTS = st.lists(st.integers(1, 40), min_size=1, max_size=8)


def split(counts, fractions, seed=0):
    target = np.repeat(np.arange(len(counts)), counts)
    paths = [f"{c}/{i}.jpg" for c, n in enumerate(counts) for i in range(n)]
    return target, paths, stratified_split(paths, target, fractions, seed)


@settings(max_examples=100, deadline=None)
@given(COUNTS, st.sampled_from([0.0, 0.1, 0.2, 0.4]), st.sampled_from([0.0, 0.1, 0.3]))
def test_each_image_is_in_one_part_and_each_class_keeps_its_share(counts, test, val):
    target, _, parts = split(counts, {"test": test, "val": val})
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(target)))
    per_class = {name: np.bincount(target[chosen], minlength=len(counts)) for name, chosen in parts.items()}
    for c, n in enumerate(counts):
        assert per_class["train"][c] >= 1
        assert per_class["test"][c] == (min(max(1, round(test * n)), n - 1) if test else 0)
        if n >= 3 and val and test:
            assert per_class["val"][c] >= 1
        if n == 2 and test:
            assert (per_class["train"][c], per_class["test"][c]) == (1, 1)


def test_parts_follow_from_paths_and_seed_alone():
    target, paths, parts = split([9, 5, 2], {"test": 0.3, "val": 0.2})
    chosen = {name: {paths[i] for i in indices} for name, indices in parts.items()}
    order = np.random.default_rng(0).permutation(len(paths))
    shuffled = stratified_split([paths[i] for i in order], target[order], {"test": 0.3, "val": 0.2})
    assert {name: {paths[order[i]] for i in indices} for name, indices in shuffled.items()} == chosen
    assert chosen["test"] == {"0/0.jpg", "0/1.jpg", "0/7.jpg", "1/2.jpg", "1/4.jpg", "2/0.jpg"}  # golden
    _, _, other = split([9, 5, 2], {"test": 0.3, "val": 0.2}, seed=1)
    assert {paths[i] for i in other["test"]} != chosen["test"]


@pytest.mark.parametrize("fractions", [{"test": 0.6, "val": 0.4}, {"test": -0.1}])
def test_fractions_that_make_no_sense(fractions):
    with pytest.raises(ValueError, match="leave something for training"):
        stratified_split([], np.zeros(0, int), fractions)
