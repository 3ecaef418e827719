"""The command's training loop against one written by hand, on the same batches."""

import lt_lightning  # noqa: F401  # first: it makes torchvision importable

# isort: split
import contextlib
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Trainer
from noise import InTurn, Noise

from lt_lightning.allocator import keep_freed_memory
from lt_lightning.commands import main
from lt_lightning.data.base import Batch, seed_generators
from lt_lightning.data.sampling import TrainBatches
from lt_lightning.models.backbones import BackboneName
from speed.measure import Adds, Costs, Goal, Pair
from speed.training import Training, teacher

ROOT = Path(__file__).parents[2]


class Job(NamedTuple):
    """One epoch of training, and how many of its steps are done before as many by hand."""

    steps: int
    side: int
    size: int
    backbone: BackboneName
    block: int


JOBS = {"large": Job(24, 32, 128, "resnet32", 2), "small": Job(1000, 8, 4, "resnet8", 5)}


def loops() -> Sequence[Pair]:
    """ResNet-32 as on CIFAR, and networks so small that what is left is the loop."""
    large, small, lightning = Alone("fit", "large"), Alone("fit", "small"), Alone("bare", "small")
    rows: tuple[tuple[str, Alone, Goal], ...] = (
        ("lt fit, ResNet-32", large, Costs(1.03)),
        ("lt fit, ResNet-8", small, Adds(0.5)),
        ("Lightning's bare Trainer, ResNet-8", lightning, Adds(None)),
    )
    by_hand = "a loop by hand, in turn in one run"
    pairs = [Pair(who, by_hand, alone.ours, alone.by_hand, 1, "step", goal) for who, alone, goal in rows]
    # half a millisecond was asked for where the bare Trainer's was 0.37; their ratio depends less on the processor
    ours, theirs = "what lt fit adds, ResNet-8", "what Lightning's bare Trainer adds"
    return [*pairs, Pair(ours, theirs, small.added, lightning.added, 1, "step", Costs(1.35))]


class Alone:
    """Both sides of a pair in a new process, where what others left on the heap does not matter.

    Args:
        kind: Of :data:`KINDS`.
        job: Of :data:`JOBS`.
    """

    def __init__(self, kind: str, job: str) -> None:
        self.command = [sys.executable, "-m", "speed.looping", kind, job]
        self._ours, self._by_hand = 0.0, 0.0

    def ours(self) -> float:
        """CPU seconds a step; both sides are measured by this."""
        done = subprocess.run(
            self.command, cwd=Path(__file__).parents[1], check=True, stdout=subprocess.PIPE, text=True
        )
        self._ours, self._by_hand = map(float, json.loads(done.stdout.splitlines()[-1]))
        return self._ours

    def by_hand(self) -> float:
        """CPU seconds of a step by hand, as measured by :meth:`ours`."""
        return self._by_hand

    def added(self) -> float:
        """What a step of ours takes beyond one by hand, as measured by :meth:`ours`."""
        return self._ours - self._by_hand


def fit(job: Job, folder: str) -> None:
    """``lt fit`` with all that it does by default but to validate and to draw: logs, checkpoints, guards."""
    flags = {
        "plugins": ROOT / "benchmarks" / "noise.py",
        "config": ROOT / "configs" / "bs.yaml",
        "model.backbone": job.backbone,
        "data": "noise.Noise",
        "data.images": job.steps * job.size,
        "data.side": job.side,
        "data.batch_size": job.size,
        "plots.pictures": "false",
        "trainer.max_epochs": 1,
        "trainer.limit_val_batches": 0,
        "trainer.accelerator": "cpu",
        "trainer.enable_progress_bar": "false",
        "trainer.enable_model_summary": "false",
        "trainer.callbacks": "noise.InTurn",
        "trainer.default_root_dir": folder,
    }
    main(["fit", *(word for flag, value in flags.items() for word in (f"--{flag}", str(value)))])


def bare(job: Job, folder: str) -> None:
    """Lightning's Trainer with nothing but the module, its data and what the measurement needs."""
    few: dict[str, Any] = {"barebones": True, "max_epochs": 1, "limit_val_batches": 0}
    trainer = Trainer(**few, accelerator="cpu", callbacks=InTurn(), default_root_dir=folder)
    module = teacher(1, job.backbone, classes=Noise.classes)
    optimizer = Training(module).optimizer
    module.configure_optimizers = lambda: optimizer  # type: ignore[method-assign]  # the command brings one
    trainer.fit(module, datamodule=noise(job))


KINDS: dict[str, Callable[[Job, str], None]] = {"fit": fit, "bare": bare}


def noise(job: Job) -> Noise:
    """The images of a job."""
    return Noise(job.steps * job.size, job.side, batch_size=job.size)


def steps_by_hand(job: Job) -> Iterator[torch.Tensor]:
    """The same batches, augmentation and steps; nothing is logged, looked at or kept."""
    data = noise(job)
    dataset, training = data.dataset("train"), Training(teacher(1, job.backbone, classes=data.classes))
    for fetch in TrainBatches(dataset, job.size, 0, position=lambda: 0):
        batch: Batch = dataset[fetch]
        seed_generators(fetch.seed, batch["image"].device)
        views: Batch = {**batch, "image": data.normalise(data.augment(batch["image"])), "label": batch["target"]}
        yield training.step(views)


def measure_in_turn(kind: str, name: str) -> None:
    """Print CPU seconds a step of both sides."""
    torch.set_num_threads(1)
    keep_freed_memory()
    job = JOBS[name]
    steps = steps_by_hand(job)
    InTurn.by_hand, InTurn.block = staticmethod(lambda: next(steps)), job.block
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        KINDS[kind](job, folder)
    print(json.dumps([seconds / job.steps for seconds in InTurn.seconds]))


if __name__ == "__main__":
    measure_in_turn(*sys.argv[1:])
