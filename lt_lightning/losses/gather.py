"""Batches of all processes as one."""

from typing import Any

import torch
from torch import Tensor, distributed


class _AllGather(torch.autograd.Function):
    """``(...)`` of each process to ``(processes, ...)``; the gradient of a part is the sum of what all found for it.

    torch.distributed.nn's own all_gather gives wrong gradients on gloo where they are not contiguous (torch 2.13).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, x)
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total[distributed.get_rank()]


def gather(x: Tensor, dim: int = 0) -> Tensor:
    """Concatenate the tensors of all processes along ``dim``, with gradient; in a single process, ``x`` itself.

    Each process gets the gradients of all, so that a loss of the whole batch, computed on every process, gives after
    DDP's averaging the gradient of one process with the whole batch. All processes must bring equal shapes.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return x
    parts: Tensor = _AllGather.apply(x.contiguous())  # type: ignore[no-untyped-call]
    return torch.cat(parts.unbind(), dim)
