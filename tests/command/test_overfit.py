"""Every shipped method learns 32 images by heart."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import fit
from numpy.typing import NDArray
from test_configs import METHODS, earlier_stage

from lt_lightning.data import DigitsLT
from lt_lightning.data.base import Split

KEPT, TIMES = [9, 6, 4, 3, 3, 2, 2, 1, 1, 1], 10


class ThirtyTwo(DigitsLT):
    """32 digits, long-tailed, ten times over for training; they are the validation images as well."""

    @property
    def class_counts(self) -> list[int]:
        return [TIMES * kept for kept in KEPT]

    def arrays(self, split: Split) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        image, target = super().arrays("test")
        chosen = np.concatenate([np.flatnonzero(target == c)[:kept] for c, kept in enumerate(KEPT)])
        chosen = np.tile(chosen, TIMES if split == "train" else 1)
        return image[chosen], target[chosen]


def learn(run: Path, config: str, *flags: str) -> Path:
    data = [
        "--plugins",
        __file__,
        "--data",
        "test_overfit.ThirtyTwo",
        "--data.batch_size",
        "32",
        "--data.augment",
        "[]",
    ]
    short = ["--trainer.max_epochs", "8", "--trainer.check_val_every_n_epoch", "8", "--lr_scheduler.warmup", "1"]
    return fit(run, *data, *short, *flags, config=config)


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """Trains an earlier stage, once."""
    return cache(lambda config: learn(tmp_path_factory.mktemp(config), config) / "last.ckpt")


LIKE_OTHERS = {"cutmix", "focal", "mcem_supcon", "mixup", "posthoc", "ride_distill", "ride_six", "students", "teacher"}
"""Methods whose parts others of this list, that are always run, have as well."""


@pytest.mark.parametrize(
    "method", [pytest.param(name, marks=[pytest.mark.soak] if name in LIKE_OTHERS else []) for name in METHODS]
)
def test_32_images_are_learnt(method, tmp_path, stage):
    needs: list[Any] = [found[0], str(stage(found[1]))] if (found := earlier_stage(method, [])) else []
    figures = json.loads((learn(tmp_path, method, *needs) / "summary.json").read_text())["val"]["last"]
    assert figures["acc"] >= 0.95
