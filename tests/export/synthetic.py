"""Checkpoints of models that nobody trained, as `lt fit` writes them."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import instantiate_module
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from lt_lightning.modules import LongTailModule

COUNTS = [100, 59, 35, 21, 12, 7, 4, 2, 1, 1]
DIGITS = {"class_path": "lt_lightning.data.DigitsLT", "init_args": {}}
FOLDER = {"class_path": "lt_lightning.data.FolderLT", "init_args": {"root": "/nowhere", "size": 40}}


def loss(name: str, **arguments: Any) -> dict[str, Any]:
    """A loss or a combination, as checkpoints name it."""
    return {"class_path": f"lt_lightning.losses.{name}", "init_args": arguments}


def checkpoint(
    path: Path, kind: str, data: dict[str, Any] = DIGITS, names: list[str] | None = None, **arguments: Any
) -> LongTailModule:
    """Write one; returns its model, in evaluation mode."""
    hyper = {"_class_path": f"lt_lightning.modules.{kind}", "class_counts": COUNTS, **arguments}
    torch.manual_seed(0)
    module = instantiate_module(LightningModule, deepcopy(hyper))
    norms = [part for part in module.net.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    for block in module.net.modules():  # deep networks of random weights would round by more than 1e-4
        if isinstance(block, BasicBlock | Bottleneck):
            nn.init.constant_(getattr(block, "bn3" if isinstance(block, Bottleneck) else "bn2").weight, 0.2)
    side = data["init_args"].get("size", 8)
    with torch.no_grad():
        pixels = (torch.rand(16, 3, side, side) - 0.45) / 0.23
        module.net.train()(pixels)  # statistics as after training, and logits of that size
    model = {"class_path": hyper["_class_path"], "init_args": arguments}
    config = {"model": model, "data": data, "trainer": {"precision": "32-true"}}
    content = {
        "epoch": 3,
        "global_step": 40,
        "pytorch-lightning_version": "2.6.6",
        "state_dict": module.state_dict(),
        "hyper_parameters": hyper | {"_instantiator": "lightning.pytorch.cli.instantiate_module"},
        "lt_config": yaml.safe_dump(config),
        "lt_class_names": names or [str(c) for c in range(len(COUNTS))],
        "lt_class_counts": COUNTS,
    }
    torch.save(content, path)
    return module.eval()
