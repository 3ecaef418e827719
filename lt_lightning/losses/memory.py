"""A memory of past projections, as many of each class, so that poor classes find positives in every batch."""

import torch
from torch import Tensor, nn

EMPTY = -1
"""Label of a place that nothing was remembered in yet."""


class ClassMemory(nn.Module):
    """The last projections of each class, for each expert; part of checkpoints.

    Args:
        num_experts: E.
        num_classes: C.
        size: Projections M remembered of each class; 0 remembers nothing.
        dim: P, the length of a projection.
    """

    vectors: Tensor
    written: Tensor

    def __init__(self, num_experts: int, num_classes: int, size: int, dim: int) -> None:
        super().__init__()
        if size < 0:
            raise ValueError(f"memory must not be negative, got {size}")
        self.size = size
        self.register_buffer("vectors", torch.zeros(num_experts, num_classes * size, dim))
        self.register_buffer("written", torch.zeros(num_classes, dtype=torch.int64))

    def recall(self) -> tuple[Tensor, Tensor]:
        """What is remembered.

        Returns:
            Projections ``(E, C * M, P)``, a copy that stays as it is, and the class of each, ``(C * M,)``; ``EMPTY``
            where nothing was remembered yet.
        """
        place = torch.arange(self.vectors.shape[1], device=self.written.device)
        label = place // max(self.size, 1)
        return self.vectors.clone(), torch.where(place % max(self.size, 1) < self.written[label], label, EMPTY)

    @torch.no_grad()
    def remember(self, projection: Tensor, label: Tensor) -> None:
        """Put projections ``(E, B, P)`` of classes ``(B,)`` in the place of the oldest of their classes.

        Of more than M of a class the last M stay: those before them write, in their places, what these write.
        """
        count = torch.zeros_like(self.written).index_add_(0, label, torch.ones_like(label))
        self.written += count
        if self.size == 0:
            return
        order = label.argsort(stable=True)
        sorted_label = label[order]
        first = (count.cumsum(0) - count)[sorted_label]
        nth = torch.arange(len(label), device=label.device) - first
        newest = nth + (count[sorted_label] - 1 - nth) // self.size * self.size
        place = sorted_label * self.size + (self.written - count)[sorted_label].add(nth) % self.size
        self.vectors[:, place] = projection[:, order[first + newest]].to(self.vectors.dtype)
