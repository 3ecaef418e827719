"""Any number of images, processes and images a batch: each image counts once, and every figure is its definition's.

The network looks logits up, so what the trainer, the samplers, the callbacks and gloo should arrive at is known.
"""

import csv
import datetime
import io
import json
import os
import random
import socket
import tempfile
from collections import Counter
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import figures as numpy_figures
import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from numpy.typing import NDArray
from torch import Tensor, distributed, multiprocessing, nn
from torch.utils.data import Dataset

from lt_lightning.callbacks import Diversity, Evaluation, PerImage, Plots, Predictions, Report, TestPriors
from lt_lightning.data.augment import Augmentation
from lt_lightning.data.base import Batch, Split
from lt_lightning.data.memory import ArrayDataset, InMemoryDataModule
from lt_lightning.data.sampling import Fetch
from lt_lightning.data.shifts import shifted_parts
from lt_lightning.losses import (
    BalancedSoftmax,
    CrossEntropy,
    InverseSoftmax,
    MeanLogits,
    MeanProbabilities,
    PriorCorrected,
)
from lt_lightning.modules import Teacher
from lt_lightning.plots.tables import read_bins, read_losses, read_pairs

pytestmark = pytest.mark.command
COUNTS = [500, 150, 60, 20, 5, 1]
COMBINATIONS = [MeanLogits, PriorCorrected, MeanProbabilities]
WORLDS = (3, 2, 1)
TOLERANCE = 1e-6
Case = tuple[int, int, int]  # images N, processes, images a batch


class Table(nn.Module):
    """Logits ``(E, N, C)`` of images that show their number."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits, self.unused = logits, nn.Parameter(torch.zeros(1))

    def forward(self, image: Tensor) -> Tensor:
        return self.logits[:, (image[:, 0, 0, 0] * 255).round().long()]


class HalfDamaged(Dataset[Batch]):
    """Of which every second image cannot be read."""

    def __init__(self, whole: ArrayDataset) -> None:
        self.whole = whole

    def __len__(self) -> int:
        return len(self.whole)

    def __getitem__(self, fetch: Fetch) -> Batch:
        readable = self.whole[fetch._replace(indices=fetch.indices[fetch.indices % 2 == 0])]
        errors = {i: f"{i} is damaged" for i in fetch.indices.tolist() if i % 2}
        return {**readable, "errors": errors}


class Numbered(InMemoryDataModule):
    """Images of one pixel, whose red is their number."""

    mean, std, selected_on_test = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), False
    class_counts = COUNTS  # type: ignore[assignment]

    def __init__(self, target: NDArray[np.int64], eval_batch_size: int) -> None:
        super().__init__(eval_batch_size=eval_batch_size)
        self.target = target

    def default_augment(self) -> list[Augmentation]:
        return []

    def image_name(self, split: Split, i: int) -> str:
        return f"{split} {i}"

    def arrays(self, split: Split) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        image = np.zeros((len(self.target), 1, 1, 3), np.uint8)
        image[:, 0, 0, 0] = np.arange(len(self.target))
        return image, self.target


class Damaged(Numbered):
    def dataset(self, split: Split) -> HalfDamaged:  # type: ignore[override]
        return HalfDamaged(super().dataset(split))


def is_damaged(case: Case) -> bool:
    """Whether predictions are made of damaged images, too, which takes its time."""
    return case[0] > 1 and case[2] % 4 == 0


def known(case: Case) -> tuple[Tensor, NDArray[np.int64], int]:
    """Logits ``(E, N, C)`` and classes ``(N,)``, and which combination; classes may be absent, members one."""
    number = case[0]
    rng = np.random.default_rng(case)
    target = rng.permutation(np.arange(number) % 6) if rng.random() < 0.5 else rng.integers(0, 6, number)
    logits = rng.choice([0.0, 1.0, 4.0]) * rng.standard_normal((1 if rng.random() < 0.2 else 3, number, 6))
    logits[:, np.arange(number), target] += 2
    sure = rng.random(number) < rng.choice([0.0, 0.3])
    logits[:, sure, rng.integers(0, 6, number)[sure]] += 60  # whose probability is 1 in float32
    return torch.from_numpy(logits).float(), target.astype(np.int64), int(rng.integers(3))


def expected(case: Case) -> tuple[dict[str, float], dict[str, list[float]], NDArray[np.float64]]:
    """Figures, each class's accuracy by column, and probabilities ``(N, C)``."""
    table, target, which = known(case)
    z, counts = table.double().numpy(), np.array(COUNTS)
    prior = numpy_figures.log_prior(counts)
    offsets = np.stack([0 * prior, prior, prior - 2 * prior[::-1]])[: len(z), None]
    corrected = z + offsets - prior + np.log(1 / 6)
    members = corrected if COMBINATIONS[which] is PriorCorrected else z
    combined = members.mean(0)
    if COMBINATIONS[which] is MeanProbabilities:
        combined = np.log(numpy_figures.softmax(z).mean(0))
    predictors = {"": combined} | ({f"expert{m + 1}/": z[m] for m in range(len(z))} if len(z) > 1 else {})
    figures, by_class = {}, {}
    for prefix, logits in predictors.items():
        found = numpy_figures.accuracy_figures(logits, target, counts)
        figures |= {f"{prefix}{name}": value for name, value in found.items()}
        by_class[f"{prefix}acc"] = numpy_figures.class_accuracy(logits, target, counts)
    if len(z) > 1:
        theory = numpy_figures.theory_figures(members, target, counts)
        figures |= {f"theory/{name}": value for name, value in theory.items()}
    parts = shifted_parts(target, COUNTS)
    figures |= numpy_figures.shifted_figures(combined, corrected.mean(0), target, parts, 6)
    return figures, by_class, numpy_figures.softmax(combined)


def deviation(ours: float, true: float) -> float:
    """Relative where figures are larger than 1; NaN only equals itself."""
    if np.isnan(true) or np.isnan(ours):
        return 0.0 if np.isnan(true) and np.isnan(ours) else np.inf
    return abs(ours - true) / max(1.0, abs(true))


def check(case: Case, folder: Path) -> float:
    """Largest deviation of what a run wrote; other mistakes are assertions."""
    summary = json.loads((folder / "summary.json").read_text())["test"]["last"]
    with (folder / "per_class.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (folder / "predictions.csv").open(newline="") as file:
        predictions = list(csv.DictReader(file))
    figures, by_class, probability = expected(case)
    target = known(case)[1]
    assert summary.keys() == figures.keys(), summary.keys() ^ figures.keys()
    pairs = [(summary[name], value) for name, value in figures.items()]
    pairs += [(float(row[name]), v) for name, values in by_class.items() for row, v in zip(rows, values, strict=True)]
    assert [row["path"] for row in predictions] == [f"test {i}" for i in range(case[0])]
    assert [int(row["target"]) for row in predictions] == target.tolist()
    for row, p in zip(predictions, probability, strict=True):
        entropy = -(p * np.log(np.maximum(p, 1e-300))).sum()
        assert int(row["predicted"]) == int(row["label"]) == p.argmax()
        assert row["group"] == ["many", "many", "medium", "medium", "few", "few"][p.argmax()]
        top = [row["probability"], *(row[f"probability_{k}"] for k in (2, 3))]
        ours = [row["entropy"], *top, *(row[f"p_{c}"] for c in range(6))]
        pairs += zip(map(float, ours), [entropy, *sorted(p)[:-4:-1], *p], strict=True)
    if is_damaged(case):
        with (folder / "damaged" / "predictions.csv").open(newline="") as file:
            left = list(csv.DictReader(file))
        assert [row["error"] for row in left] == [f"{i} is damaged" if i % 2 else "" for i in range(case[0])]
        for i, row in enumerate(left):
            blank = dict.fromkeys(row, "") | {"path": f"test {i}", "error": row["error"]}
            assert row == (blank if i % 2 else predictions[i])
    lines = [f"{t},{p}" for t, p in zip(target.tolist(), probability.argmax(-1).tolist(), strict=True)]
    assert (folder / "per_image.csv").read_text().splitlines() == ["target,predicted", *lines]
    assert [path.name for path in folder.glob("predictions*")] == ["predictions.csv"]
    pairs += gathered(folder, target, probability)
    return max(deviation(ours, true) for ours, true in pairs)


def gathered(folder: Path, target: NDArray[np.int64], probability: NDArray[np.float64]) -> list[tuple[float, float]]:
    """What charts are made from, ours and as it is counted here; what is no figure is asserted."""
    predicted, sure = probability.argmax(-1), probability.max(-1)
    counted = Counter(zip(target.tolist(), predicted.tolist(), strict=True))
    assert read_pairs(folder, "test", 6) == [(a, b, n) for (a, b), n in sorted(counted.items())]
    pairs = []
    for found in read_bins(folder, "test"):
        of = np.array([found.group in ("all", numpy_figures.group(COUNTS[t])) for t in target])
        inside = of & (sure >= found.low - 1e-9) & ((sure < found.high - 1e-9) | (found.high == 1))
        assert found.images == inside.sum()
        if inside.any():
            pairs += [(found.confidence or 0.0, sure[inside].mean())]
            pairs += [(found.accuracy or 0.0, (predicted == target)[inside].mean())]
    loss = -np.log(np.maximum(probability[np.arange(len(target)), target], 1e-300))
    losses = read_losses(folder, "test")
    assert len({row.image for row in losses}) == len(losses) == min(len(target), 32)
    for row, largest in zip(losses, np.sort(loss)[::-1], strict=False):
        i = int(row.image.removeprefix("test "))
        assert (row.target, row.predicted) == (str(target[i]), str(predicted[i]))
        pairs += [(row.probability, sure[i]), (row.loss, loss[i]), (row.loss, largest)]
    return pairs


def evaluate(case: Case, folder: Path) -> None:
    """``lt test`` and ``lt predict`` without the command."""
    _, world, batch_size = case
    table, target, which = known(case)
    losses = [CrossEntropy, BalancedSoftmax, InverseSoftmax][: len(table)]
    module = Teacher(class_counts=COUNTS, losses=losses, backbone="resnet8", combination=COMBINATIONS[which])
    module.net = Table(table)  # type: ignore[assignment]
    trainer = Trainer(
        accelerator="cpu",
        devices=world,
        strategy="ddp" if world > 1 else "auto",
        callbacks=[
            Evaluation(),
            Diversity(),
            TestPriors(),
            Predictions(top_k=3, all_probabilities=True),
            PerImage(),
            Report(),
            Plots(pictures=False),
        ],
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    data = Numbered(target, batch_size)
    trainer.test(module, data, verbose=False)
    trainer.predict(module, data, return_predictions=False)
    if is_damaged(case):
        trainer.callbacks[3].file = folder / "damaged" / "predictions.csv"  # type: ignore[attr-defined]
        trainer.predict(module, Damaged(target, batch_size), return_predictions=False)


def work(rank: int, cases: list[Case], folder: str, ports: dict[int, int]) -> None:
    """One process, in groups of three, of two and of one."""
    torch.set_num_threads(1)
    deviations = {}
    for world in WORLDS[: len(WORLDS) - rank]:
        local = {"LOCAL_RANK": rank, "NODE_RANK": 0, "WORLD_SIZE": world}
        os.environ |= {k: str(v) for k, v in {**local, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": ports[world]}.items()}
        if world > 1:
            patience = datetime.timedelta(seconds=60)
            distributed.init_process_group("gloo", rank=rank, world_size=world, timeout=patience)
        for case in (case for case in cases if case[1] == world):
            of_case = Path(folder, "-".join(map(str, case)))
            with redirect_stdout(io.StringIO()):
                evaluate(case, of_case)
            if rank == 0:
                deviations["-".join(map(str, case))] = check(case, of_case)
        if world > 1:
            distributed.destroy_process_group()
    if rank == 0:
        Path(folder, "deviations.json").write_text(json.dumps(deviations))


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


EVERY: list[Case] = [(n, world, size) for n in range(1, 41) for world in WORLDS for size in range(1, 9)]
SOME = sorted({*random.Random(0).sample(EVERY, 3), (1, 3, 4), (2, 3, 1), (1, 2, 8), (40, 3, 8), (21, 2, 4)})


@pytest.mark.parametrize(
    "cases", [pytest.param(SOME, id="some"), pytest.param(EVERY, id="all", marks=pytest.mark.soak)]
)
def test_every_figure_is_its_definition(cases: list[Case]) -> None:
    ports = {world: free_port() for world in WORLDS}
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        given = cases, folder, ports
        multiprocessing.start_processes(work, given, nprocs=max(WORLDS), start_method="fork")  # type: ignore[no-untyped-call]
        deviations: dict[str, Any] = json.loads(Path(folder, "deviations.json").read_text())
    assert len(deviations) == len(cases)
    worst = max(deviations, key=deviations.__getitem__)
    print(f"{len(cases)} cases, largest deviation {deviations[worst]:.2g} in {worst}")
    assert deviations[worst] <= TOLERANCE
