import math
from random import Random

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import CenterCrop, InterpolationMode, RandomResizedCrop, Resize
from torchvision.transforms import functional as F

from lt_lightning.data.crops import central_crop, random_crop, random_window
from lt_lightning.errors import LtError

SIZES = [(500, 375), (375, 500), (32, 32), (33, 200), (256, 256), (300, 257), (1, 40), (223, 224)]


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(width + height).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("size", [224, 32, 31])
@pytest.mark.parametrize("shape", SIZES)
def test_evaluation_sees_what_torchvision_shows(shape, size):
    image = noise(*shape)
    expected = CenterCrop(size)(Resize(round(size * 256 / 224))(image))
    np.testing.assert_array_equal(central_crop(image, size), np.asarray(expected))


@pytest.mark.parametrize("shape", SIZES)
def test_a_window_is_resized_as_torchvision_resizes_it(shape):
    image = noise(*shape)
    for seed in range(5):
        left, top, right, bottom = random_window(*shape, (0.08, 1.0), Random(seed))
        expected = F.resized_crop(image, top, left, bottom - top, right - left, [48, 48], InterpolationMode.BILINEAR)
        np.testing.assert_array_equal(random_crop(image, 48, (0.08, 1.0), Random(seed)), np.asarray(expected))


@pytest.mark.parametrize("shape", SIZES)
def test_windows_lie_within_the_image_and_have_the_shapes_asked_for(shape):
    width, height = shape
    for seed in range(200):
        left, top, right, bottom = random_window(width, height, (0.2, 0.9), Random(seed))
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        if 3 / 4 <= width / height <= 4 / 3 and min(shape) > 100:
            assert 0.19 < (right - left) * (bottom - top) / (width * height) < 0.92
            assert 0.73 < (right - left) / (bottom - top) < 1.37


def test_windows_are_distributed_as_torchvisions():
    draw, image = Random(0), noise(500, 375)
    ours = np.array([random_window(500, 375, (0.08, 1.0), draw) for _ in range(4000)])
    theirs = np.array([RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(4000)])
    ours = np.stack([ours[:, 1], ours[:, 0], ours[:, 3] - ours[:, 1], ours[:, 2] - ours[:, 0]], 1)
    error = 4 * theirs.std(0) * math.sqrt(2 / 4000)
    assert (abs(ours.mean(0) - theirs.mean(0)) < error).all()
    assert (abs(ours.std(0) / theirs.std(0) - 1) < 0.08).all()


def test_a_thread_of_an_image_is_refused_before_it_takes_gigabytes():
    with pytest.raises(LtError, match="too thin"):
        central_crop(Image.new("RGB", (1, 10_000)), 224)


def test_no_two_of_a_thousand_seeds_draw_alike():
    assert len({random_window(500, 375, (0.08, 1.0), Random(seed)) for seed in range(1000)}) > 990
