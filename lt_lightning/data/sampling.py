"""Which images form which batch: a pure function of (seed, epoch, step, rank).

Nothing here has a state that would have to be saved: a run that resumes at any step, with any number of workers, reads
the batches that the uninterrupted run would have read.

- [Kang et al., 2020] Decoupling Representation and Classifier for Long-Tailed Recognition.
  https://arxiv.org/abs/1910.09217
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler

from lt_lightning.errors import LtError

Position = Callable[[], int]  # training batches already done in the whole run


class Fetch(NamedTuple):
    """What a data set is asked for: the images of one batch, and the seed of whatever is drawn for them."""

    indices: Tensor  # (B,), int64
    seed: int
    step_seed: int = 0  # the same on all ranks


def derive_seed(*keys: int) -> int:
    """Hash whole numbers, such as (seed, epoch, step, rank), to one 63-bit seed; (1, 2) and (1, 2, 0) differ."""
    return int(np.random.SeedSequence((len(keys), *keys)).generate_state(1, np.uint64)[0] >> np.uint64(1))


class Order(ABC):
    """Which image stands where in an epoch: a function of the data set and of a seeded generator."""

    is_balanced = False
    """Whether classes come up equally often, so that what is learnt carries no training prior."""

    @abstractmethod
    def __call__(self, dataset: Dataset[object], generator: torch.Generator) -> Tensor:
        """Indices ``(N,)`` of an epoch's images; N is the number of images that the data set has."""


class Shuffled(Order):
    """Each image once an epoch: instance-balanced sampling."""

    def __call__(self, dataset: Dataset[object], generator: torch.Generator) -> Tensor:
        """A permutation, ``(N,)``."""
        return torch.randperm(len(dataset), generator=generator)  # type: ignore[arg-type]


class ClassBalanced(Order):
    """Each class equally often: draws a class that has images, then an image of it [Kang et al., 2020].

    Both are drawn uniformly and anew for each place. An epoch has as many places as there are images; a rare class's
    images come up many times, a frequent class's not all. The data set must have ``target``, classes ``(N,)``.
    """

    is_balanced = True

    def __call__(self, dataset: Dataset[object], generator: torch.Generator) -> Tensor:
        """Indices ``(N,)``, with repetitions."""
        target = torch.as_tensor(dataset.target)  # type: ignore[attr-defined]
        by_class, counts = target.argsort(stable=True), target.bincount()
        present = counts.nonzero()[:, 0]
        drawn = present[torch.randint(len(present), target.shape, generator=generator)]
        place = torch.randint(2**62, target.shape, generator=generator) % counts[drawn]  # biased by less than 1e-9
        return by_class[(counts.cumsum(0) - counts)[drawn] + place]


class TrainBatches(DistributedSampler[Fetch]):
    """Batches of one epoch after another.

    A step takes ``batch_size`` images a rank from one shared order, so that two ranks with batches of 64 see in
    each step what one rank with batches of 128 sees. The last, smaller batch of an epoch is shared out evenly; what
    cannot be, or would leave a rank fewer than two images (batch normalisation needs two), is left out of that epoch.

    It is a ``DistributedSampler`` in name so that Lightning does not replace it; ranks are its own business.

    Args:
        dataset: The training images.
        batch_size: Images B of a batch on one rank.
        seed: Seed of the run.
        position: Tells how many batches of the run are done when an epoch begins.
        order: Which image stands where in an epoch; :class:`Shuffled` by default.
        limit: Batches of an epoch that are used, as ``Trainer(limit_train_batches=...)``.
        num_ranks: Number of processes.
        rank: This process.

    Raises:
        LtError: There are too few images for one batch.
    """

    def __init__(
        self,
        dataset: Dataset[object],
        batch_size: int,
        seed: int,
        position: Position,
        order: Order | None = None,
        limit: int | float = 1.0,
        num_ranks: int = 1,
        rank: int = 0,
    ) -> None:
        super().__init__(dataset, num_ranks, rank, seed=seed)
        self.batch_size, self.position, self.order = batch_size, position, order or Shuffled()
        self.num_images: int = len(dataset)  # type: ignore[arg-type]
        step = batch_size * num_ranks
        rest = self.num_images % step // num_ranks
        self.sizes = [batch_size] * (self.num_images // step) + [rest] * (rest >= 2)
        if not self.sizes:
            what = f"{self.num_images} training images give {num_ranks} processes no batch of two or more"
            raise LtError(what, "trainer.devices", "name fewer devices, or add images")
        self.num_used = limit if isinstance(limit, int) else int(len(self.sizes) * limit)

    @property
    def used(self) -> int:
        """Batches of an epoch that are used."""
        return min(self.num_used, len(self)) or len(self)

    def __len__(self) -> int:
        return len(self.sizes)

    def __iter__(self) -> Iterator[Fetch]:
        done = self.position()
        epoch, first = divmod(done, self.used)
        order = self.order(self.dataset, torch.Generator().manual_seed(derive_seed(self.seed, epoch)))
        for step in range(first, len(self)):
            size = self.sizes[step]
            start = step * self.batch_size * self.num_replicas + self.rank * size
            seeds = derive_seed(self.seed, epoch, step, self.rank), derive_seed(self.seed, epoch, step)
            yield Fetch(order[start : start + size], *seeds)


class EvalBatches(DistributedSampler[Fetch]):
    """Batches in file order that hold each image exactly once, on any number of ranks.

    torch's ``DistributedSampler`` repeats images until all ranks have equally many; here ranks may differ by one image.
    A rank without images has one batch of none, so that it takes part in what all do together.

    Args:
        dataset: The images to evaluate; only their number N matters.
        batch_size: Images B of a batch on one rank.
        num_ranks: Number of processes.
        rank: This process.
    """

    def __init__(self, dataset: Dataset[object], batch_size: int, num_ranks: int = 1, rank: int = 0) -> None:
        super().__init__(dataset, num_ranks, rank, shuffle=False)
        indices = torch.arange(len(dataset))[rank::num_ranks]  # type: ignore[arg-type]
        self.batches = torch.split(indices, batch_size)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Fetch]:
        return (Fetch(indices, 0) for indices in self.batches)
