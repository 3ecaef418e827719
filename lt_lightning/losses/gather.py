"""Batches of all processes as one."""

import torch
from torch import Tensor, distributed
from torch.distributed.nn import functional as distributed_functional


def gather(x: Tensor, dim: int = 0) -> Tensor:
    """Concatenate the tensors of all processes along ``dim``, with gradient; in a single process, ``x`` itself.

    Each process gets the gradients of all, so that a loss of the whole batch, computed on every process, gives after
    DDP's averaging the gradient of one process with the whole batch. All processes must bring equal shapes.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return x
    return torch.cat(distributed_functional.all_gather(x.contiguous()), dim)  # type: ignore[no-untyped-call]
