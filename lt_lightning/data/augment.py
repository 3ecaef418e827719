"""Random augmentations of whole batches of uint8 images ``(B, H, W, C)``, on any device.

What is random is drawn for the batch at once from torch's global CPU generator, so ``torch.manual_seed`` before a batch
decides everything about it; the pixels themselves are deterministic (:mod:`lt_lightning.data.pixels`). Indexes stay on
the CPU until they are used: nothing here waits for the device.

- Cutout: [DeVries & Taylor, 2017] https://arxiv.org/abs/1708.04552
- AutoAugment: [Cubuk et al., 2019] https://arxiv.org/abs/1805.09501
- RandAugment: [Cubuk et al., 2020] https://arxiv.org/abs/1909.13719
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import transforms

from lt_lightning.data import pixels


class Augmentation(nn.Module, ABC):
    """Changes each image of a batch at random, not its size."""

    @abstractmethod
    def forward(self, image: Tensor) -> Tensor:
        """uint8 ``(B, H, W, C)`` to the same."""


class RandomCrop(Augmentation):
    """Shift each image by up to ``padding`` pixels; what comes in is black.

    Args:
        padding: Pixels added on every side before the crop back to the image's size.
    """

    def __init__(self, padding: int = 4) -> None:
        super().__init__()
        self.padding = padding

    def forward(self, image: Tensor) -> Tensor:
        """uint8 ``(B, H, W, C)`` to the same."""
        size, height, width, channels = image.shape
        padded = F.pad(image, (0, 0, *4 * [self.padding]))
        rows, row = padded.shape[1], padded.shape[2] * channels
        top, left = (torch.randint(2 * self.padding + 1, (size,)) for _ in range(2))
        first = (torch.arange(size) * rows + top) * row + left * channels
        start = first.unsqueeze(1) + torch.arange(height) * row
        stretches = padded.flatten().unfold(0, width * channels, 1)  # at every byte one begins: a row is copied as one
        return stretches.index_select(0, move(start.flatten(), image)).view(image.shape)


class RandomHorizontalFlip(Augmentation):
    """Mirror some images left to right.

    Args:
        p: Probability that an image is mirrored.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, image: Tensor) -> Tensor:
        """uint8 ``(B, H, W, C)`` to the same."""
        mirrored = (torch.rand(len(image)) < self.p).nonzero().squeeze(1)
        source = torch.arange(len(image)).index_copy(0, mirrored, torch.arange(len(mirrored)) + len(image))
        both = torch.cat([image, image.index_select(0, move(mirrored, image)).flip(2)])
        return both.index_select(0, move(source, image))


class RandomRotation(Augmentation):
    """Rotate each image about its centre, nearest pixel, black corners.

    Args:
        degrees: Largest angle, either way.
    """

    def __init__(self, degrees: float = 15) -> None:
        super().__init__()
        self.degrees = degrees

    def forward(self, image: Tensor) -> Tensor:
        """uint8 ``(B, H, W, C)`` to the same."""
        degrees = torch.empty(len(image)).uniform_(-self.degrees, self.degrees)
        return pixels.rotate(image, move(degrees, image)).contiguous()


class Cutout(Augmentation):
    """Blacken one square of each image [DeVries & Taylor, 2017].

    Its centre is uniform over the pixels, so a part of it may fall outside.

    Args:
        size: Side of the square.
    """

    def __init__(self, size: int = 16) -> None:
        super().__init__()
        self.size = size

    def forward(self, image: Tensor) -> Tensor:
        """uint8 ``(B, H, W, C)`` to the same."""
        rows, columns = (self._hit(image, dim) for dim in (1, 2))
        hole = rows.unsqueeze(2) & columns.unsqueeze(1)
        return image.masked_fill(hole.unsqueeze(3), 0)

    def _hit(self, image: Tensor, dim: int) -> Tensor:
        """Which positions along a side the square covers, ``(B, H)`` or ``(B, W)``."""
        start = move(torch.randint(image.shape[dim], (len(image), 1)), image) - self.size // 2
        position = torch.arange(image.shape[dim], device=image.device)
        return (position >= start) & (position < start + self.size)


class AutoAugment(Augmentation):
    """The 25 pairs of operations found for CIFAR-10, one pair an image [Cubuk et al., 2019]."""

    def __init__(self) -> None:
        super().__init__()
        policies = transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10).policies
        kinds = {name: kind for kind, name in enumerate(OPERATIONS)}
        # Tables (25, 2); no buffers, for they meet the draws on the CPU.
        self.kind = torch.tensor([[kinds[name] for name, _, _ in pair] for pair in policies])
        self.probability = torch.tensor([[probability for _, probability, _ in pair] for pair in policies])
        self.level = torch.tensor([[level or 0 for _, _, level in pair] for pair in policies])

    def forward(self, image: Tensor) -> Tensor:
        """uint8 ``(B, H, W, C)`` to the same."""
        policy = torch.randint(len(self.kind), (len(image),))
        applied = torch.rand(len(image), 2) <= self.probability[policy]
        turned = torch.randint(2, applied.shape) == 0
        kind = self.kind[policy] * applied
        return operate(image, OPERATIONS.values(), kind, _magnitudes(image, kind, self.level[policy], 10, turned))


class RandAugment(Augmentation):
    """Random operations of one strength [Cubuk et al., 2020].

    Args:
        num_ops: Operations applied to each image, one after another.
        magnitude: Their strength, 0 to 30.
    """

    def __init__(self, num_ops: int = 2, magnitude: int = 9) -> None:
        super().__init__()
        self.num_ops, self.magnitude = num_ops, magnitude

    def forward(self, image: Tensor) -> Tensor:
        """uint8 ``(B, H, W, C)`` to the same."""
        kind = torch.randint(len(OPERATIONS) - 1, (len(image), self.num_ops))  # all but the last, invert
        turned = torch.randint(2, kind.shape) == 1
        return operate(image, OPERATIONS.values(), kind, _magnitudes(image, kind, self.magnitude, 31, turned))


Operation = Callable[[Tensor, Tensor], Tensor]
OPERATIONS: dict[str, Operation] = {
    "Identity": lambda image, _: image,
    "ShearX": pixels.shear_x,
    "ShearY": pixels.shear_y,
    "TranslateX": pixels.translate_x,
    "TranslateY": pixels.translate_y,
    "Rotate": pixels.rotate,
    "Brightness": lambda image, magnitude: pixels.brightness(image, 1 + magnitude),
    "Color": lambda image, magnitude: pixels.color(image, 1 + magnitude),
    "Contrast": lambda image, magnitude: pixels.contrast(image, 1 + magnitude),
    "Sharpness": lambda image, magnitude: pixels.sharpness(image, 1 + magnitude),
    "Posterize": pixels.posterize,
    "Solarize": pixels.solarize,
    "AutoContrast": lambda image, _: pixels.autocontrast(image),
    "Equalize": lambda image, _: pixels.equalize(image),
    "Invert": lambda image, _: pixels.invert(image),
}
"""What AutoAugment and RandAugment choose from, in torchvision's order; a kind is a place in it."""
SIGNED = 9
"""The last of the kinds whose magnitude goes either way."""


def _magnitudes(image: Tensor, kind: Tensor, level: Tensor | int, num_levels: int, turned: Tensor) -> Tensor:
    """The magnitudes of torchvision's kinds at these of so many levels, ``(B, N)``; negative where turned."""
    height, width = image.shape[1:3]
    largest = [0.0, 0.3, 0.3, 150.0 / 331.0 * width, 150.0 / 331.0 * height, 30.0, 0.9, 0.9, 0.9, 0.9]
    rising = [torch.linspace(0.0, value, num_levels) for value in largest]
    bits = 8 - (torch.arange(num_levels) / ((num_levels - 1) / 4)).round()
    table = torch.stack([*rising, bits, torch.linspace(255.0, 0.0, num_levels), *torch.zeros(3, num_levels)])
    return torch.where(turned & (kind <= SIGNED), -1, 1) * table.double()[kind, level]


def operate(image: Tensor, operations: Collection[Operation], kind: Tensor, magnitude: Tensor) -> Tensor:
    """Apply to each image its operations, places ``(B, N)`` in the list of them, from the first to the last."""
    planar = image.permute(0, 3, 1, 2).contiguous()  # what the operations are fastest on
    for kinds, magnitudes in zip(kind.T, magnitude.T, strict=True):
        order = kinds.argsort()
        sizes = kinds.bincount(minlength=len(operations)).tolist()
        groups = torch.split(planar.index_select(0, move(order, image)).permute(0, 2, 3, 1), sizes)
        strengths = torch.split(move(magnitudes[order], image), sizes)
        calls = zip(operations, groups, strengths, strict=True)
        done = [operation(group, strength) for operation, group, strength in calls if len(group)]
        planar = torch.cat([group.permute(0, 3, 1, 2) for group in done]).index_select(0, move(order.argsort(), image))
    return planar.permute(0, 2, 3, 1).contiguous()


def move(drawn: Tensor, image: Tensor) -> Tensor:
    """To the image's device, without waiting for it."""
    return drawn.to(image.device, non_blocking=True)
