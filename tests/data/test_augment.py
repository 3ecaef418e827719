"""Augmentations: the same draws as torchvision's give the same bytes; a batch is its images; the draws are fair."""

import lt_lightning  # noqa: F401  # first: it makes torchvision importable

# isort: split
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms

from lt_lightning.data import augment
from lt_lightning.data.augment import (
    Augmentation,
    AutoAugment,
    Cutout,
    RandAugment,
    RandomCrop,
    RandomHorizontalFlip,
    RandomRotation,
)

ALL = [RandomCrop(), RandomHorizontalFlip(), RandomRotation(), Cutout(), AutoAugment(), RandAugment()]


def noise(*shape: int) -> Tensor:
    return torch.randint(256, (*shape, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def seeded(function: Callable[[Tensor], Tensor], image: Tensor, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return function(image)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (RandomCrop(2), transforms.RandomCrop((20, 28), padding=2)),
        (RandomHorizontalFlip(0.3), transforms.RandomHorizontalFlip(0.3)),
        (RandomRotation(15), transforms.RandomRotation(15)),
        (AutoAugment(), transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10)),
        (RandAugment(1, 0), transforms.RandAugment(1, 0)),
        (RandAugment(1), transforms.RandAugment(1)),
        (RandAugment(1, 30), transforms.RandAugment(1, 30)),
    ],
    ids=str,
)
def test_one_image_equals_torchvision_on_pillow_from_the_same_seed(
    ours: Augmentation, theirs: Callable[[Image.Image], Image.Image]
) -> None:
    image = noise(1, 20, 28)
    for seed in range(200):
        result = seeded(ours, image, seed)
        torch.manual_seed(seed)
        assert np.array_equal(result[0], np.asarray(theirs(Image.fromarray(image[0].numpy()))))


def test_a_batch_of_operations_is_its_images_one_by_one() -> None:
    image, kind = noise(200, 16, 16), torch.randint(len(augment.OPERATIONS), (200, 3))
    magnitude = torch.rand(200, 3).double() + 2
    batched = augment._operate(image, kind, magnitude)
    single = [augment._operate(*(part[i : i + 1] for part in (image, kind, magnitude))) for i in range(200)]
    assert torch.equal(batched, torch.cat(single))


@pytest.mark.parametrize("transform", ALL, ids=lambda transform: type(transform).__name__)
@pytest.mark.parametrize("shape", [(1, 8, 8), (7, 32, 32), (3, 9, 14), (2, 1, 1)], ids=str)
def test_shape_and_type_stay_and_the_seed_decides(transform: Augmentation, shape: tuple[int, ...]) -> None:
    image = noise(*shape)
    before = image.clone()
    result = seeded(transform, image)
    assert result.shape == image.shape
    assert result.dtype == torch.uint8
    assert result.is_contiguous()
    assert torch.equal(image, before)
    assert torch.equal(result, seeded(transform, image))


@pytest.mark.parametrize("transform", ALL, ids=lambda transform: type(transform).__name__)
def test_another_seed_is_another_batch(transform: Augmentation) -> None:
    image = noise(64, 16, 16)
    assert not torch.equal(seeded(transform, image, 0), seeded(transform, image, 1))


def test_crops_are_all_shifts_and_nothing_else() -> None:
    image = noise(1, 8, 9)
    padded = torch.zeros(12, 13, 3, dtype=torch.uint8)
    padded[2:10, 2:11] = image
    shifts = torch.stack([padded[y : y + 8, x : x + 9] for y in range(5) for x in range(5)])
    crops = seeded(RandomCrop(2), image.expand(2000, -1, -1, -1))
    distinct, counts = crops.flatten(1).unique(dim=0, return_counts=True)
    assert torch.equal(distinct, shifts.flatten(1).unique(dim=0))
    assert counts.min() > 40  # 80 expected, deviation 9


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_flips_mirror_the_share_asked_for(p: float) -> None:
    image = noise(1, 4, 5)
    result = seeded(RandomHorizontalFlip(p), image.expand(5000, -1, -1, -1))
    mirrored = (result == image.flip(2)).flatten(1).all(1)
    kept = (result == image).flatten(1).all(1)
    assert (mirrored ^ kept).all()
    assert mirrored.float().mean().item() == pytest.approx(p, abs=0.03)


def test_rotations_span_the_range(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Tensor] = []
    monkeypatch.setattr(augment.pixels, "rotate", lambda image, degrees: drawn.append(degrees) or image)
    seeded(RandomRotation(15), noise(5000, 1, 1))
    assert drawn[0].abs().max() <= 15
    assert drawn[0].min() < -14.9
    assert drawn[0].max() > 14.9
    assert drawn[0].mean().abs() < 0.5


def test_cutout_is_one_clipped_square_around_any_pixel() -> None:
    image = torch.full((20000, 12, 16, 3), 255, dtype=torch.uint8)
    hole = seeded(Cutout(6), image) == 0
    rows, columns = hole.any(3).any(2), hole.any(3).any(1)
    assert torch.equal(hole, (rows[:, :, None] & columns[:, None])[..., None].expand_as(hole))
    assert set(hole[..., 0].sum((1, 2)).tolist()) == {y * x for y in (3, 4, 5, 6) for x in (3, 4, 5, 6)}
    for covered, side in ((rows, 12), (columns, 16)):
        spans = [[max(c - 3, 0) <= i < min(c + 3, side) for i in range(side)] for c in range(side)]
        assert torch.equal(covered.unique(dim=0), torch.tensor(spans).unique(dim=0))


def test_rand_augment_without_operations_changes_nothing() -> None:
    image = noise(3, 8, 8)
    assert torch.equal(RandAugment(0)(image), image)
