"""Training as the field's repositories do it: Pillow, one image at a time, in processes that are started each epoch.

Nothing of theirs is here: the loop restates what LDAM-DRW, RIDE, SADE and Bag of Tricks have in common. Their networks
are the same; they give images channels first and ask for the loss, as a number, and the accuracy of each step.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from lt_lightning.data import CIFAR100LT
from lt_lightning.data.augment import Augmentation, RandomCrop, RandomHorizontalFlip, RandomRotation
from speed.measure import Faster, Pair
from speed.repositories import REPOSITORIES
from speed.training import BATCH, CLASSES, Training, teacher

STEPS, WORKERS = 8, 4


class Pictures(Dataset[tuple[Tensor, int]]):
    """Random images, transformed one by one.

    Args:
        image: ``(N, 32, 32, 3)``, uint8.
        transform: From a Pillow image to a tensor.
    """

    def __init__(self, image: Tensor, transform: Callable[[Image.Image], Tensor]) -> None:
        self.image, self.transform = image.numpy(), transform

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.image[i])), i % CLASSES


def peers(clones: Path | None = None) -> Sequence[Pair]:
    """An epoch of eight batches of 128, data and all.

    Args:
        clones: Folder of clones of published repositories; those that are there are held against, too.
    """
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (STEPS * BATCH, 32, 32, 3), np.uint8))
    crop: list[Augmentation] = [RandomCrop(), RandomHorizontalFlip()]
    theirs = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    turn, theirs_turned = [*crop, RandomRotation()], [*theirs, transforms.RandomRotation(15)]
    images = STEPS * BATCH
    like = "as in the repositories, restated"
    single = looped(Training(teacher()), image, theirs)
    experts = looped(Training(teacher(3, "resnet32_reduced", 1)), image, theirs_turned)
    calls = {
        ("CE", False): ours(Training(teacher()), image, crop),
        ("CE", True): ours(Training(teacher(), True), image, crop),
        ("3 experts", False): ours(Training(teacher(3, "resnet32_reduced", 1)), image, turn),
        ("3 experts", True): ours(Training(teacher(3, "resnet32_reduced", 1), True), image, turn),
    }
    against = {"CE": [(like, single)], "3 experts": [(like, experts)]}
    for name, transform, folder in (
        ("CE", theirs, "LDAM-DRW"),
        ("3 experts", theirs_turned, "RIDE-LongTailRecognition"),
    ):
        if clones and (clones / folder).is_dir():
            build, title = REPOSITORIES[folder]
            loader = DataLoader(Pictures(image, whole(transform)), BATCH, shuffle=True, num_workers=WORKERS)
            against[name].append((title, build(clones / folder, lambda loader=loader: loader)))
    goals = {("CE", False): 1.5, ("CE", True): 2.4, ("3 experts", False): 1.4, ("3 experts", True): 2.1}
    pairs = []
    for (name, bf16), call in calls.items():
        for title, reference in against[name]:
            what, goal = f"{name}, bf16" if bf16 else name, Faster(goals[name, bf16])
            pairs.append(Pair(what, title, call, reference, images, "image", goal))
    return pairs


def ours(training: Training, image: Tensor, augment: list[Augmentation]) -> Callable[[], None]:
    """Batches from memory, augmented as a whole."""
    data = CIFAR100LT(augment=augment)
    label = torch.arange(len(image)) % CLASSES

    def run() -> None:
        for chosen in torch.randperm(len(image)).split(BATCH):
            batch = data.normalise(data.augment(image[chosen]))
            target = label[chosen]
            training.step({"image": batch, "target": target, "label": target, "index": chosen, "seed": 0,
                           "step_seed": 0})  # fmt: skip

    return run


def whole(transform: list[torch.nn.Module]) -> transforms.Compose:
    """From a Pillow image to what a network sees."""
    return transforms.Compose([*transform, transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.25,) * 3)])


def looped(training: Training, image: Tensor, transform: list[torch.nn.Module]) -> Callable[[], None]:
    """Theirs."""
    pictures = Pictures(image, whole(transform))

    def run() -> None:
        total = right = 0.0
        for batch, target in DataLoader(pictures, BATCH, shuffle=True, num_workers=WORKERS):
            loss = training.step({"image": batch, "target": target, "label": target, "index": target, "seed": 0,
                                  "step_seed": 0})  # fmt: skip
            total += loss.item()
            with torch.no_grad():
                right += (training.module(batch[:1]).argmax(-1) == target[:1]).float().mean().item()

    return run
