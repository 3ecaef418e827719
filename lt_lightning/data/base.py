"""What all long-tailed data modules share: class counts, splits, stateless batches, augmentation on the device."""

from abc import ABC, abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from lt_lightning.data.augment import Augmentation
from lt_lightning.data.crops import central_crop
from lt_lightning.data.images import open_image
from lt_lightning.data.sampling import EvalBatches, Fetch, Order, Shuffled, TrainBatches
from lt_lightning.data.workers import begin_loading
from lt_lightning.errors import LtError

Split = Literal["train", "val", "test"]
MAX_BATCH, MAX_WORKERS = 1_000_000, 512
"""More is a slip of the keyboard, which would bring the machine down."""


class Batch(TypedDict):
    """One batch, as it goes from the data module to a training or evaluation step."""

    image: Tensor  # (B, H, W, 3) uint8 on its way to the device, (B, 3, H, W) float after it
    target: Tensor  # (B,) class indices, or (B, C) probabilities after mixup or cutmix
    index: Tensor  # (B,), the images' places in their split
    seed: int  # of everything random in this step
    step_seed: int  # of what all processes draw alike in this step
    label: NotRequired[Tensor]  # (B,), in training: the class indices that mixup or cutmix may have made soft
    errors: NotRequired[dict[int, str]]  # what is wrong with images that could not be read, by their places
    views: NotRequired[list[Tensor]]  # in training: further augmentations of the images, each as image
    teacher_logits: NotRequired[Tensor]  # (B, C), added by DistillationTargets
    teacher_offset: NotRequired[Tensor]  # (C,), added by DistillationTargets


class Reported(Dataset[Batch | LtError]):
    """A data set that returns a mistake of the user's instead of raising it.

    What a loading process raises comes out of torch as another error, without its parts.

    Args:
        dataset: Which may raise.
    """

    def __init__(self, dataset: Dataset[Batch]) -> None:
        self.dataset = dataset

    def __getitem__(self, fetch: Fetch) -> Batch | LtError:
        try:
            return self.dataset[fetch]
        except LtError as error:
            return error


class LongTailDataModule(LightningDataModule, ABC):
    """A long-tailed training set with balanced validation and test sets.

    Randomness is stateless: the order of an epoch follows from (seed, epoch), all that is drawn in a step from (seed,
    epoch, step, rank). Augmentation is batched tensor code and runs on the device, after the transfer.

    Args:
        batch_size: Training images of a batch, on each device.
        eval_batch_size: Validation and test images of a batch, on each device.
        num_workers: Worker processes that read batches; 0 is fastest for sets in memory.
        augment: Augmentations of training images, in order; by default those of the set.
        num_views: Further augmentations of each training image, for methods that compare views of it.
        view_augment: Augmentations of those, in order; by default ``augment``.
        mix: Mixes the images of a training batch after normalisation: MixUp or CutMix of torchvision.transforms.v2;
            the number of classes is filled in.
        order: Which images form a training epoch: ``Shuffled``, each once, by default, or ``ClassBalanced``,
            which is for second stages.
        many: A class with more training images than this is a many-shot class.
        few: A class with fewer training images than this is a few-shot class.
        seed: Seed of order and augmentation; the command sets it to ``seed_everything``.

    Raises:
        ValueError: The groups many and few overlap, or a number is negative or beyond all reason.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    size: int
    """Side of the square, in pixels, that the network sees."""
    part = 1.0
    """Part of an image's shorter side that evaluation looks at."""
    shrink_on_load: int | None = None
    """How many times as large as ``size`` a JPEG stays that is decoded at a half, a quarter or an eighth of its size,
    several times faster; None decodes in full, as papers do."""
    selected_on_test: bool
    """Whether validation images are the test images, as where the field has no validation list."""

    def __init__(
        self,
        batch_size: int = 128,
        eval_batch_size: int = 1000,
        num_workers: int = 0,
        augment: list[Augmentation] | None = None,
        num_views: int = 0,
        view_augment: list[Augmentation] | None = None,
        mix: nn.Module | None = None,
        order: Order | None = None,
        many: int = 100,
        few: int = 20,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if min(batch_size, eval_batch_size) < 1 or min(num_workers, num_views) < 0:
            numbers = f"{batch_size}, {eval_batch_size}, {num_workers} and {num_views}"
            raise ValueError(f"sizes of batches must be positive, workers and views not negative, got {numbers}")
        if max(batch_size, eval_batch_size) > MAX_BATCH or max(num_workers, num_views) > MAX_WORKERS:
            numbers = f"{batch_size}, {eval_batch_size}, {num_workers} and {num_views}"
            most = f"batches hold at most {MAX_BATCH} images, workers and views are at most {MAX_WORKERS}"
            raise ValueError(f"{most}, got {numbers}")
        if few > many + 1:
            raise ValueError(f"few ({few}) must not be larger than many + 1 ({many + 1}): groups would overlap")
        self.batch_size, self.eval_batch_size, self.num_workers = batch_size, eval_batch_size, num_workers
        self.augment = nn.Sequential(*(self.default_augment() if augment is None else augment))
        self.num_views = num_views
        self.view_augment = self.augment if view_augment is None else nn.Sequential(*view_augment)
        self.mix = mix or nn.Identity()
        self.order = order or Shuffled()
        self.many, self.few, self.seed = many, few, seed

    @property
    @abstractmethod
    def class_counts(self) -> list[int]:
        """Training images of each class, known before any image is read."""

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in label order; known once the data are prepared."""
        return [str(c) for c in range(len(self.class_counts))]

    @property
    def title(self) -> str:
        """What reports call the data."""
        return type(self).__name__

    def image_name(self, split: Split, i: int) -> str:
        """What image i of a split is called: its number, or its path where it has one."""
        return str(i)

    @abstractmethod
    def default_augment(self) -> list[Augmentation]:
        """The augmentations that papers use on this set."""

    @abstractmethod
    def dataset(self, split: Split) -> Dataset[Batch]:
        """Open one split; it is indexed by :class:`~lt_lightning.data.sampling.Fetch`."""

    def square(self, file: Path) -> NDArray[np.uint8]:
        """What evaluation makes of an image file: its middle, ``(size, size, 3)``, before :meth:`normalise`.

        Raises:
            LtError: The file cannot be read, or is too thin.
        """
        smallest = None if self.shrink_on_load is None else self.shrink_on_load * self.size
        return central_crop(open_image(file, smallest), self.size, self.part)

    def train_dataloader(self) -> DataLoader[Batch | LtError]:
        """Training batches, from wherever the run stands."""
        assert self.trainer is not None
        if self.trainer.overfit_batches:  # type: ignore[attr-defined]
            # Lightning would put a sampler of its own in the place of ours
            raise LtError("overfit_batches is not supported", "the trainer", "use limit_train_batches")
        self.mix.num_classes = len(self.class_counts)  # type: ignore[assignment] # torchvision's mixers ask for it
        sampler = self.train_batches()
        return self._loader(sampler.dataset, sampler)

    def train_batches(self) -> TrainBatches:
        """What forms the training batches of this process."""
        assert self.trainer is not None
        progress = self.trainer.fit_loop.epoch_loop.batch_progress
        return TrainBatches(
            self.dataset("train"),
            self.batch_size,
            self.seed,
            position=lambda: progress.total.processed,  # type: ignore[attr-defined]
            order=self.order,
            limit=self.trainer.limit_train_batches,
            num_ranks=self.trainer.world_size,
            rank=self.trainer.global_rank,
        )

    def val_dataloader(self) -> DataLoader[Batch | LtError]:
        """Each validation image once."""
        return self._eval_loader("val")

    def test_dataloader(self) -> DataLoader[Batch | LtError]:
        """Each test image once."""
        return self._eval_loader("test")

    def predict_dataloader(self) -> DataLoader[Batch | LtError]:
        """Each test image once."""
        return self._eval_loader("test")

    def _eval_loader(self, split: Split) -> DataLoader[Batch | LtError]:
        assert self.trainer is not None
        dataset = self.dataset(split)
        ranks = self.trainer.world_size, self.trainer.global_rank
        return self._loader(dataset, EvalBatches(dataset, self.eval_batch_size, *ranks))

    def _loader(
        self, dataset: Dataset[Batch], sampler: TrainBatches | EvalBatches, pinned: bool = True
    ) -> DataLoader[Batch | LtError]:
        assert self.trainer is not None
        return DataLoader(
            Reported(dataset),
            batch_size=None,
            collate_fn=_as_it_is,
            sampler=sampler,
            num_workers=self.num_workers,
            worker_init_fn=begin_loading,
            persistent_workers=self.num_workers > 0,
            pin_memory=pinned and self.trainer.strategy.root_device.type == "cuda",
        )

    def on_before_batch_transfer(self, batch: Batch | LtError, dataloader_idx: int) -> Batch:
        """Raise the mistake that a loading process met.

        Raises:
            LtError: There is one.
        """
        if isinstance(batch, LtError):
            raise batch
        return batch

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Any:
        """Leave a batch that is there already as it is: Lightning would look at all its parts."""
        there = batch["image"].device == device
        return batch if there else super().transfer_batch_to_device(batch, device, dataloader_idx)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Any:
        """Augment (training only) and normalise a batch on its device.

        Seeding torch here makes everything random in a training step, dropout too, a function of the step alone.
        """
        assert self.trainer is not None
        if not self.trainer.training:
            return {**batch, "image": self.normalise(batch["image"])}
        seed_generators(batch["seed"], batch["image"].device)
        image, target = self.mix((self.normalise(self.augment(batch["image"])), batch["target"]))
        sources = batch.get("views", [batch["image"]] * self.num_views)  # sets of files cut windows as they read
        views = [self.normalise(self.view_augment(source)) for source in sources]
        image = image.contiguous(memory_format=torch.channels_last)  # on a GPU MixUp forgets it
        return {**batch, "image": image, "target": target, "label": batch["target"], "views": views}

    def normalise(self, image: Tensor) -> Tensor:
        """uint8 ``(B, H, W, 3)`` to float ``(B, 3, H, W)`` by the set's mean and deviation, channels last."""
        mean, std = (_rows(values, image.shape[2], image.device) for values in (self.mean, self.std))
        return image.flatten(2).float().sub_(mean).div_(std).view(image.shape).permute(0, 3, 1, 2)


def _as_it_is(batch: Any) -> Any:
    """A batch as the set made it: the loader would look through all its parts for what is no tensor yet."""
    return batch


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed torch's generators of the CPU and of a device.

    ``torch.manual_seed`` seeds those of all kinds of devices, and notes for each kind that is not there where in the
    program it was called: a quarter of a millisecond a step.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


@lru_cache
def _rows(values: tuple[float, ...], width: int, device: torch.device) -> Tensor:
    """One value a channel, for 0 to 255, repeated for a row of pixels: ``(3 * width,)``, made once a device.

    Broadcasting over an innermost dimension of 3 would be twenty times slower.
    """
    return torch.tensor(values * width, device=device) * 255
