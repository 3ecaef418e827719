"""Measurements as torchmetrics: sums that any number of processes can share."""

from lt_lightning.metrics.agreement import Agreement
from lt_lightning.metrics.bias_variance import bias_variance, means_by_split
from lt_lightning.metrics.calibration import CalibrationError, Reliability
from lt_lightning.metrics.confusion import ConfusedPairs
from lt_lightning.metrics.diversity import EnsembleTheory, decompose
from lt_lightning.metrics.largest_losses import LargestLosses
from lt_lightning.metrics.precision_recall import AveragePrecision
from lt_lightning.metrics.shifted_accuracy import ShiftedAccuracy
from lt_lightning.metrics.split_accuracy import SplitAccuracy, shot_groups
from lt_lightning.metrics.temperature import BestTemperature

__all__ = [
    "Agreement",
    "AveragePrecision",
    "BestTemperature",
    "CalibrationError",
    "ConfusedPairs",
    "EnsembleTheory",
    "LargestLosses",
    "Reliability",
    "ShiftedAccuracy",
    "SplitAccuracy",
    "bias_variance",
    "decompose",
    "means_by_split",
    "shot_groups",
]
