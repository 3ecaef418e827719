"""Batched augmentation against torchvision's on one Pillow image at a time.

CPU time on one thread, both sides interleaved in one process. First each augmentation alone, from uint8 arrays to a
uint8 batch; then the whole way of a training image: crop, flip, the augmentation, and the normalised float batch. The
figures are medians over rounds, the range is that of the rounds' ratios.

    python benchmarks/augment.py --out augment.json
"""

import lt_lightning  # noqa: F401  # first: it makes torchvision importable

# isort: split
import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import PIL
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms

from lt_lightning.data import CIFAR10LT
from lt_lightning.data.augment import AutoAugment, RandAugment, RandomCrop, RandomHorizontalFlip, RandomRotation

Batched = Callable[[Tensor], Tensor]
PerSample = Callable[[Image.Image], Tensor]
Row = dict[str, float | str | None]

AUGMENTATIONS: dict[str, tuple[list[nn.Module], list[nn.Module], float]] = {  # ours, theirs, goal for the whole way
    "rotation": ([RandomRotation()], [transforms.RandomRotation(15)], 4),
    "AutoAugment": ([AutoAugment()], [transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10)], 5),
    "RandAugment": ([RandAugment()], [transforms.RandAugment()], 4),
}
OURS = [RandomCrop(), RandomHorizontalFlip()]
THEIRS = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]


def pairs() -> Iterator[tuple[str, Batched, PerSample, float | None]]:
    """Name, our side, torchvision's side, goal."""
    data = CIFAR10LT()
    as_float = [transforms.ToTensor(), transforms.Normalize(data.mean, data.std)]
    for name, (ours, theirs, _) in {"crop+flip": (OURS, THEIRS, 0), **AUGMENTATIONS}.items():
        yield name, nn.Sequential(*ours), transforms.Compose([*theirs, np.array, torch.from_numpy]), None
    for name, (ours, theirs, goal) in {"none": ([], [], 25), **AUGMENTATIONS}.items():
        augment = nn.Sequential(*OURS, *ours)
        yield (
            f"crop+flip, {name}, normalise",
            lambda batch, augment=augment: data.normalise(augment(batch)),
            transforms.Compose([*THEIRS, *theirs, *as_float]),
            goal,
        )


def seconds(function: Callable[[], object], repeats: int) -> float:
    start = time.process_time()
    for _ in range(repeats):
        function()
    return (time.process_time() - start) / repeats


def compare(ours: Batched, theirs: PerSample, batches: tuple[Tensor, ...], rounds: int) -> Row:
    arrays = [batch.numpy() for batch in batches]
    timed = []
    for _ in range(rounds + 1):
        fast = seconds(lambda: [ours(batch) for batch in batches], repeats=5)
        slow = seconds(lambda: [torch.stack([theirs(Image.fromarray(one)) for one in some]) for some in arrays], 1)
        timed.append((fast, slow, slow / fast))
    fasts, slows, ratios = zip(*timed[1:], strict=True)  # the first warms up
    images = sum(map(len, batches))
    return {
        "ours": images / statistics.median(fasts),
        "pillow": images / statistics.median(slows),
        "ratio": statistics.median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--images", type=int, default=512, help="32x32 images of a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    settings = vars(parser.parse_args())
    out = settings.pop("out")

    torch.set_num_threads(1)
    torch.manual_seed(0)
    smooth = nn.functional.interpolate(torch.rand(settings["images"], 3, 8, 8), size=32, mode="bicubic")
    image = (smooth * 255).clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous()
    batches = image.split(settings["batch_size"])

    rows: list[Row] = []
    print(f"{'images/s/core':34s} {'ours':>9s} {'Pillow':>9s} {'ratio':>7s} {'range':>15s} {'goal':>5s}")
    for name, ours, theirs, goal in pairs():
        row = compare(ours, theirs, batches, settings["rounds"])
        rows.append({"name": name, "goal": goal, **row})
        figures = "{ours:9,.0f} {pillow:9,.0f} {ratio:7.1f} {lowest:7.1f}-{highest:<7.1f}".format(**row)
        print(f"{name:34s} {figures} {goal or '':5}")
    if out:
        versions = {"python": platform.python_version(), "torch": torch.__version__, "pillow": PIL.__version__}
        report = {"unit": "images per second of CPU time, 1 thread", **settings, "versions": versions, "rows": rows}
        out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
