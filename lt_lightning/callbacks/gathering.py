"""What all processes have together."""

import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torchmetrics.utilities.distributed import gather_all_tensors


def of_all_processes(part: Tensor, trainer: Trainer) -> Tensor:
    """What all processes have, ``(N, ...)`` on the CPU, of this one's part; parts may differ in length."""
    if trainer.world_size == 1:
        return part
    return torch.cat(gather_all_tensors(part.to(trainer.strategy.root_device))).cpu()
