"""Pillow's pixel operations on whole batches, byte for byte.

Every function takes images ``(B, H, W, C)`` of type uint8 and one parameter an image ``(B,)``, on the same device, and
returns new images of that shape and type. The results equal those of Pillow as torchvision's `AutoAugment` and
`RandomRotation` call it on the CPU. `color`, `contrast` and `_grey` read the three channels as RGB.

The functions are fastest on images whose memory is planar, ``(B, C, H, W)``, seen through `permute(0, 2, 3, 1)`; torch
keeps that layout from operation to operation.

Pillow: https://github.com/python-pillow/Pillow (src/libImaging: Blend.c, Convert.c, Filter.c, Geometry.c)
"""

import torch
import torch.nn.functional as F
from torch import Tensor

# ---------------------------------------------------------------------------------------------- colours


def brightness(image: Tensor, factor: Tensor) -> Tensor:
    """Scale towards black: `ImageEnhance.Brightness`; factor 1 changes nothing."""
    return _blend(torch.zeros_like(image), image, factor)


def color(image: Tensor, factor: Tensor) -> Tensor:
    """Scale away from grey: `ImageEnhance.Color`; factor 0 is grey, 1 changes nothing."""
    return _blend(_grey(image), image, factor)


def contrast(image: Tensor, factor: Tensor) -> Tensor:
    """Scale away from the mean grey level: `ImageEnhance.Contrast`; factor 1 changes nothing."""
    pixels = image.shape[1] * image.shape[2]
    total = _grey(image).sum((1, 2, 3), dtype=torch.int64).view(-1, 1, 1, 1)
    mean = (2 * total + pixels) // (2 * pixels)  # rounded half up
    return _blend(mean, image, factor)


def sharpness(image: Tensor, factor: Tensor) -> Tensor:
    """Scale away from the smoothed image: `ImageEnhance.Sharpness`; the border of one pixel stays as it is."""
    sharp, inner = image.clone(), image[:, 1:-1, 1:-1]
    sums = image.to(torch.int16)
    sums = sums[:, :-2] + sums[:, 1:-1] + sums[:, 2:]
    sums = sums[:, :, :-2] + sums[:, :, 1:-1] + sums[:, :, 2:] + 4 * inner.to(torch.int16)
    smooth = ((sums.float() + 6.5) / 13).floor()  # weights 1 and, at the centre, 5; never a tie, so float32 is exact
    sharp[:, 1:-1, 1:-1] = _blend(smooth, inner, factor)
    return sharp


def _blend(base: Tensor, image: Tensor, factor: Tensor) -> Tensor:
    """`Image.blend`: float32, clipped, truncated."""
    base = base.float()
    mixed = (image.float() - base).mul_(factor.float().view(-1, 1, 1, 1)).add_(base)
    return mixed.clamp_(0, 255).byte()


def _grey(image: Tensor) -> Tensor:
    """`Image.convert("L")`: ITU-R 601 luma in 16.16 fixed point, ``(B, H, W, 1)``."""
    red, green, blue = image.int().unsqueeze(4).unbind(3)
    return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16


# ---------------------------------------------------------------------------------------------- levels


def posterize(image: Tensor, bits: Tensor) -> Tensor:
    """Keep the highest bits of each value: `ImageOps.posterize`."""
    keep = 256 - 2 ** (8 - bits.int())
    return image & keep.to(torch.uint8).view(-1, 1, 1, 1)


def solarize(image: Tensor, threshold: Tensor) -> Tensor:
    """Invert the values from the threshold, 0 to 255, up: `ImageOps.solarize`."""
    inverted = image >= threshold.ceil().byte().view(-1, 1, 1, 1)
    return image ^ inverted.byte() * 255


def invert(image: Tensor) -> Tensor:
    """Turn the values round: `ImageOps.invert`."""
    return 255 - image


def autocontrast(image: Tensor) -> Tensor:
    """Stretch each channel to the full range: `ImageOps.autocontrast`."""
    planes = _planes(image)
    low, high = planes.amin(2, keepdim=True).double(), planes.amax(2, keepdim=True).double()
    scale = torch.full_like(low, 255) / (high - low)  # `255 / tensor` would multiply by the reciprocal
    level = torch.arange(256, device=image.device)
    table = torch.where(high > low, level * scale - low * scale, level)
    return _look_up(table, planes, image)


def equalize(image: Tensor) -> Tensor:
    """Flatten the histogram of each channel: `ImageOps.equalize`."""
    planes = _planes(image)
    ones = torch.ones((), dtype=torch.int64, device=image.device).expand(planes.shape)
    counts = torch.zeros(*planes.shape[:2], 256, dtype=torch.int64, device=image.device)
    counts.scatter_add_(2, planes.long(), ones)
    brightest = counts.gather(2, planes.amax(2, keepdim=True).long())
    step = (planes.shape[2] - brightest) // 255
    below = counts.cumsum(2) - counts
    table = torch.where(step > 0, (step // 2 + below) // step.clamp(min=1), torch.arange(256, device=image.device))
    return _look_up(table, planes, image)


def _planes(image: Tensor) -> Tensor:
    """The channels, each in one row ``(B, C, H * W)``."""
    return image.permute(0, 3, 1, 2).flatten(2)


def _unplanes(planes: Tensor, image: Tensor) -> Tensor:
    """Undo `_planes`, with the size of the image."""
    return planes.reshape(*planes.shape[:2], *image.shape[1:3]).permute(0, 2, 3, 1)


def _look_up(table: Tensor, planes: Tensor, image: Tensor) -> Tensor:
    """`Image.point`: each value's entry in the table ``(B, C, 256)`` of its channel, clipped and truncated."""
    return _unplanes(table.clamp(0, 255).byte().gather(2, planes.long()), image)


# ---------------------------------------------------------------------------------------------- geometry


def rotate(image: Tensor, degrees: Tensor) -> Tensor:
    """Rotate counter-clockwise about the centre: `Image.rotate`."""
    angle = torch.deg2rad(degrees.double())
    cos, sin = angle.cos(), angle.sin()
    x, y = image.shape[2] / 2, image.shape[1] / 2
    return affine(image, torch.stack([cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y], 1))


def shear_x(image: Tensor, slope: Tensor) -> Tensor:
    """Move each row left by the slope times its distance from the top."""
    return affine(image, _matrix(slope, 1))


def shear_y(image: Tensor, slope: Tensor) -> Tensor:
    """Move each column up by the slope times its distance from the left."""
    return affine(image, _matrix(slope, 3))


def translate_x(image: Tensor, pixels: Tensor) -> Tensor:
    """Move right by whole pixels, rounded towards zero."""
    return affine(image, _matrix(-pixels.trunc(), 2))


def translate_y(image: Tensor, pixels: Tensor) -> Tensor:
    """Move down by whole pixels, rounded towards zero."""
    return affine(image, _matrix(-pixels.trunc(), 5))


def _matrix(value: Tensor, entry: int) -> Tensor:
    """Identity matrices ``(B, 6)`` with one entry of their own."""
    matrix = torch.zeros(len(value), 6, dtype=torch.float64, device=value.device)
    matrix[:, 0::4] = 1
    matrix[:, entry] = value
    return matrix


def affine(image: Tensor, matrix: Tensor) -> Tensor:
    """Read each pixel from where the matrix says: `Image.transform` with AFFINE, NEAREST and black outside.

    Args:
        image: ``(B, H, W, C)``.
        matrix: ``(B, 6)``, rows (a, b, c, d, e, f): pixel (x, y) comes from (a x + b y + c, d x + e y + f), measured
            at pixel centres and below 32,768 in size.
    """
    _, height, width, channels = image.shape
    a, b, c, d, e, f = matrix.double().unsqueeze(2).unbind(1)
    x, y = (torch.arange(side, dtype=torch.int32, device=image.device) for side in (width, height))
    scaling = (b == 0) & (d == 0)
    column = _along(x, a, c + a / 2 + b / 2, scaling).unsqueeze(1) + (y * _fixed(b)).unsqueeze(2) >> 16
    row = _along(y, e, f + d / 2 + e / 2, scaling).unsqueeze(2) + (x * _fixed(d)).unsqueeze(1) >> 16
    framed = F.pad(image.permute(0, 3, 1, 2), (1, 1, 1, 1))  # what lies outside is read from the frame
    source = (row.clamp_(-1, height) + 1) * (width + 2) + column.clamp_(-1, width) + 1
    index = source.long().flatten(1).unsqueeze(1).expand(-1, channels, -1)
    return _unplanes(framed.flatten(2).gather(2, index), image)


def _along(index: Tensor, step: Tensor, start: Tensor, scaling: Tensor) -> Tensor:
    """Positions ``(B, N)`` along an axis in 16.16: rounded, then summed; in float64 where Pillow only scales.

    It adds up its steps there: for a step of a whole number, as in all that is built on this, the sums are these.
    """
    rounded = _fixed(start) + index * _fixed(step)
    return torch.where(scaling, (start + index * step).floor().int() << 16, rounded)


def _fixed(value: Tensor) -> Tensor:
    """Round to 16.16 fixed point, half up."""
    return (value * 65536 + 0.5).floor().int()
