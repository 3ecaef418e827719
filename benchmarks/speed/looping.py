"""The command's training loop against one written by hand, on the same batches."""

import contextlib
import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from noise import Clock, Noise

from lt_lightning.commands import main
from lt_lightning.data.base import Batch, seed_generators
from lt_lightning.data.sampling import TrainBatches
from lt_lightning.models.backbones import BackboneName
from speed.alone import in_a_process
from speed.measure import Adds, Costs, Pair, cpu_seconds
from speed.training import Training, teacher

ROOT = Path(__file__).parents[2]


class Job(NamedTuple):
    """One epoch of training."""

    images: int
    side: int
    size: int
    backbone: BackboneName


LARGE, SMALL = Job(128 * 24, 32, 128, "resnet32"), Job(4 * 400, 8, 4, "resnet8")


def loops() -> Sequence[Pair]:
    """ResNet-32 as on CIFAR, and networks so small that what is left is the loop."""
    loop, alone = "a loop by hand", (in_a_process("lt fit", kept=True), in_a_process("by hand", kept=True))
    return [
        Pair("lt fit, ResNet-32", loop, fit(LARGE), by_hand(LARGE), 24, "step", Costs(1.03)),
        Pair("lt fit, ResNet-8", f"{loop}, each in a process of its own", *alone, 400, "step", Adds(0.5)),
    ]


def fit(job: Job) -> Callable[[], float]:
    """``lt fit`` with all that it does by default but to validate: logs, checkpoints, guards."""

    def run() -> float:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            flags = {
                "plugins": ROOT / "benchmarks" / "noise.py",
                "config": ROOT / "configs" / "bs.yaml",
                "model.backbone": job.backbone,
                "data": "noise.Noise",
                "data.images": job.images,
                "data.side": job.side,
                "data.batch_size": job.size,
                "trainer.max_epochs": 1,
                "trainer.limit_val_batches": 0,
                "trainer.accelerator": "cpu",
                "trainer.enable_progress_bar": "false",
                "trainer.enable_model_summary": "false",
                "trainer.callbacks": "noise.Clock",
                "trainer.default_root_dir": folder,
            }
            main(["fit", *(word for flag, value in flags.items() for word in (f"--{flag}", str(value)))])
        return Clock.seconds

    return run


def by_hand(job: Job) -> Callable[[], float]:
    """The same batches, augmentation and steps; nothing is logged, looked at or kept."""
    data = Noise(job.images, job.side, batch_size=job.size)

    def batches() -> Iterator[Batch]:
        dataset = data.dataset("train")
        for fetch in TrainBatches(dataset, job.size, 0, position=lambda: 0):
            batch = dataset[fetch]
            seed_generators(fetch.seed, batch["image"].device)
            yield {**batch, "image": data.normalise(data.augment(batch["image"])), "label": batch["target"]}

    def run() -> float:
        training = Training(teacher(1, job.backbone, classes=data.classes))
        start = cpu_seconds()
        for batch in batches():
            training.step(batch)
        return cpu_seconds() - start

    return run
