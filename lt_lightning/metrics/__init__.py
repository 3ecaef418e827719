"""Measurements as torchmetrics: sums that any number of processes can share."""

from lt_lightning.metrics.shifted_accuracy import ShiftedAccuracy
from lt_lightning.metrics.split_accuracy import SplitAccuracy, shot_groups

__all__ = ["ShiftedAccuracy", "SplitAccuracy", "shot_groups"]
