"""Heads that map features to where a contrastive loss compares them; no part of the model that predicts.

- [Chen & He, 2021] Exploring Simple Siamese Representation Learning (SimSiam: projector and predictor).
  https://arxiv.org/abs/2011.10566
- [Khosla et al., 2020] Supervised Contrastive Learning (the head of two layers). https://arxiv.org/abs/2004.11362
- [Zhu et al., 2022] Balanced Contrastive Learning for Long-Tailed Visual Recognition (batch norm in it).
  https://arxiv.org/abs/2207.09052
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _hidden(num_inputs: int, num_outputs: int) -> list[nn.Module]:
    return [nn.Linear(num_inputs, num_outputs, bias=False), nn.BatchNorm1d(num_outputs), nn.ReLU(inplace=True)]


def _initialised(*layers: nn.Module) -> nn.Sequential:
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
    return nn.Sequential(*layers)


def projector(num_features: int, hidden: int, dim: int) -> nn.Sequential:
    """SimSiam's projector, three layers, batch norm after each, the last without affine: ``(B, D)`` to ``(B, P)``."""
    last = [nn.Linear(hidden, dim, bias=False), nn.BatchNorm1d(dim, affine=False)]
    return _initialised(*_hidden(num_features, hidden), *_hidden(hidden, hidden), *last)


def predictor(dim: int) -> nn.Sequential:
    """SimSiam's predictor, two layers with a bottleneck of a quarter: ``(B, P)`` to ``(B, P)``."""
    return _initialised(*_hidden(dim, dim // 4), nn.Linear(dim // 4, dim))


def mlp(num_features: int, dim: int) -> nn.Sequential:
    """The usual head of contrastive losses with negatives, two layers: ``(B, D)`` to ``(B, P)``."""
    return _initialised(*_hidden(num_features, num_features), nn.Linear(num_features, dim))


def each(heads: nn.ModuleList, features: Tensor) -> Tensor:
    """Apply each expert's head to its features ``(E, V, B, D)``, view by view, as batch norm is: ``(E, V, B, P)``."""
    return torch.stack([torch.stack([head(f) for f in views]) for head, views in zip(heads, features, strict=True)])


SHORTEST = 1e-3
"""Length below which a vector has hardly a direction: the gradient of one is at most 1 / SHORTEST times the
direction's, which float16 can hold, of a zero vector, too."""


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def directions(x: Tensor) -> Tensor:
    """Vectors ``(..., P)`` of length one, in float32 or wider even under autocast; a zero vector stays zero."""
    with torch.autocast(x.device.type, enabled=False):
        return F.normalize(_wide(x), dim=-1, eps=SHORTEST)


def similarity(a: Tensor, b: Tensor) -> Tensor:
    """Inner products, float32 or wider even under autocast: ``(..., N, P)`` and ``(..., M, P)`` to ``(..., N, M)``."""
    with torch.autocast(a.device.type, enabled=False):
        return _wide(a) @ _wide(b).mT


def weighted_similarity(a: Tensor, b: Tensor, log_weight: Tensor) -> Tensor:
    """Inner products ``(E, N, M)`` of ``(E, N, P)`` and ``(E, M, P)``, plus ``(N, M)``, as :func:`similarity`."""
    with torch.autocast(a.device.type, enabled=False):
        return torch.baddbmm(log_weight, _wide(a), _wide(b).mT)
