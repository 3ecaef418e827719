"""Batched augmentation against torchvision's on one Pillow image at a time.

CPU time on one thread, both sides interleaved in one process, from uint8 arrays to a uint8 batch. The figures are
medians over rounds; the range of the ratio is that of the rounds.

    python benchmarks/augment.py --out augment.json
"""

import lt_lightning  # noqa: F401  # first: it makes torchvision importable

# isort: split
import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms

from lt_lightning.data import augment

PAIRS: dict[str, tuple[nn.Module, Callable[[Image.Image], Image.Image], float]] = {  # ours, theirs, goal of the ratio
    "crop+flip": (
        nn.Sequential(augment.RandomCrop(), augment.RandomHorizontalFlip()),
        transforms.Compose([transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]),
        25,
    ),
    "rotation": (augment.RandomRotation(), transforms.RandomRotation(15), 4),
    "AutoAugment": (augment.AutoAugment(), transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10), 5),
    "RandAugment": (augment.RandAugment(), transforms.RandAugment(), 4),
}


def batched(module: nn.Module, image: Tensor, batch_size: int) -> None:
    for batch in image.split(batch_size):
        module(batch)


def per_sample(transform: Callable[[Image.Image], Image.Image], image: Tensor, batch_size: int) -> None:
    for batch in image.split(batch_size):
        torch.from_numpy(np.stack([np.asarray(transform(Image.fromarray(one))) for one in batch.numpy()]))


def seconds(function: Callable[[], None], repeats: int) -> float:
    start = time.process_time()
    for _ in range(repeats):
        function()
    return (time.process_time() - start) / repeats


def compare(name: str, image: Tensor, batch_size: int, rounds: int) -> dict[str, float | str]:
    ours, theirs, goal = PAIRS[name]
    batched(ours, image, batch_size), per_sample(theirs, image[:batch_size], batch_size)  # warm
    timed = []
    for _ in range(rounds):
        fast = seconds(lambda: batched(ours, image, batch_size), repeats=5)
        slow = seconds(lambda: per_sample(theirs, image, batch_size), repeats=1)
        timed.append((fast, slow, slow / fast))
    fast, slow, ratio = (statistics.median(column) for column in zip(*timed, strict=True))
    ratios = [row[2] for row in timed]
    rates = {"ours": len(image) / fast, "pillow": len(image) / slow}
    return {"name": name, **rates, "ratio": ratio, "lowest": min(ratios), "highest": max(ratios), "goal": goal}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--images", type=int, default=512, help="32x32 images of a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(0)
    smooth = nn.functional.interpolate(torch.rand(arguments.images, 3, 8, 8), size=32, mode="bicubic")
    image = (smooth * 255).clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous()
    rows = [compare(name, image, arguments.batch_size, arguments.rounds) for name in PAIRS]

    print(f"{'images/s/core':14s} {'ours':>9s} {'Pillow':>9s} {'ratio':>7s} {'range':>15s} {'goal':>5s}")
    for row in rows:
        print(
            "{name:14s} {ours:9,.0f} {pillow:9,.0f} {ratio:7.1f} {lowest:7.1f}-{highest:<7.1f} {goal:5g}".format(**row)
        )
    if arguments.out:
        versions = {"python": platform.python_version(), "torch": torch.__version__, "pillow": PIL.__version__}
        settings = {"batch_size": arguments.batch_size, "images": arguments.images, "rounds": arguments.rounds}
        report = {"unit": "images per second of CPU time, 1 thread", **settings, "versions": versions, "rows": rows}
        arguments.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
