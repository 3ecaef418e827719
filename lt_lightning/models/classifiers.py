"""Classifiers: the last layer of an expert.

- [Cao et al., 2019] Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss (LDAM), which compares
  directions. https://arxiv.org/abs/1906.07413
- [Wang et al., 2021] Long-tailed Recognition by Routing Diverse Distribution-Aware Experts (RIDE; the scale 30).
  https://arxiv.org/abs/2010.01809
- [He et al., 2015] Delving Deep into Rectifiers. https://arxiv.org/abs/1502.01852
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CosineClassifier(nn.Module):
    """Logits ``scale * cos(f, w)``: only directions count, so a frequent class gains nothing from a longer vector.

    The class vectors start as random directions of length one. Cosines are computed in the precision of the weight,
    float32 under autocast too: at 30, bfloat16 would round logits to multiples of 1/8.

    Args:
        num_features: D, the length of a feature vector.
        num_classes: C.
        scale: Largest possible logit.
    """

    shortest = 1e-4  # features below this length keep their size: zero stays zero and gradients stay bounded

    def __init__(self, num_features: int, num_classes: int, scale: float = 30.0) -> None:
        super().__init__()
        self.scale = scale
        self.weight = nn.Parameter(F.normalize(torch.empty(num_classes, num_features).uniform_(-1, 1)))

    def forward(self, features: Tensor) -> Tensor:
        """``(B, D)`` to ``(B, C)``."""
        with torch.autocast(features.device.type, enabled=False):
            directions = F.normalize(features.to(self.weight.dtype), eps=self.shortest)
            return self.scale * F.linear(directions, F.normalize(self.weight, eps=self.shortest))


def linear_classifier(num_features: int, num_classes: int) -> nn.Linear:
    """Inner products and a bias; weights start normal with variance ``2 / D`` [He et al., 2015], biases at zero."""
    classifier = nn.Linear(num_features, num_classes)
    nn.init.kaiming_normal_(classifier.weight)
    nn.init.zeros_(classifier.bias)
    return classifier


ClassifierName = Literal["linear", "cosine"]

CLASSIFIERS: dict[str, Callable[[int, int], nn.Module]] = {"linear": linear_classifier, "cosine": CosineClassifier}
"""A function of the numbers of features and classes for each name."""
