"""Augmentations: the same draws as torchvision's give the same bytes; a batch is its images; the draws are fair."""

import lt_lightning  # noqa: F401  # first: it makes torchvision importable

# isort: split
import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import Tensor
from torchvision import transforms
from torchvision.transforms import functional as F

from lt_lightning.data import augment, views
from lt_lightning.data.augment import (
    Augmentation,
    AutoAugment,
    Cutout,
    RandAugment,
    RandomCrop,
    RandomHorizontalFlip,
    RandomRotation,
)
from lt_lightning.data.views import ColorJitter, GaussianBlur, RandomGrayscale, RandomResizedCrop

PLAIN = [RandomCrop(), RandomHorizontalFlip(), RandomRotation(), Cutout(), AutoAugment(), RandAugment()]
ALL = [*PLAIN, RandomResizedCrop(), ColorJitter(), RandomGrayscale(), GaussianBlur()]


def noise(*shape: int) -> Tensor:
    return torch.randint(256, (*shape, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def seeded(function: Callable[[Tensor], Tensor], image: Tensor, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return function(image)


def jitter(image: Image.Image) -> Image.Image:
    """ColorJitter(0.4, 0.5, 1.2, 0.1, p=0.8) on torchvision's operations."""
    if torch.rand(1, 1) > 0.8:
        return image
    adjust = [F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue]
    ranges = torch.tensor([[0.6, 1.4], [0.5, 1.5], [0.0, 2.2], [-0.1, 0.1]])
    order = torch.rand(4).argsort()
    for kind, part in zip(order, torch.rand(4), strict=True):
        low, high = ranges[kind]
        image = adjust[kind](image, (low + (high - low) * part).item())
    return image


def blur(image: Image.Image) -> Image.Image:
    """GaussianBlur(0.1, 2.0, p=0.3) on Pillow's filter."""
    if torch.rand(1) > 0.3:
        return image
    return image.filter(ImageFilter.GaussianBlur(torch.empty(1).uniform_(0.1, 2.0).item()))


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
        (RandomGrayscale(0.3), transforms.RandomGrayscale(0.3)),
        (ColorJitter(0.4, 0.5, 1.2, 0.1), jitter),
        (GaussianBlur(p=0.3), blur),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
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
    operations = augment.OPERATIONS.values()
    batched = augment.operate(image, operations, kind, magnitude)
    single = [augment.operate(image[i : i + 1], operations, kind[i : i + 1], magnitude[i : i + 1]) for i in range(200)]
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


def test_jitters_are_in_every_order_and_span_their_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Tensor] = []
    monkeypatch.setattr(views, "operate", lambda image, _, kind, factor: drawn.extend((kind, factor)) or image)
    seeded(ColorJitter(0.4, 0.5, 1.2, 0.1, p=0.6), noise(20000, 1, 1))
    kind, factor = drawn
    kept = (kind == 4).all(1)
    assert kept.float().mean().item() == pytest.approx(0.4, abs=0.02)
    orders, counts = kind[~kept].unique(dim=0, return_counts=True)
    assert {tuple(order) for order in orders.tolist()} == set(itertools.permutations(range(4)))
    assert counts.min() > 400  # 500 expected, deviation 22
    for place, (low, high) in enumerate([(0.6, 1.4), (0.5, 1.5), (0.0, 2.2), (-0.1, 0.1)]):
        values = factor[kind == place]
        assert values.min().item() == pytest.approx(low, abs=0.01 * (high - low))
        assert values.max().item() == pytest.approx(high, abs=0.01 * (high - low))
        assert values.mean().item() == pytest.approx((low + high) / 2, abs=0.02 * (high - low))


def test_a_jitter_of_strength_0_is_left_out() -> None:
    image = noise(8, 6, 6)
    assert torch.equal(ColorJitter(0, 0, 0, 0, p=1)(image), image)  # a turn of the hue by 0 would change it
    darker = seeded(ColorJitter(0.5, 0, 0, 0, p=1), image)
    factors = (darker.float().sum((1, 2, 3)) / image.float().sum((1, 2, 3))).sort().values
    assert factors[0] < 0.95
    assert factors.unique().numel() == 8  # each image its own


@pytest.mark.parametrize(("transform", "p"), [(RandomGrayscale(0.3), 0.3), (GaussianBlur(2, 2, 0.7), 0.7)], ids=str)
def test_the_share_asked_for_is_changed(transform: Augmentation, p: float) -> None:
    image = noise(1, 6, 7)
    result = seeded(transform, image.expand(5000, -1, -1, -1))
    changed = (result != image).flatten(1).any(1)
    assert changed.float().mean().item() == pytest.approx(p, abs=0.03)
    assert (result[changed] == result[changed][0]).all()


@pytest.mark.parametrize("size", [(32, 32), (8, 8), (20, 33)], ids=str)
@pytest.mark.parametrize("scale", [(0.2, 1.0), (0.08, 1.0), (0.5, 0.6)], ids=str)
def test_windows_are_drawn_from_the_distribution_of_torchvision(
    size: tuple[int, int], scale: tuple[float, float]
) -> None:
    torch.manual_seed(0)
    ours = torch.stack(RandomResizedCrop(scale).draw(20000, *size), 1)
    image = torch.empty(1, *size)
    draw = transforms.RandomResizedCrop.get_params
    theirs = torch.tensor([draw(image, list(scale), [3 / 4, 4 / 3]) for _ in range(1500)])
    assert (ours[:, :2] >= 0).all()
    assert (ours[:, 2:] > 0).all()
    assert (ours[:, :2] + ours[:, 2:] <= torch.tensor(size)).all()
    side = torch.tensor([*size, *size])
    for of_draws in (lambda x: x.mean(0), lambda x: x.std(0)):
        torch.testing.assert_close(of_draws(ours / side), of_draws(theirs / side), atol=0.03, rtol=0)


@pytest.mark.parametrize("size", [(10, 100), (100, 10), (7, 90)], ids=str)
def test_where_no_window_fits_it_is_the_middle(size: tuple[int, int]) -> None:
    expected = transforms.RandomResizedCrop.get_params(torch.empty(1, *size), [1.0, 1.0], [3 / 4, 4 / 3])
    window = torch.stack(RandomResizedCrop((1.0, 1.0)).draw(5, *size), 1)
    assert (window == torch.tensor(expected)).all()


def test_bad_ranges_are_errors() -> None:
    with pytest.raises(ValueError, match="scale must be two parts"):
        RandomResizedCrop((0.5, 0.2))
    with pytest.raises(ValueError, match="strengths must not be negative"):
        ColorJitter(hue=0.6)
    with pytest.raises(ValueError, match="sigma must be two deviations"):
        GaussianBlur(2.0, 0.1)
