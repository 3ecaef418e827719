"""Data modules: one class for each long-tailed set."""

from lt_lightning.data.base import Batch, LongTailDataModule, Split
from lt_lightning.data.cifar import CIFAR10LT, CIFAR100LT
from lt_lightning.data.digits import DigitsLT

__all__ = ["CIFAR10LT", "CIFAR100LT", "Batch", "DigitsLT", "LongTailDataModule", "Split"]
