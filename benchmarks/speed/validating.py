"""What a validation costs: the forward pass, and all figures that ``lt`` makes of the logits."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import torch

from lt_lightning.callbacks import Calibration, Diversity, Evaluation, Plots
from lt_lightning.modules import Teacher
from speed.measure import Call, Costs, Pair, timed
from speed.training import BATCH, CLASSES, batch, counts, repeat, step, teacher

SETS = {100: 10_000, 8142: 24_426}
"""Images that are validated, by number of classes: CIFAR-100's and iNaturalist's."""
BATCHES = 4
"""Of these images; the time of a batch is taken for that of all others."""


def validating() -> Sequence[Pair]:
    """Figures beside the forward pass of the same images, and both beside as many images of training."""
    pairs = []
    for experts, who in ((1, "1 network"), (3, "3 experts")):
        for classes in SETS:
            found = Validation(experts, classes)
            name = f"all figures of a validation, {who}, {classes:,} classes"
            pairs.append(Pair(name, "its forward pass", found.figures, found.forward, 1, "image", Costs(None)))
        found, train = Validation(experts, CLASSES), an_image(step(network(experts, CLASSES), batch()))
        name = f"validation, {who}, {CLASSES:,} classes"
        pairs.append(Pair(name, "as many images of training", found.whole, train, 1, "image", Costs(0.35)))
    return pairs


def network(experts: int, classes: int) -> Teacher:
    """One true ResNet-32, or several of reduced width on a shared trunk."""
    return teacher(classes=classes) if experts == 1 else teacher(experts, "resnet32_reduced", 1, classes)


def an_image(train: Call) -> Callable[[], float]:
    """CPU seconds an image of a step."""
    return lambda: timed(train)[0] / BATCH


class Validation:
    """A validation by the callbacks of a run, without trainer and loggers around them.

    Args:
        experts: Of the network.
        classes: Of its data.
    """

    def __init__(self, experts: int, classes: int) -> None:
        torch.manual_seed(0)
        self.module = network(experts, classes).eval()
        self.module.log_dict = lambda *_: None  # type: ignore[method-assign, assignment]
        self.callbacks = [Evaluation(), Calibration(), Diversity(), Plots(pictures=False)]
        self.batch, self.images = batch(BATCH, classes), SETS[classes]
        target = SimpleNamespace(target=torch.arange(self.images) % classes)
        data = SimpleNamespace(class_counts=counts(classes), many=100, few=20, dataset=lambda _: target)
        self.trainer: Any = SimpleNamespace(datamodule=data, sanity_checking=True)
        self.forward()

    @torch.inference_mode()
    def forward(self) -> float:
        """CPU seconds an image of the forward pass, whose logits are kept."""
        return self._of_batches(self._predict) / BATCH

    @torch.inference_mode()
    def figures(self) -> float:
        """CPU seconds an image of what is made of logits; what is done once is shared by all images of the set."""
        once = timed(lambda: self._each("on_validation_epoch_start"))[0]
        each = self._of_batches(lambda: self._each("on_validation_batch_end", self.logits, self.batch, 0))
        once += timed(lambda: self._each("on_validation_epoch_end"))[0]
        return each / BATCH + once / self.images

    def whole(self) -> float:
        """CPU seconds an image of both."""
        return self.forward() + self.figures()

    def _predict(self) -> None:
        self.logits = self.module.validation_step(self.batch, 0)

    def _each(self, hook: str, *words: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(self.trainer, self.module, *words)

    def _of_batches(self, call: Callable[[], None]) -> float:
        """CPU seconds a batch."""
        return timed(repeat(call, BATCHES))[0] / BATCHES
