"""Data modules: one class for each long-tailed set."""

from lt_lightning.data.base import Batch, LongTailDataModule, Split
from lt_lightning.data.cifar import CIFAR10LT, CIFAR100LT
from lt_lightning.data.digits import DigitsLT
from lt_lightning.data.sampling import ClassBalanced, Shuffled
from lt_lightning.data.views import ColorJitter, GaussianBlur, RandomGrayscale, RandomResizedCrop

__all__ = [
    "CIFAR10LT",
    "CIFAR100LT",
    "Batch",
    "ClassBalanced",
    "ColorJitter",
    "DigitsLT",
    "GaussianBlur",
    "LongTailDataModule",
    "RandomGrayscale",
    "RandomResizedCrop",
    "Shuffled",
    "Split",
]
