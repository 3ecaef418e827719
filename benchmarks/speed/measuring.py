"""Losses and figures at 8,142 classes, against the dense forms of the field's repositories."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy

from lt_lightning.losses.contrastive import BalancedContrast, ExpertViews
from lt_lightning.metrics import SplitAccuracy
from speed.alone import in_a_process
from speed.measure import Faster, Pair, Takes
from speed.training import counts

BATCH, DIM, FEATURES, TEMPERATURE = 256, 128, 64, 0.1
IMAGES = 24_426


def losses() -> Sequence[Pair]:
    """Balanced contrast of 256 images in two views, forward and backward, heads not counted."""
    pairs = []
    for classes, goal in ((100, 1.0), (1000, 1.0), (8142, 1.0)):
        ours, dense = contrasts(classes)
        name = f"balanced contrast, {classes:,} classes"
        pairs.append(Pair(name, "dense form", ours, dense, 1, "step", Faster(goal)))
    fresh = "dense form, each in a process of its own, memory as it comes"
    calls = (in_a_process(side, kept=False) for side in ("contrast", "dense"))
    return [*pairs, Pair("balanced contrast, 8,142 classes", fresh, *calls, 1, "step", Faster(3.5))]


def contrasts(classes: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """Ours and the dense form, on the same directions."""
    torch.manual_seed(0)
    term = BalancedContrast(torch.tensor(counts(classes)), 1, FEATURES, TEMPERATURE, DIM)
    term.projectors, term.prototypes = (nn.ModuleList([nn.Identity()]) for _ in range(2))
    features = torch.randn(1, 2, BATCH, DIM, requires_grad=True)
    prototypes = torch.randn(1, classes, DIM, requires_grad=True)
    target = torch.randint(classes, (BATCH,))
    views = ExpertViews(features, torch.empty(1, 2, BATCH, 0), prototypes, target, 0)

    def ours() -> None:
        term(views).backward()

    def reference() -> None:
        dense(features[0].flatten(0, 1), prototypes[0], target).backward()

    return ours, reference


def dense(features: Tensor, prototypes: Tensor, target: Tensor) -> Tensor:
    """The loss with one-hot rows of all classes, and a list of Python's of each column's weight."""
    anchor, classes = F.normalize(features, dim=-1), len(prototypes)
    label = torch.cat([target, target, torch.arange(classes)])
    of_class = torch.eye(classes)[label].sum(0)
    logit = anchor @ torch.cat([anchor, F.normalize(prototypes, dim=-1)]).T / TEMPERATURE
    others = 1 - torch.eye(len(anchor), len(label))
    positive = (label[: len(anchor), None] == label).float() * others
    weight = torch.stack([of_class[c] for c in label]).expand(len(anchor), -1) - positive
    normaliser = (logit.exp() * others / weight).sum(1, keepdim=True).log()
    return ((normaliser - logit) * positive).sum(1).div(positive.sum(1)).mean()


def evaluation() -> Sequence[Pair]:
    """Counts of 24,426 predicted classes, and the figures that need no more: accuracies by class."""
    pairs = []
    for classes in (100, 1000, 8142):
        torch.manual_seed(0)
        target, predicted = torch.randint(classes, (2, IMAGES))
        ours, theirs = (
            SplitAccuracy(torch.tensor(counts(classes))),
            MulticlassAccuracy(classes, average=None, validate_args=False),
        )
        goal = Takes(2.0) if classes == 8142 else Faster(1.0)
        sides = (ours, ours.count), (theirs, theirs.update)
        calls = [evaluated(metric, add, predicted, target) for metric, add in sides]
        name = f"counts of predicted classes, {classes:,} classes"
        pairs.append(Pair(name, "torchmetrics, one update", *calls, 1, "evaluation", goal))
    return pairs


def evaluated(
    metric: Metric, add: Callable[[Tensor, Tensor], None], predicted: Tensor, target: Tensor
) -> Callable[[], None]:
    """Counts, at once, and what is made of them."""

    def run() -> None:
        metric.reset()
        add(predicted, target)
        metric.compute()

    return run
