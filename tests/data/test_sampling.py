"""Batches are a pure function of (seed, epoch, step, rank)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lt_lightning.data.sampling import ClassBalanced, EvalBatches, Fetch, Order, Shuffled, TrainBatches, derive_seed
from lt_lightning.errors import LtError


class Images(Dataset[object]):
    def __init__(self, number: int) -> None:
        self.number = number
        self.target = np.arange(number) ** 2 % 11  # of eleven classes, six have images, not equally many

    def __len__(self) -> int:
        return self.number


def train(number: int, batch_size: int, done: int = 0, seed: int = 0, **kwargs: Any) -> list[Fetch]:
    """The batches of an epoch that are left after so many of the run."""
    sampler = TrainBatches(Images(number), batch_size, seed, position=lambda: done, **kwargs)
    return list(sampler)


def run(number: int, batch_size: int, epochs: int, used: int, **kwargs: Any) -> list[Fetch]:
    """A run of whole epochs, each cut to the batches used, as the trainer cuts it."""
    return [fetch for e in range(epochs) for fetch in train(number, batch_size, e * used, **kwargs)[:used]]


def plain(fetches: list[Fetch]) -> list[tuple[list[int], int]]:
    return [(fetch.indices.tolist(), fetch.seed) for fetch in fetches]


def indices(fetches: list[Fetch]) -> list[int]:
    return torch.cat([fetch.indices for fetch in fetches]).tolist()


@pytest.mark.parametrize(("number", "batch_size"), [(20, 4), (21, 5), (30, 4), (7, 7), (7, 100), (5, 1)])
def test_an_epoch_is_a_permutation(number: int, batch_size: int) -> None:
    batches = train(number, batch_size)
    assert {len(fetch.indices) for fetch in batches[:-1]} <= {batch_size}
    # 21 = 4 * 5 + 1: the last image alone would be a batch of one
    kept = number - (number % batch_size == 1)
    assert len(set(indices(batches))) == len(indices(batches)) == kept
    assert set(indices(batches)) <= set(range(number))
    assert len(TrainBatches(Images(number), batch_size, 0, position=lambda: 0)) == len(batches)


def test_epochs_differ_and_follow_from_seed_and_epoch() -> None:
    epochs = [indices(train(40, 8, done, seed)) for seed in (0, 1) for done in (0, 5, 10)]
    assert len({tuple(epoch) for epoch in epochs}) == 6
    assert all(epoch != sorted(epoch) for epoch in epochs)
    torch.manual_seed(1)
    torch.rand(3)
    again = TrainBatches(Images(40), 8, 1, position=lambda: 10)
    assert [plain(list(again)) for _ in range(2)] == 2 * [plain(train(40, 8, 10, 1))]  # no state is kept
    assert indices(list(again)) == epochs[-1]


def test_the_default_order_is_the_permutation_of_seed_and_epoch() -> None:
    generator = torch.Generator().manual_seed(derive_seed(3, 2))
    expected = torch.randperm(40, generator=generator).tolist()
    assert indices(train(40, 8, 10, 3)) == indices(train(40, 8, 10, 3, order=Shuffled())) == expected


def test_balanced_epochs_have_as_many_images_and_differ() -> None:
    epochs = [indices(train(40, 8, done, seed, order=ClassBalanced())) for seed in (0, 1) for done in (0, 5)]
    assert {len(epoch) for epoch in epochs} == {40}
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert all(len(set(epoch)) < 40 for epoch in epochs)  # images come up again


def frequencies(target: Tensor | np.ndarray, epochs: int) -> Tensor:
    """How often each image comes up, as a share of all places of balanced epochs."""
    data = Images(len(target))
    data.target = target
    drawn = [ClassBalanced()(data, torch.Generator().manual_seed(e)) for e in range(epochs)]
    return torch.cat(drawn).bincount(minlength=len(target)) / (len(target) * epochs)


def test_classes_with_images_come_up_equally_often_and_so_do_their_images() -> None:
    target = torch.tensor([4, 0, 1, 4, 4, 1, 4, 4, 4, 4])  # classes 2 and 3 have no image
    share = frequencies(target, 4000)
    expected = torch.tensor([1 / (3 * target.eq(c).sum().item()) for c in target.tolist()])
    # four standard deviations of a share of 40,000 draws
    assert ((share - expected).abs() < 4 * (expected * (1 - expected) / 40_000).sqrt()).all()


def test_targets_may_be_an_array_and_one_class_may_be_all() -> None:
    assert torch.equal(frequencies(np.array([2, 0, 2, 1]), 50), frequencies(torch.tensor([2, 0, 2, 1]), 50))
    assert (frequencies(torch.full((5,), 3), 400) - 0.2).abs().max() < 0.04


@pytest.mark.parametrize("order", [Shuffled(), ClassBalanced()])
def test_the_global_generator_is_left_alone(order: Order) -> None:
    before = torch.get_rng_state()
    train(40, 8, order=order)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("order", [Shuffled(), ClassBalanced()])
@pytest.mark.parametrize(("limit", "used"), [(1.0, 6), (0.5, 3), (0.4, 2), (2, 2), (1, 1), (100, 6)])
def test_any_position_gives_the_rest_of_the_run(limit: float, used: int, order: Order) -> None:
    epochs = 3
    whole = run(23, 4, epochs, used, limit=limit, order=order)
    assert len(whole) == epochs * used
    assert len({tuple(fetch.indices.tolist()) for fetch in whole}) == len(whole)
    for done in range(epochs * used):
        rest = train(23, 4, done, limit=limit, order=order)[: used - done % used]
        assert plain(rest) == plain(whole[done : done - done % used + used]), done


def test_the_position_is_asked_for_anew_each_epoch() -> None:
    done = 0
    sampler = TrainBatches(Images(12), 4, 0, position=lambda: done)
    first = list(sampler)
    done = 3
    assert plain(list(sampler)) == plain(train(12, 4, 3)) != plain(first)


@pytest.mark.parametrize("order", [Shuffled(), ClassBalanced()])
@pytest.mark.parametrize("ranks", [2, 3, 4])
@pytest.mark.parametrize("number", range(24, 50))
def test_ranks_together_see_one_large_batch(ranks: int, number: int, order: Order) -> None:
    batch_size, step = 4, 4 * ranks
    together = train(number, step, done=0, order=order)
    by_rank = [train(number, batch_size, num_ranks=ranks, rank=rank, order=order) for rank in range(ranks)]
    rest = number % step // ranks
    assert {len(fetches) for fetches in by_rank} == {number // step + (rest >= 2)}
    for fetches, whole in zip(zip(*by_rank, strict=True), together, strict=False):
        sizes = {len(fetch.indices) for fetch in fetches}
        assert len(sizes) == 1  # all ranks have as many
        seen = indices(list(fetches))
        assert seen == whole.indices[: len(seen)].tolist()
        assert 0 <= len(whole.indices) - len(seen) < ranks


@pytest.mark.parametrize(
    ("number", "ranks", "sizes"),
    [(16, 2, [4, 4]), (20, 2, [4, 4, 2]), (21, 2, [4, 4, 2]), (19, 2, [4, 4]), (23, 2, [4, 4, 3]), (17, 1, [4] * 4)],
)
def test_the_last_batch_is_shared_or_dropped(number: int, ranks: int, sizes: list[int]) -> None:
    for rank in range(ranks):
        assert [len(fetch.indices) for fetch in train(number, 4, num_ranks=ranks, rank=rank)] == sizes


@pytest.mark.parametrize(("number", "ranks"), [(0, 1), (1, 1), (3, 2), (5, 3)])
def test_too_few_images_are_refused(number: int, ranks: int) -> None:
    with pytest.raises(LtError, match=f"{number} training images give {ranks} processes"):
        train(number, 8, num_ranks=ranks)


def test_seeds_are_distinct() -> None:
    seeds = [
        fetch.seed
        for seed in (0, 1)
        for rank in range(4)
        for epoch in range(10)
        for fetch in train(100, 1, epoch * 25, seed, num_ranks=4, rank=rank)
    ]
    assert len(set(seeds)) == len(seeds) == 2000
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeds_are_hashes_of_the_keys_in_order() -> None:
    assert derive_seed(0, 1, 2, 3) == 1_407_404_626_934_298_656  # the same on any machine
    assert len({derive_seed(*keys) for keys in ((1, 2), (2, 1), (1, 2, 0), (1, 2, 3), (3, 2, 1))}) == 5


def evaluations(number: int, ranks: int, batch_size: int) -> list[list[Fetch]]:
    samplers = [EvalBatches(Images(number), batch_size, ranks, rank) for rank in range(ranks)]
    batches = [list(sampler) for sampler in samplers]
    assert [len(sampler) for sampler in samplers] == [len(of_rank) for of_rank in batches]
    return batches


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("batch_size", range(1, 9))
def test_evaluation_has_each_image_once(ranks: int, batch_size: int) -> None:
    for number in range(1, 41):
        batches = evaluations(number, ranks, batch_size)
        seen = [index for of_rank in batches for fetch in of_rank for index in fetch.indices.tolist()]
        assert sorted(seen) == list(range(number))
        shares = [sum(len(fetch.indices) for fetch in of_rank) for of_rank in batches]
        assert max(shares) - min(shares) <= 1
        assert all(len(fetch.indices) <= batch_size for of_rank in batches for fetch in of_rank)
        # a rank without images has one batch, of none, and so takes part in what all do together
        assert all(
            len(of_rank) == max(-(-share // batch_size), 1) for of_rank, share in zip(batches, shares, strict=True)
        )


def test_evaluation_keeps_file_order() -> None:
    assert indices(evaluations(10, 1, 4)[0]) == list(range(10))


@pytest.mark.parametrize("make", [lambda d: TrainBatches(d, 2, 0, lambda: 0), lambda d: EvalBatches(d, 2)])
def test_lightning_leaves_the_sampler_in_place(make: Callable[[Images], object]) -> None:
    assert isinstance(make(Images(4)), torch.utils.data.DistributedSampler)
