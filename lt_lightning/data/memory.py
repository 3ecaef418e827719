"""Sets small enough to live in memory as uint8: a batch is one indexed read."""

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lt_lightning.data.base import Batch, LongTailDataModule, Split
from lt_lightning.data.sampling import EvalBatches, Fetch, TrainBatches
from lt_lightning.errors import LtError


class ArrayDataset(Dataset[Batch]):
    """Images in memory; a batch is one indexed read.

    Args:
        image: ``(N, H, W, 3)``, uint8.
        target: ``(N,)``, int64.
    """

    def __init__(self, image: Tensor, target: Tensor) -> None:
        self.image, self.target = image, target

    def __len__(self) -> int:
        return len(self.target)

    def to(self, device: torch.device) -> "ArrayDataset":
        """The same images on a device, where batches are then read."""
        return ArrayDataset(self.image.to(device), self.target.to(device))

    def __getitem__(self, fetch: Fetch) -> Batch:
        index = fetch.indices.to(self.image.device, non_blocking=True)
        return {
            "image": self.image[index],
            "target": self.target[index],
            "index": index,
            "seed": fetch.seed,
            "step_seed": fetch.step_seed,
        }


class InMemoryDataModule(LongTailDataModule):
    """A long-tailed set whose splits are arrays; without loading processes they lie on the device that trains.

    Args:
        **kwargs: Arguments of :class:`LongTailDataModule`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._datasets: dict[Split, ArrayDataset] = {}

    @property
    def size(self) -> int:  # type: ignore[override]
        """That of the test images, where a set does not say it before it is read."""
        return self.dataset("test").image.shape[1]

    @abstractmethod
    def arrays(self, split: Split) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Read one split.

        Returns:
            Images ``(N, H, W, 3)`` and their classes ``(N,)``.
        """

    def dataset(self, split: Split) -> ArrayDataset:
        """One split, read once."""
        if split not in self._datasets:
            image, target = self.arrays(split)
            self._datasets[split] = ArrayDataset(torch.from_numpy(image), torch.from_numpy(target))
        return self._datasets[split]

    def _loader(
        self, dataset: Dataset[Batch], sampler: TrainBatches | EvalBatches, pinned: bool = True
    ) -> DataLoader[Batch | LtError]:
        assert self.trainer is not None
        if self.num_workers or not isinstance(dataset, ArrayDataset):  # loading processes know no device
            return super()._loader(dataset, sampler)
        return super()._loader(dataset.to(self.trainer.strategy.root_device), sampler, pinned=False)
