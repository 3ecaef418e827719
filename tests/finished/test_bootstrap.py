"""The paired bootstrap against one that draws images and runs one by one."""

import numpy as np
import pytest

from lt_lightning.finished import bootstrap
from lt_lightning.finished.bootstrap import paired_interval


def slow(reference, other, weight, samples, seed):
    """Draws images and runs, and averages, in loops."""
    generator, differences = np.random.default_rng(seed), []
    for _ in range(samples):
        images = generator.integers(0, len(weight), len(weight))
        means = []
        for runs in (other, reference):
            drawn = [runs[generator.integers(len(runs))] for _ in runs]
            means.append(sum(sum(run[i] * weight[i] for i in images) for run in drawn) / len(runs))
        differences.append((means[0] - means[1]) / sum(weight[i] for i in images))
    return np.quantile(differences, [0.025, 0.975])


@pytest.mark.parametrize(("runs", "others"), [(1, 1), (3, 2)])
def test_interval_is_that_of_drawing_one_by_one(runs, others):
    generator = np.random.default_rng(1)
    easy = generator.random(60)
    reference = generator.random((runs, 60)) < easy
    other = generator.random((others, 60)) < np.minimum(easy + 0.15, 1)
    weight = generator.choice([0.5, 1.0, 2.0], 60)
    ours = paired_interval(reference, other, weight)
    low, high = slow(reference, other, weight, 1500, 0)
    assert ours.low == pytest.approx(low, abs=0.03)
    assert ours.high == pytest.approx(high, abs=0.03)
    assert ours.difference == pytest.approx(((other @ weight).mean() - (reference @ weight).mean()) / weight.sum())


def test_width_of_one_run_each_is_that_of_the_formula():
    """Of a mean of paired differences d the variance is (mean d^2 - (mean d)^2) / N."""
    reference, other = np.arange(4000)[None] % 4 > 0, np.arange(4000)[None] % 5 > 0
    d = other.astype(float) - reference
    deviation = np.sqrt(((d**2).mean() - d.mean() ** 2) / 4000)
    ours = paired_interval(reference, other, np.ones(4000))
    assert (ours.high - ours.low) / 2 == pytest.approx(1.96 * deviation, rel=0.05)


def test_seeds_of_a_method_widen_the_interval():
    """One run knows all images, another none, and the reference half: what is drawn is 0, 1/2 or 1."""
    runs, half = np.array([[True] * 1000, [False] * 1000]), np.arange(1000)[None] % 2 > 0
    difference, low, high = paired_interval(half, runs, np.ones(1000))
    assert (difference, low, high) == (0, pytest.approx(-0.5, abs=0.05), pytest.approx(0.5, abs=0.05))


def test_what_both_do_alike_cancels():
    same = np.random.default_rng(0).random((1, 100)) < 0.5
    assert paired_interval(same, same, np.ones(100)) == (0, 0, 0)


def test_parts_are_the_whole(monkeypatch):
    monkeypatch.setattr(bootstrap, "NUMBERS", 700)
    reference, other = np.arange(40)[None] % 4 > 0, np.arange(40)[None] % 5 > 0
    parts = paired_interval(reference, other, np.ones(40), samples=1000)
    monkeypatch.undo()
    whole = paired_interval(reference, other, np.ones(40), samples=1000)
    assert np.allclose(parts, whole, atol=0.06)
