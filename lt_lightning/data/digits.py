"""DigitsLT: a small real set that travels with the package.

The images are scikit-learn's copy of the test part of "Optical Recognition of Handwritten Digits" (E. Alpaydin and C.
Kaynak, UCI Machine Learning Repository, 1998, https://doi.org/10.24432/C50P49), licensed CC BY 4.0.
"""

from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lt_lightning.data.augment import Augmentation, RandomCrop
from lt_lightning.data.base import Split
from lt_lightning.data.counts import exponential_counts, select_long_tail
from lt_lightning.data.memory import InMemoryDataModule

LARGEST, NUM_VAL, NUM_TEST = 100, 24, 50  # per class; the rarest digit has 174 images in all


class DigitsLT(InMemoryDataModule):
    """Handwritten digits, 8x8 pixels, 10 classes, long-tailed by selection.

    Training counts fall from 100 (class "0") to 100 / ``imbalance_factor`` (class "9"); at 100 they are 100 59 35 21 12
    7 4 2 1 1, 242 images. Validation has 24 and test 50 images of each class; the three never overlap. As the set is
    small, many-shot here means more than 40 training images and few-shot fewer than 10.

    Args:
        imbalance_factor: Images of the first class over those of the last, from 1 to 100.
        many: A class with more training images than this is a many-shot class.
        few: A class with fewer training images than this is a few-shot class.
        **kwargs: Arguments of :class:`~lt_lightning.data.base.LongTailDataModule`.

    Raises:
        ValueError: ``imbalance_factor`` lies outside 1 to 100.
    """

    mean, std = (0.305,) * 3, (0.376,) * 3
    size = 8
    selected_on_test = False

    def __init__(self, imbalance_factor: float = 100.0, many: int = 40, few: int = 10, **kwargs: Any) -> None:
        super().__init__(many=many, few=few, **kwargs)
        self._counts = exponential_counts(LARGEST, 10, imbalance_factor)

    @property
    def class_counts(self) -> list[int]:
        """Training images of each digit."""
        return self._counts

    def default_augment(self) -> list[Augmentation]:
        """Shifts of up to one pixel; a mirrored digit would be another digit."""
        return [RandomCrop(padding=1)]

    def arrays(self, split: Split) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Images ``(N, 8, 8, 3)``, three equal channels, and their digits ``(N,)``."""
        with (files("lt_lightning.data") / "embedded" / "digits.npz").open("rb") as file:
            stored = np.load(file, allow_pickle=False)
            image, target = stored["image"], stored["target"].astype(np.int64)
        held_out = select_long_tail(target, [NUM_VAL + NUM_TEST] * 10).reshape(10, -1)
        rest = np.setdiff1d(np.arange(len(target)), held_out)
        indices = {
            "val": held_out[:, :NUM_VAL].ravel(),
            "test": held_out[:, NUM_VAL:].ravel(),
            "train": rest[select_long_tail(target[rest], self._counts)],
        }[split]
        grey = np.round(image[indices] * (255 / 16)).astype(np.uint8)  # stored as counts of 0 to 16 inked pixels
        return np.repeat(grey[..., None], 3, axis=-1), target[indices]
