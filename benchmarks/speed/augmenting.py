"""Augmentation of whole batches against torchvision's on one Pillow image at a time."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms

from lt_lightning.data import CIFAR10LT
from lt_lightning.data.augment import AutoAugment, RandAugment, RandomCrop, RandomHorizontalFlip, RandomRotation
from speed.measure import Faster, Pair

IMAGES, BATCH, REPEATS = 512, 128, 5
AUGMENTATIONS: dict[str, tuple[list[nn.Module], list[nn.Module], float]] = {  # ours, theirs, how many times as fast
    "": ([], [], 25),
    ", rotation": ([RandomRotation()], [transforms.RandomRotation(15)], 4),
    ", AutoAugment": ([AutoAugment()], [transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10)], 5),
    ", RandAugment": ([RandAugment()], [transforms.RandAugment()], 4),
}


def augmenting() -> Sequence[Pair]:
    """The whole way of a training image: from uint8 arrays to the normalised float batch."""
    torch.manual_seed(0)
    smooth = nn.functional.interpolate(torch.rand(IMAGES, 3, 8, 8), size=32, mode="bicubic")
    image = (smooth * 255).clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous()
    data = CIFAR10LT()
    as_float = [transforms.ToTensor(), transforms.Normalize(data.mean, data.std)]
    pairs = []
    for name, (ours, theirs, goal) in AUGMENTATIONS.items():
        augment = nn.Sequential(RandomCrop(), RandomHorizontalFlip(), *ours)
        crop = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
        pillow = transforms.Compose([*crop, *theirs, *as_float])
        calls = batched(data, augment, image), single(pillow, image)
        pairs.append(
            Pair(f"crop, flip{name}, normalise", "torchvision on Pillow", *calls, IMAGES, "image", Faster(goal))
        )
    return pairs


def batched(data: CIFAR10LT, augment: nn.Module, image: Tensor) -> Callable[[], float]:
    """Ours; several times, as one is too short to be timed."""
    from speed.measure import cpu_seconds

    def run() -> float:
        start = cpu_seconds()
        for _ in range(REPEATS):
            for some in image.split(BATCH):
                data.normalise(augment(some))
        return (cpu_seconds() - start) / REPEATS

    return run


def single(transform: Callable[[Image.Image], Tensor], image: Tensor) -> Callable[[], None]:
    """Theirs."""
    arrays = [np.asarray(some) for some in image.split(BATCH)]

    def run() -> None:
        for some in arrays:
            torch.stack([transform(Image.fromarray(one)) for one in some])

    return run
