"""Data modules: one class for each long-tailed set, and two for anyone's own images."""

from lt_lightning.data.base import Batch, LongTailDataModule, Split
from lt_lightning.data.cifar import CIFAR10LT, CIFAR100LT
from lt_lightning.data.digits import DigitsLT
from lt_lightning.data.folder import FolderLT
from lt_lightning.data.imagenet import ImageNet20LT, ImageNetLT
from lt_lightning.data.inaturalist import INaturalist13, INaturalist2018
from lt_lightning.data.memory import InMemoryDataModule
from lt_lightning.data.places import PlacesLT
from lt_lightning.data.sampling import ClassBalanced, Shuffled
from lt_lightning.data.table import TableLT
from lt_lightning.data.views import ColorJitter, GaussianBlur, RandomGrayscale, RandomResizedCrop

__all__ = [
    "CIFAR10LT",
    "CIFAR100LT",
    "Batch",
    "ClassBalanced",
    "ColorJitter",
    "DigitsLT",
    "FolderLT",
    "GaussianBlur",
    "INaturalist13",
    "INaturalist2018",
    "ImageNet20LT",
    "ImageNetLT",
    "InMemoryDataModule",
    "LongTailDataModule",
    "PlacesLT",
    "RandomGrayscale",
    "RandomResizedCrop",
    "Shuffled",
    "Split",
    "TableLT",
]
