"""The networks and loops of published repositories, as they are, from clones that the user has.

Nothing in them is changed. What they take for granted is put in its place while they are used: a GPU (``.cuda()`` does
nothing), and packages that they import for what is not used here.
"""

import contextlib
import importlib
import io
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.optim import SGD

Batches = Callable[[], Iterable[tuple[Tensor, Tensor]]]
UNUSED = ("tensorboardX", "sklearn", "sklearn.metrics", "sklearn.utils", "sklearn.utils.multiclass", "pandas")
CLASSES, SGD_OF_ALL = 100, {"lr": 1e-3, "momentum": 0.9, "weight_decay": 5e-4}


@contextmanager
def taken_for_granted(folder: Path) -> Iterator[None]:
    """Import from a repository; its modules, whose names others have as well, are forgotten after it."""
    before = set(sys.modules)
    unused: dict[str, Any] = {name: mock.MagicMock(__spec__=None) for name in UNUSED if name not in sys.modules}
    same: Any = lambda x, *_, **__: x  # noqa: E731
    patches = [mock.patch.object(kind, "cuda", same) for kind in (Tensor, nn.Module)]
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.dict(sys.modules, unused))
            stack.enter_context(mock.patch.object(sys, "path", [str(folder), *sys.path]))
            for patch in patches:
                stack.enter_context(patch)
            yield
    finally:
        for name in set(sys.modules) - before:
            if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]


def ldam_drw(folder: Path, batches: Batches) -> Callable[[], None]:
    """An epoch by ``train`` of its cifar_train.py, cross-entropy."""
    with taken_for_granted(folder):
        script = importlib.import_module("cifar_train")
        model = script.models.resnet32(num_classes=CLASSES)
    optimizer = SGD(model.parameters(), **SGD_OF_ALL)
    args = Namespace(gpu=None, print_freq=10)

    def run() -> None:
        with taken_for_granted(folder), contextlib.redirect_stdout(io.StringIO()):
            criterion = nn.CrossEntropyLoss()
            script.train(batches(), model, criterion, optimizer, 0, args, io.StringIO(), mock.MagicMock())

    return run


def ride(folder: Path, batches: Batches) -> Callable[[], None]:
    """An epoch of its three experts of reduced width under its loss; the loop is restated from its trainer."""
    with taken_for_granted(folder):
        module = importlib.import_module("model.model")
        counts = [max(5, int(500 * 0.01 ** (c / 99))) for c in range(CLASSES)]
        model = module.ResNet32Model(num_classes=CLASSES, reduce_dimension=True, use_norm=True, num_experts=3)
        loss = importlib.import_module("model.loss").RIDELoss(
            counts, additional_diversity_factor=-0.45, reweight_epoch=160
        )
    optimizer = SGD(model.parameters(), nesterov=True, **SGD_OF_ALL)

    def run() -> None:
        model.train()
        loss._hook_before_epoch(0)
        total = right = 0.0
        for image, target in batches():
            optimizer.zero_grad()
            output = model(image)
            extra = {"logits": output["logits"].transpose(0, 1)} if isinstance(output, dict) else {
                "logits": model.backbone.logits
            }  # fmt: skip
            output = output["output"] if isinstance(output, dict) else output
            value = loss(output_logits=output, target=target, extra_info=extra)
            value.backward()
            optimizer.step()
            with torch.no_grad():
                total += value.item()
                right += (output.argmax(1) == target).sum().item()

    return run


REPOSITORIES = {
    "LDAM-DRW": (ldam_drw, "LDAM-DRW's own network and loop"),
    "RIDE-LongTailRecognition": (ride, "RIDE's own network and loss"),
}
"""Folders as ``git clone`` names them."""


def commit(folder: Path) -> str:
    """Of a clone; unknown where it is none."""
    head = folder / ".git" / "HEAD"
    return head.read_text().strip()[-40:][:7] if head.is_file() else "of unknown commit"
