"""Every pixel operation against Pillow, byte for byte, as torchvision calls it."""

import lt_lightning  # noqa: F401  # first: it makes torchvision importable

# isort: split
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import Tensor
from torchvision.transforms import functional as F

from lt_lightning.data import pixels, view_pixels

Operation = Callable[[Tensor, Tensor], Tensor]
Reference = Callable[[Image.Image, float], Image.Image]

SIZES = [(8, 8), (32, 32), (17, 33), (33, 16), (31, 31), (1, 1), (2, 5), (5, 2)]
ROUNDS = 3  # of 16 images each, so 384 cases an operation


def contents(height: int, width: int) -> Tensor:
    """16 images ``(16, H, W, 3)``: noise of several kinds, constants, gradients, low contrast."""
    image = torch.randint(256, (16, height, width, 3), dtype=torch.uint8)
    image[1:4] = torch.tensor([0, 128, 255], dtype=torch.uint8).view(3, 1, 1, 1)
    image[4] = torch.tensor([9, 200, 77])
    image[5] = (torch.arange(width) * 255 // max(width - 1, 1)).view(1, -1, 1)
    image[6] = (torch.arange(height) * 255 // max(height - 1, 1)).view(-1, 1, 1)
    image[7] = 100 + image[7] % 2
    image[8] = 120 + image[8] % 9
    image[9] = image[9] // 16
    image[10] = 255 - image[10] // 9
    image[11, :, :, 1] = 7
    image[12] = (image[12] > 250) * 255
    image[13] = (torch.randn(height, width, 3) * 20 + 120).clamp(0, 255)
    return image


def factors() -> Tensor:
    return torch.cat([torch.tensor([0.0, 1.0, 0.1, 1.9, -0.5]), torch.rand(11) * 3]).double()


def symmetric(limit: float) -> Callable[[], Tensor]:
    return lambda: (torch.rand(16).double() * 2 - 1) * limit


def angles() -> Tensor:
    return torch.cat([symmetric(30)()[:10], torch.randint(-1440, 1440, (6,)) / 2])


def nothing() -> Tensor:
    return torch.zeros(16)


def shear(x: float, y: float) -> Reference:
    """Shear as AutoAugment does it, by x and y times the magnitude."""

    def apply(image: Image.Image, magnitude: float) -> Image.Image:
        slopes = [math.degrees(math.atan(side * magnitude)) for side in (x, y)]
        return F.affine(image, angle=0.0, translate=[0, 0], scale=1.0, shear=slopes, center=[0, 0])

    return apply


def translate(x: int, y: int) -> Reference:
    return lambda image, magnitude: F.affine(
        image, angle=0.0, translate=[x * int(magnitude), y * int(magnitude)], scale=1.0, shear=[0.0, 0.0]
    )


CASES: dict[str, tuple[Operation, Reference, Callable[[], Tensor]]] = {
    "brightness": (pixels.brightness, F.adjust_brightness, factors),
    "color": (pixels.color, F.adjust_saturation, factors),
    "contrast": (pixels.contrast, F.adjust_contrast, factors),
    "sharpness": (pixels.sharpness, F.adjust_sharpness, factors),
    "posterize": (
        pixels.posterize,
        lambda image, bits: F.posterize(image, int(bits)),
        lambda: torch.arange(16) % 8 + 1,
    ),
    "solarize": (pixels.solarize, F.solarize, lambda: torch.rand(16) * 254 + torch.arange(16) % 2),
    "autocontrast": (lambda image, _: pixels.autocontrast(image), lambda image, _: F.autocontrast(image), nothing),
    "equalize": (lambda image, _: pixels.equalize(image), lambda image, _: F.equalize(image), nothing),
    "invert": (lambda image, _: pixels.invert(image), lambda image, _: F.invert(image), nothing),
    "hue": (view_pixels.hue, F.adjust_hue, symmetric(0.5)),
    "blur": (
        lambda image, sigma: view_pixels.blur(image, sigma, 5.0),
        lambda image, sigma: image.filter(ImageFilter.GaussianBlur(sigma)),
        lambda: torch.cat([torch.tensor([0.0, 0.1, 2.0, 5.0]), torch.rand(12) * 5]).double(),
    ),
    "rotate": (pixels.rotate, F.rotate, angles),
    "shear_x": (pixels.shear_x, shear(1, 0), symmetric(0.5)),
    "shear_y": (pixels.shear_y, shear(0, 1), symmetric(0.5)),
    "translate_x": (pixels.translate_x, translate(1, 0), symmetric(40)),
    "translate_y": (pixels.translate_y, translate(0, 1), symmetric(40)),
}


def pillow(image: Tensor, reference: Reference, magnitude: Tensor) -> Tensor:
    pairs = zip(image.numpy(), magnitude.tolist(), strict=True)
    return torch.from_numpy(np.stack([np.asarray(reference(Image.fromarray(one), value)) for one, value in pairs]))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_equals_pillow(name: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    operation, reference, magnitudes = CASES[name]
    for _ in range(ROUNDS):
        image, magnitude = contents(*size), magnitudes()
        before = image.clone()
        result = operation(image, magnitude)
        assert result.dtype == torch.uint8
        assert torch.equal(result, pillow(image, reference, magnitude))
        assert torch.equal(image, before)


@pytest.mark.parametrize("name", CASES)
def test_layout_of_memory_changes_nothing(name: str) -> None:
    operation, _, magnitudes = CASES[name]
    image, magnitude = contents(17, 24), magnitudes()
    planar = image.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
    assert torch.equal(operation(image, magnitude), operation(planar, magnitude))


@pytest.mark.parametrize("size", [(8, 8), (32, 32), (17, 33)], ids=str)
@pytest.mark.parametrize("scaling", [False, True])
def test_affine_equals_pillow(size: tuple[int, int], scaling: bool) -> None:
    torch.manual_seed(0)
    image = contents(*size).repeat(20, 1, 1, 1)
    matrix = torch.eye(3)[:2].reshape(6) + torch.randn(len(image), 6).double() * torch.tensor([1, 1, 5, 1, 1, 5])
    if scaling:
        matrix[:, [1, 3]] = 0
    matrices = iter(matrix.tolist())
    expected = pillow(
        image, lambda one, _: one.transform(one.size, Image.Transform.AFFINE, next(matrices)), torch.zeros(len(image))
    )
    assert torch.equal(pixels.affine(image, matrix), expected)


@pytest.mark.parametrize("size", [(32, 32), (9, 20)], ids=str)
def test_rotation_by_every_half_degree(size: tuple[int, int]) -> None:
    degrees = torch.arange(-360, 720.5, 0.5)
    image = torch.randint(256, (1, *size, 3), dtype=torch.uint8).expand(len(degrees), -1, -1, -1)
    assert torch.equal(pixels.rotate(image, degrees), pillow(image, F.rotate, degrees))


def test_every_pair_of_extremes_is_stretched_as_in_pillow() -> None:
    low, high = torch.triu_indices(256, 256, offset=1)[:, ::7]
    level = torch.arange(256).clamp(low.unsqueeze(1), high.unsqueeze(1)).byte()
    image = level.view(-1, 16, 16, 1).expand(-1, -1, -1, 3).contiguous()
    expected = pillow(image, lambda one, _: F.autocontrast(one), torch.zeros(len(image)))
    assert torch.equal(pixels.autocontrast(image), expected)


def test_a_blur_is_the_same_whatever_the_largest_may_be() -> None:
    image, sigma = contents(9, 20), torch.rand(16) * 2
    assert torch.equal(view_pixels.blur(image, sigma, 2.0), view_pixels.blur(image, sigma, 30.0))


def test_hue_of_every_pair_of_channels() -> None:
    """All values of two channels with eight of the third: every sector, and every rounding of hue and saturation."""
    high, low = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    thirds = torch.arange(0, 256, 36).view(-1, 1, 1).expand(-1, 256, 256)
    image = torch.stack([high.expand_as(thirds), low.expand_as(thirds), thirds], 3).to(torch.uint8)
    image = torch.cat([image, image.flip(3)])
    turn = torch.linspace(-0.5, 0.5, len(image), dtype=torch.float64)
    assert torch.equal(view_pixels.hue(image, turn), pillow(image, F.adjust_hue, turn))


def windows(height: int, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Tops, lefts, heights and widths of 16 windows, the first of which is all of the image, the second a pixel."""
    rows, columns = (torch.randint(1, side + 1, (16,)) for side in (height, width))
    rows[0], columns[0], rows[1], columns[1] = height, width, 1, 1
    top, left = ((torch.rand(16) * (side - part + 1)).long() for side, part in ((height, rows), (width, columns)))
    return top, left, rows, columns


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_resized_crops_equal_pillow(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    for _ in range(ROUNDS):
        image, window = contents(*size), windows(*size)
        before, places = image.clone(), iter(torch.stack(window, 1).tolist())
        expected = pillow(image, lambda one, _: F.resized_crop(one, *next(places), list(size)), nothing())  # noqa: B023
        result = view_pixels.resized_crop(image, *window)
        assert torch.equal(result, expected)
        assert torch.equal(image, before)
        planar = image.permute(0, 3, 1, 2).contiguous()
        assert torch.equal(view_pixels.resized_crop(planar.permute(0, 2, 3, 1), *window), result)
        for one, place, ours in zip(planar, torch.stack(window, 1).tolist(), result, strict=True):
            tensor = F.resized_crop(one, *place, list(size), antialias=True).permute(1, 2, 0)
            assert (ours.int() - tensor.int()).abs().max() <= 1  # torchvision rounds once, Pillow after each direction
