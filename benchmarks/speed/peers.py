"""Training as the field's repositories do it: Pillow, one image at a time, in processes that are started each epoch.

Nothing of theirs is here: the loop restates what LDAM-DRW, RIDE, SADE and Bag of Tricks have in common. Their networks
are the same; they give images channels first and ask for the loss, as a number, and the accuracy of each step.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from lt_lightning.data import CIFAR100LT
from lt_lightning.data.augment import Augmentation, RandomCrop, RandomHorizontalFlip, RandomRotation
from lt_lightning.losses import LDAM, DistributionAwareDiversity
from lt_lightning.modules import Teacher
from speed.measure import Call, Faster, Pair
from speed.repositories import REPOSITORIES
from speed.training import BATCH, CLASSES, Training, counts, teacher

STEPS, WORKERS = 8, 1
"""A real epoch starts four processes for 85 steps: one for 21. What they do for an image takes the same CPU time in one
process, so one is started here. That is still too many for 8 steps, by less than a hundredth of their time.
"""


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


def ride() -> Teacher:
    """What ``configs/ride.yaml`` trains in its first epochs, at the widths of its authors."""
    widths = {"backbone": "resnet32_reduced", "shared_stages": 1, "classifier": "cosine"}
    module = Teacher(counts(), [LDAM] * 3, [DistributionAwareDiversity], **widths)  # type: ignore[arg-type]
    module.terms[0].reweighted = False  # as DeferredReweighting has it until classes have weights
    return module


class Rival(NamedTuple):
    """What we train, and whom it is held against.

    Attributes:
        build: Makes what is trained.
        turned: Whether images are rotated, too.
        goals: How many times as fast, in fp32 and in bf16; the other side is in fp32 for both.
        clone: Folder of the repository whose code is the other side; without one the loop is restated.
    """

    build: Callable[[], Teacher]
    turned: bool
    goals: tuple[float, float]
    clone: str = ""


CE, THREE = (1.5, 2.4), (1.4, 2.1)
RIVALS = {
    "CE": [Rival(teacher, False, CE), Rival(teacher, False, CE, "LDAM-DRW")],
    "3 experts": [Rival(partial(teacher, 3, "resnet32_reduced", 1), True, THREE)],
    "RIDE": [Rival(ride, True, THREE, "RIDE-LongTailRecognition")],
}


def peers(clones: Path | None = None) -> Sequence[Pair]:
    """Epochs of eight batches of 128, data and all.

    Args:
        clones: Folder of clones of published repositories; those that are there are held against, too.
    """
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (STEPS * BATCH, 32, 32, 3), np.uint8))
    pairs = []
    for name, rivals in RIVALS.items():
        for rival in rivals:
            if not rival.clone or (clones and (clones / rival.clone).is_dir()):
                title, reference = other_side(rival, image, clones)
                augment: list[Augmentation] = [RandomCrop(), RandomHorizontalFlip()]
                augment += [RandomRotation()] * rival.turned
                for bf16, goal in enumerate(rival.goals):
                    call = ours(Training(rival.build(), bool(bf16)), image, augment)
                    what, against = (f"{name}, bf16", f"{title}, in fp32") if bf16 else (name, title)
                    pairs.append(Pair(what, against, call, reference, len(image), "image", Faster(goal)))
    return pairs


def other_side(rival: Rival, image: Tensor, clones: Path | None) -> tuple[str, Call]:
    """What it is called, and an epoch of it."""
    turn = [transforms.RandomRotation(15)] * rival.turned
    steps = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(), *turn, transforms.ToTensor()]
    pictures = Pictures(image, transforms.Compose([*steps, transforms.Normalize((0.5,) * 3, (0.25,) * 3)]))
    loader = DataLoader(pictures, BATCH, shuffle=True, num_workers=WORKERS)
    if clones and rival.clone:
        build, title = REPOSITORIES[rival.clone]
        return title, build(clones / rival.clone, lambda: loader)
    return "as in the repositories, restated", looped(rival.build(), loader)


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


def looped(module: Teacher, loader: DataLoader[tuple[Tensor, Tensor]]) -> Callable[[], None]:
    """Theirs."""
    module.net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    optimizer = Training(module).optimizer

    def run() -> None:
        total = right = 0.0
        for image, target in loader:
            logits = module.net(image)
            loss = module.skill(logits, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
            right += (logits.detach().mean(0).argmax(-1) == target).float().mean().item()

    return run
