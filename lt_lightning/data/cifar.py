"""CIFAR-10-LT and CIFAR-100-LT from the official files.

The images are those of [Krizhevsky, 2009], https://www.cs.toronto.edu/~kriz/cifar.html (the authors state no licence);
the long-tailed subsets are those of LDAM-DRW [Cao et al., 2019], https://arxiv.org/abs/1906.07413.
"""

from functools import cached_property
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal
from urllib.error import URLError

import numpy as np
from numpy.typing import NDArray
from torchvision import datasets

from lt_lightning.data.augment import Augmentation, RandomCrop, RandomHorizontalFlip
from lt_lightning.data.base import Split
from lt_lightning.data.counts import exponential_counts, select_long_tail, step_counts
from lt_lightning.data.memory import InMemoryDataModule
from lt_lightning.errors import LtError

PROFILES = {"exponential": exponential_counts, "step": step_counts}


class CIFARLT(InMemoryDataModule):
    """What CIFAR-10-LT and CIFAR-100-LT share.

    The field has no validation images for these sets: validation is the test set, so a checkpoint that is best on
    validation was selected on test, and the last epoch is the figure to report.

    Args:
        root: Folder that holds the official folder of the set, or receives it by download.
        imbalance_factor: Images of the first class over those of the last.
        profile: How counts fall over the classes.
        selection_seed: Seed of the choice of images; 0 gives the published subsets.
        **kwargs: Arguments of :class:`~lt_lightning.data.base.LongTailDataModule`.

    Raises:
        ValueError: ``imbalance_factor`` is below 1 or leaves a class empty.
        LtError: The official files are neither there nor to be downloaded, or a file is not the official one.
    """

    source: type[datasets.CIFAR10]
    num_classes: int
    largest: int
    mean, std = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
    size = 32
    selected_on_test = True

    def __init__(
        self,
        root: str = "data",
        imbalance_factor: float = 100.0,
        profile: Literal["exponential", "step"] = "exponential",
        selection_seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.root, self.selection_seed = root, selection_seed
        self._counts = PROFILES[profile](self.largest, self.num_classes, imbalance_factor)

    @property
    def class_counts(self) -> list[int]:
        """Training images of each class, by formula."""
        return self._counts

    @property
    def class_names(self) -> list[str]:
        """The official names."""
        return list(self._test.classes)

    def default_augment(self) -> list[Augmentation]:
        """Crop and flip, the "plain" recipe."""
        return [RandomCrop(padding=4), RandomHorizontalFlip()]

    def prepare_data(self) -> None:
        """Download the official archive where it is missing, and check its hash."""
        self._official(train=False, download=not self._folder.is_dir())

    def arrays(self, split: Split) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Images ``(N, 32, 32, 3)`` and classes ``(N,)``."""
        official = self._official(train=True) if split == "train" else self._test
        target = np.asarray(official.targets)
        chosen = self.selected(target) if split == "train" else np.arange(len(target))
        return np.ascontiguousarray(official.data[chosen]), target[chosen]  # the files hold planes

    def selected(self, target: NDArray[np.int64]) -> NDArray[np.int64]:
        """Indices of the long-tailed subset in the official training file, class after class, in the order chosen."""
        return select_long_tail(target, self._counts, self.selection_seed)

    @property
    def _folder(self) -> Path:
        return Path(self.root, str(self.source.base_folder))

    @cached_property
    def _test(self) -> datasets.CIFAR10:
        return self._official(train=False)

    def _official(self, train: bool, download: bool = False) -> datasets.CIFAR10:
        # torchvision compares each file with its official md5 before it unpickles it
        try:
            return self.source(self.root, train=train, download=download)
        except URLError as error:
            raise LtError(
                f"{self.source.__name__} is not there and cannot be downloaded ({error.reason})",
                str(self._folder),
                f"put the official files of {self.source.url} there, or name their parent folder by --data.root",
            ) from error
        except (RuntimeError, OSError, HTTPException) as error:
            raise LtError(
                f"{self.source.__name__} cannot be read, or a file's md5 is not the official one ({error})",
                str(self._folder),
                f"remove the folder and let it be downloaded, or unpack {self.source.url} there",
            ) from error


class CIFAR10LT(CIFARLT):
    """CIFAR-10-LT: 10 classes, 32x32 pixels; 12,406 training images at imbalance 100, 10,000 test images.

    Counts at imbalance 100: 5000 2997 1796 1077 645 387 232 139 83 50; no class is few-shot by the usual thresholds.

    Args:
        **kwargs: Arguments of :class:`CIFARLT`.
    """

    source, num_classes, largest = datasets.CIFAR10, 10, 5000

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)


class CIFAR100LT(CIFARLT):
    """CIFAR-100-LT: 100 classes, 32x32 pixels; 10,847 training images at imbalance 100, 10,000 test images.

    At imbalance 100 there are 35 many-shot, 35 medium-shot and 30 few-shot classes.

    Args:
        **kwargs: Arguments of :class:`CIFARLT`.
    """

    source, num_classes, largest = datasets.CIFAR100, 100, 500

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
