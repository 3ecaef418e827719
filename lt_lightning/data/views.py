"""Augmentations of views that are to be compared, in the style of :mod:`lt_lightning.data.augment`.

SimCLR's views of CIFAR are ``[RandomResizedCrop, RandomHorizontalFlip, ColorJitter, RandomGrayscale]``, with
``GaussianBlur`` behind them in some papers. Given the same parameters, each equals torchvision's on Pillow images, byte
for byte; those are drawn from the same distributions, for the batch at once.

- SimCLR: [Chen et al., 2020] https://arxiv.org/abs/2002.05709
- MoCo v2, which adds the blur: [Chen et al., 2020b] https://arxiv.org/abs/2003.04297
"""

import math

import torch
from torch import Tensor

from lt_lightning.data import pixels, view_pixels
from lt_lightning.data.augment import Augmentation, Operation, move, operate


class RandomResizedCrop(Augmentation):
    """Cut a window of random size, shape and place out of each image, and enlarge it to the image's size.

    Args:
        scale: Smallest and largest part of the image's area. PaCo has 0.2 to 1 on CIFAR, ProCo 0.08 to 1. The sides'
            ratio lies between 3/4 and 4/3.

    Raises:
        ValueError: The parts are not in order, or not within the image.
    """

    RATIO, ATTEMPTS = (3 / 4, 4 / 3), 10

    def __init__(self, scale: tuple[float, float] = (0.2, 1.0)) -> None:
        super().__init__()
        if not 0 < scale[0] <= scale[1] <= 1:
            raise ValueError(f"scale must be two parts of the image, in order, got {scale}")
        self.scale = scale

    def forward(self, image: Tensor) -> Tensor:
        """uint8 ``(B, H, W, C)`` to the same."""
        window = self.draw(len(image), image.shape[1], image.shape[2])
        return view_pixels.resized_crop(image, *(move(part, image) for part in window)).contiguous()

    def draw(self, size: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Tops, lefts, heights and widths ``(B,)``: for each image the first of ten draws that fits, or the middle."""
        smallest, largest = self.RATIO
        area = torch.empty(size, self.ATTEMPTS).uniform_(*self.scale) * height * width
        ratio = torch.empty(size, self.ATTEMPTS).uniform_(math.log(smallest), math.log(largest)).exp()
        rows, columns = (area / ratio).sqrt().round().long(), (area * ratio).sqrt().round().long()
        fits = (rows > 0) & (rows <= height) & (columns > 0) & (columns <= width)
        first, some = fits.int().argmax(1, keepdim=True), fits.any(1)
        rows = torch.where(some, rows.gather(1, first).squeeze(1), min(height, round(width / smallest)))
        columns = torch.where(some, columns.gather(1, first).squeeze(1), min(width, round(height * largest)))
        top, left = (
            torch.where(some, (torch.rand(size) * (free + 1)).long(), free // 2)
            for free in (height - rows, width - columns)
        )
        return top, left, rows, columns


JITTERS: tuple[Operation, ...] = (
    pixels.brightness,
    pixels.contrast,
    pixels.color,
    view_pixels.hue,
    lambda image, _: image,
)
"""What ColorJitter chooses from; the last is for images that stay as they are."""


class ColorJitter(Augmentation):
    """Change brightness, contrast, saturation and hue of some images, in random order, each image its own.

    Args:
        brightness: Factors are drawn from ``1 - brightness`` to ``1 + brightness``; 0 leaves it as it is.
        contrast: As for brightness.
        saturation: As for brightness.
        hue: Turns are drawn from ``-hue`` to ``hue`` of the colour circle; 0 leaves it as it is.
        p: Probability that an image is changed.

    Raises:
        ValueError: A strength is negative, or ``hue`` is above 0.5.
    """

    def __init__(
        self, brightness: float = 0.4, contrast: float = 0.4, saturation: float = 0.4, hue: float = 0.1, p: float = 0.8
    ) -> None:
        super().__init__()
        strengths = brightness, contrast, saturation, hue
        if min(strengths) < 0 or hue > 0.5:
            raise ValueError(f"strengths must not be negative, and hue at most 0.5, got {strengths}")
        # No buffers, for they meet the draws on the CPU.
        self.kinds = torch.tensor([kind for kind, strength in enumerate(strengths) if strength], dtype=torch.int64)
        self.low = torch.tensor([*(max(0.0, 1 - strength) for strength in strengths[:3]), -hue, 0.0])
        self.high = torch.tensor([*(1 + strength for strength in strengths[:3]), hue, 0.0])
        self.p = p

    def forward(self, image: Tensor) -> Tensor:
        """uint8 ``(B, H, W, 3)`` to the same."""
        changed = torch.rand(len(image), 1) <= self.p
        order = torch.rand(len(image), len(self.kinds)).argsort(1)
        kind = torch.where(changed, self.kinds[order], len(JITTERS) - 1)
        low, high = self.low[kind], self.high[kind]
        return operate(image, JITTERS, kind, low + (high - low) * torch.rand(kind.shape))


class RandomGrayscale(Augmentation):
    """Make some images grey.

    Args:
        p: Probability that an image is made grey.
    """

    def __init__(self, p: float = 0.2) -> None:
        super().__init__()
        self.p = p

    def forward(self, image: Tensor) -> Tensor:
        """uint8 ``(B, H, W, 3)`` to the same."""
        grey = move((torch.rand(len(image)) < self.p).nonzero().squeeze(1), image)
        factor = torch.zeros(len(grey), device=image.device)
        return image.index_copy(0, grey, pixels.color(image.index_select(0, grey), factor))


class GaussianBlur(Augmentation):
    """Blur some images, as Pillow does: three box blurs that come close to a Gaussian.

    Args:
        sigma_min: Smallest standard deviation, in pixels.
        sigma_max: Largest.
        p: Probability that an image is blurred.

    Raises:
        ValueError: The deviations are not in order.
    """

    def __init__(self, sigma_min: float = 0.1, sigma_max: float = 2.0, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= sigma_min <= sigma_max:
            raise ValueError(f"sigma must be two deviations, in order, got {sigma_min} and {sigma_max}")
        self.sigma_min, self.sigma_max, self.p = sigma_min, sigma_max, p

    def forward(self, image: Tensor) -> Tensor:
        """uint8 ``(B, H, W, C)`` to the same."""
        blurred = (torch.rand(len(image)) <= self.p).nonzero().squeeze(1)
        sigma = move(torch.empty(len(blurred)).uniform_(self.sigma_min, self.sigma_max), image)
        blurred = move(blurred, image)
        return image.index_copy(0, blurred, view_pixels.blur(image.index_select(0, blurred), sigma, self.sigma_max))
