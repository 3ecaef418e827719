"""Training steps compiled: forward, losses and backward as a few large kernels, or as one CUDA graph.

A step of a small network is hundreds of small operations, and on a GPU launching them takes longer than doing them.
"""

from functools import wraps
from typing import Any, Literal

import torch
from torch import Tensor

from lt_lightning.data.base import Batch
from lt_lightning.modules import LongTailModule

Mode = Literal["default", "reduce-overhead", "max-autotune"]
"""Modes of ``torch.compile``; on a GPU the latter two replay CUDA graphs, and the last tries out kernels first."""


def compile_step(module: LongTailModule, mode: Mode) -> None:
    """Have a module train by compiled steps, from the next one on; it is compiled for each size of batch.

    Evaluation stays as it is, so figures are measured by the same operations as without. torch needs a C++ compiler for
    it, on a GPU triton, too, and keeps what it makes in ``$TORCHINDUCTOR_CACHE_DIR``.

    Args:
        module: What is trained.
        mode: How to compile.
    """
    plain: Any = module.training_step
    step: Any = torch.compile(plain, mode=mode, dynamic=False)

    @wraps(plain)
    def training_step(batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        # Numbers that differ from step to step, the seeds: as constants of the program they would have it compiled anew
        changing = {name: torch.tensor(value) for name, value in batch.items() if isinstance(value, int)}
        result: dict[str, Tensor] = step({**batch, **changing}, batch_idx)
        return result

    module.training_step = training_step  # type: ignore[method-assign]
