"""Classifiers: the last layer of an expert.

- [Cao et al., 2019] Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss (LDAM), which compares
  directions. https://arxiv.org/abs/1906.07413
- [Wang et al., 2021] Long-tailed Recognition by Routing Diverse Distribution-Aware Experts (RIDE; the scale 30).
  https://arxiv.org/abs/2010.01809
- [He et al., 2015] Delving Deep into Rectifiers. https://arxiv.org/abs/1502.01852
- [Kang et al., 2020] Decoupling Representation and Classifier for Long-Tailed Recognition.
  https://arxiv.org/abs/1910.09217
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


class ScaledClassifier(nn.Module):
    """Logits times one learnable scale a class, from 1 on: learnable weight scaling, LWS [Kang et al., 2020].

    A linear classifier's bias is scaled with its vector, as in the official code; of a cosine classifier, whose vectors
    have no length, the logits are scaled.

    Args:
        classifier: A classifier of C classes.
        num_classes: C.
    """

    def __init__(self, classifier: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.classifier, self.scale = classifier, nn.Parameter(torch.ones(num_classes))

    def forward(self, features: Tensor) -> Tensor:
        """``(B, D)`` to ``(B, C)``."""
        logits: Tensor = self.classifier(features)
        return self.scale * logits


class TauNormalised(nn.Module):
    """Inner products with class vectors divided by a power tau of their length [Kang et al., 2020].

    ``tau = 0`` leaves vectors as they are, ``tau = 1`` makes all equally long. Lengths are in units of their geometric
    mean over classes: a factor common to all logits, which leaves every prediction as the paper has it and keeps a
    learnt tau from acting as a temperature. There is no bias, as in the official code; the classifier's is not used.

    Args:
        classifier: A linear classifier of C classes.

    Raises:
        ValueError: The classifier is not linear.
    """

    shortest = 1e-12  # vectors below this length, of classes never seen, keep their size

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        if not isinstance(classifier, nn.Linear):
            raise ValueError("tau-normalisation needs a linear classifier: lengths play no part in any other")
        self.classifier, self.tau = classifier, nn.Parameter(torch.zeros(()))

    def forward(self, features: Tensor) -> Tensor:
        """``(B, D)`` to ``(B, C)``."""
        weight = self.classifier.weight
        log_length = torch.linalg.vector_norm(weight, dim=1, keepdim=True).clamp_min(self.shortest).log()
        return F.linear(features, weight * torch.exp(self.tau * (log_length.mean() - log_length)))


def linear_classifier(num_features: int, num_classes: int) -> nn.Linear:
    """Inner products and a bias; weights start normal with variance ``2 / D`` [He et al., 2015], biases at zero."""
    classifier = nn.Linear(num_features, num_classes)
    nn.init.kaiming_normal_(classifier.weight)
    nn.init.zeros_(classifier.bias)
    return classifier


ClassifierName = Literal["linear", "cosine"]

CLASSIFIERS: dict[str, Callable[[int, int], nn.Module]] = {"linear": linear_classifier, "cosine": CosineClassifier}
"""A function of the numbers of features and classes for each name."""
