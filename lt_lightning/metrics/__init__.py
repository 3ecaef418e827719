"""Measurements as torchmetrics: sums that any number of processes can share."""

from lt_lightning.metrics.split_accuracy import SplitAccuracy, shot_groups

__all__ = ["SplitAccuracy", "shot_groups"]
