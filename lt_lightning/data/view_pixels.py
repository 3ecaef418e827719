"""Pillow's operations for views of an image, on whole batches, byte for byte: hue, Gaussian blur, resized crops.

As in :mod:`lt_lightning.data.pixels`, every function takes images ``(B, H, W, C)`` of type uint8, with parameters an
image on the same device, and returns new images of that shape and type.

Pillow: https://github.com/python-pillow/Pillow (src/libImaging: BoxBlur.c, Convert.c, Resample.c)
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# ---------------------------------------------------------------------------------------------- hue


def hue(image: Tensor, turn: Tensor) -> Tensor:
    """Turn the hue by a part of the circle, -0.5 to 0.5, as torchvision's `adjust_hue` does with Pillow.

    The way through uint8 hue and saturation loses precision, so a turn of 0 changes images, too.
    """
    steps = (turn.double() * 255).trunc().int().view(-1, 1, 1)
    turned, saturation, value = _hue_and_saturation(image)
    return _rgb((turned + steps) % 256, saturation, value)


def _hue_and_saturation(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`Image.convert("HSV")`: hue, saturation and value, 0 to 255, each ``(B, H, W)``."""
    red, green, blue = image.float().unbind(3)
    value, span = image.amax(3).float(), (image.amax(3) - image.amin(3)).float()
    coloured = span > 0
    safe = span.clamp(min=1)
    far_red, far_green, far_blue = (((value - channel) / safe).double() for channel in (red, green, blue))
    sector = torch.where(green == value, 2 + far_red - far_blue, 4 + far_green - far_red)
    sector = torch.where(red == value, far_blue - far_green, sector)
    circle = (sector.float().double() / 6 + 1).remainder(1).float()
    saturation = span / value.clamp(min=1)
    return (circle.double() * 255).int() * coloured, (saturation.double() * 255).int(), value.int()


def _rgb(turned: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """From hue, saturation and value, 0 to 255, each ``(B, H, W)``, to images ``(B, H, W, 3)``."""
    position = turned.double() * 6 / 255
    sector = position.floor()
    part, strength = (position - sector).float(), saturation.float() / 255
    losses = strength.double(), (strength * part).double(), strength.double() * (1 - part.double())
    low, falling, rising = ((value * (1 - loss) + 0.5).floor().int() for loss in losses)
    channels = torch.stack([value, falling, low, low, rising, value])  # red in each sector of the circle
    place = sector.long() % 6
    shifted = torch.stack([place, (place + 4) % 6, (place + 2) % 6])  # green and blue run after red
    return channels.gather(0, shifted).permute(1, 2, 3, 0).to(torch.uint8)


# ---------------------------------------------------------------------------------------------- blur


def blur(image: Tensor, sigma: Tensor, largest: float) -> Tensor:
    """`ImageFilter.GaussianBlur`: three box blurs in each direction, each rounded.

    Args:
        image: ``(B, H, W, C)``.
        sigma: Standard deviations in pixels, ``(B,)``.
        largest: No sigma is larger.
    """
    radius = _box_radius(sigma)
    reach = math.floor(_box_radius(torch.tensor(largest)).item()) + 1
    inside = radius.floor()
    offset = torch.arange(-reach, reach + 1, device=image.device).abs()
    unit = (2**24 / (radius * 2 + 1)).floor()
    edge = ((2**24 - (inside * 2 + 1) * unit) / 2).floor()
    distance = offset.unsqueeze(1) - inside  # (taps, B)
    weight = torch.where(distance <= 0, unit, torch.where(distance == 1, edge, 0)) / 2**24
    planes = image.permute(0, 3, 1, 2)
    for _ in range(2):
        for _ in range(3):
            planes = _filter_rows(planes, weight)
        planes = planes.mT
    return planes.permute(0, 2, 3, 1)


def _box_radius(sigma: Tensor) -> Tensor:
    """Half the width, without the centre, of the box that is as wide as a Gaussian when it is applied three times."""
    variance = sigma.float().square() / 3
    whole = (((12 * variance.double() + 1).sqrt().float() - 1) / 2).floor()
    rest = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance) / (6 * (variance - (whole + 1) * (whole + 1)))
    return whole + rest


def _filter_rows(planes: Tensor, weight: Tensor) -> Tensor:
    """Sum the neighbours in each row of ``(B, C, H, W)`` with weights ``(taps, B)``; borders are repeated."""
    reach, width = len(weight) // 2, planes.shape[3]
    padded = F.pad(planes.double(), (reach, reach, 0, 0), mode="replicate")
    total = torch.full(planes.shape, 0.5, dtype=torch.float64, device=planes.device)
    for k, tap in enumerate(weight):
        total.addcmul_(padded[..., k : k + width], tap.view(-1, 1, 1, 1))
    return total.to(torch.uint8)


# ---------------------------------------------------------------------------------------------- crops


def resized_crop(image: Tensor, top: Tensor, left: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """Cut a window out of each image and enlarge it to the image's size, bilinear: `crop` and `resize`.

    Args:
        image: ``(B, H, W, C)``.
        top: First row of the window, ``(B,)``.
        left: First column, ``(B,)``.
        height: Rows, at most H, ``(B,)``.
        width: Columns, at most W, ``(B,)``.
    """
    for start, size in ((left, width), (top, height)):
        image = _stretch(image.transpose(1, 2).contiguous(), start, size)
    return image


def _stretch(image: Tensor, start: Tensor, size: Tensor) -> Tensor:
    """Enlarge a part of the rows of ``(B, H, W, C)`` to H rows, by weights of 22 bits."""
    start, size, height = start.unsqueeze(1), size.unsqueeze(1), image.shape[1]
    place = (torch.arange(height, device=image.device) + 0.5) * (size.double() / height) - 0.5
    first = place.floor()
    share = torch.where((first < 0) | (first > size - 2), 0, place - first)
    first = first.long().clamp(min=0).minimum(size - 1)
    total = torch.full(image.shape, 2**21, dtype=torch.int32, device=image.device)
    for row, weight in ((first, 1 - share), ((first + 1).minimum(size - 1), share)):
        taken = image[torch.arange(len(image), device=image.device).unsqueeze(1), start + row]
        total.addcmul_(taken.int(), (weight * 2**22 + 0.5).int()[..., None, None])
    return (total >> 22).to(torch.uint8)
