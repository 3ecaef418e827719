"""Sets in memory lie on the device that trains, and augmentations work on any device without waiting for it.

Tensors of the device "meta" have shapes and no values: what asks for one raises, and what mixes devices, too.
"""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from test_base import Tiny

from lt_lightning.data import augment, views
from lt_lightning.data.augment import Augmentation
from lt_lightning.data.sampling import Fetch

AUGMENTATIONS = {
    name: kind
    for module in (augment, views)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, Augmentation) and kind is not Augmentation
}


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentations_wait_for_nothing(name: str) -> None:
    image = torch.zeros(16, 32, 32, 3, dtype=torch.uint8, device="meta")
    made = AUGMENTATIONS[name]()(image)
    assert (made.device.type, made.dtype, made.shape) == ("meta", torch.uint8, image.shape)


def on(device: str, **kwargs: Any) -> Tiny:
    """A set of which a trainer on a device asks for batches."""
    data = Tiny(**kwargs)
    strategy = SimpleNamespace(root_device=torch.device(device))
    data.trainer = SimpleNamespace(strategy=strategy, world_size=1, global_rank=0)  # type: ignore[assignment]
    return data


def test_a_set_in_memory_lies_on_the_device() -> None:
    data = on("meta")
    dataset = data.val_dataloader().dataset
    batch: Any = dataset[Fetch(torch.tensor([3, 1]), 0)]
    assert [batch[name].device.type for name in ("image", "target", "index")] == ["meta"] * 3
    assert batch["image"].shape == (2, 5, 6, 3)
    assert data.dataset("val").image.device.type == "cpu"  # for all others who look at it


def test_normalisation_stays_there() -> None:
    assert on("meta").normalise(torch.zeros(2, 5, 6, 3, dtype=torch.uint8, device="meta")).device.type == "meta"


@pytest.mark.parametrize("workers", [0, 1])
def test_loading_processes_read_from_memory_of_the_host(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    loader = on("meta", num_workers=workers).val_dataloader()
    dataset: Any = loader.dataset
    batch = dataset[Fetch(torch.tensor([0]), 0)]
    assert batch["image"].device.type == ("cpu" if workers else "meta")


@pytest.mark.parametrize(("device", "pinned"), [("cuda", True), ("cpu", False)])
def test_memory_is_pinned_for_a_gpu_that_is_used(device: str, pinned: bool) -> None:
    assert on(device, num_workers=1).val_dataloader().pin_memory is pinned


def test_mixed_images_stay_channels_last() -> None:
    class OnGPU(torch.nn.Module):  # there torch's roll, of which MixUp is made, forgets it
        def forward(self, sample: Any) -> Any:
            image, target = sample
            return image.contiguous(), target

    data = on("cpu")
    data.mix = OnGPU()
    data.trainer.training = True  # type: ignore[union-attr]
    batch: Any = {"image": torch.zeros(2, 5, 6, 3, dtype=torch.uint8), "target": torch.zeros(2), "seed": 1}
    image = data.on_after_batch_transfer(batch, 0)["image"]
    assert image.is_contiguous(memory_format=torch.channels_last)
    assert not image.is_contiguous()


@pytest.mark.parametrize("there", ["cpu", "meta"])
def test_a_batch_is_moved_unless_it_is_there(there: str) -> None:
    image = torch.zeros(2, 5, 6, 3, dtype=torch.uint8, device=there)
    batch: Any = {"image": image, "target": torch.zeros(2, device=there), "views": [image], "seed": 1}
    moved = Tiny().transfer_batch_to_device(batch, torch.device("meta"), 0)
    assert {moved[name].device.type for name in ("image", "target")} == {moved["views"][0].device.type} == {"meta"}
    assert (moved is batch) == (there == "meta")
