"""Reading training images of 224 pixels from JPEG files, against torchvision's usual pipeline.

Theirs: a data set that opens an image, applies transforms to it and collates, as the field's repositories do. Ours: a
batch's windows cut in the loading process as uint8, flips, colours and normalisation for the batch at once, which
belong on the device but are timed here on the same thread. Of large photographs ours decodes no more than it needs,
which the field's pipelines do not, and, in rows of their own, all as they do. CPU time, one thread, interleaved;
medians over rounds.

    python benchmarks/loading.py --out benchmarks/results/loading.json
"""

import lt_lightning  # noqa: F401  # first: it makes torchvision importable

# isort: split
import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import default_collate
from torchvision import transforms
from torchvision.datasets.folder import default_loader

from lt_lightning.data import FolderLT
from lt_lightning.data.augment import RandomHorizontalFlip
from lt_lightning.data.sampling import Fetch
from lt_lightning.data.views import ColorJitter

BATCH = 64


def make(root: Path, images: int, width: int, height: int) -> None:
    """JPEGs of the size and file size of ImageNet's: smooth shapes under noise, quality 90."""
    generator = np.random.default_rng(0)
    for i in range(images):
        coarse = generator.integers(0, 256, (8, 10, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.int16)
        noisy = (smooth + generator.normal(0, 8, smooth.shape)).clip(0, 255).astype(np.uint8)
        path = root / f"class {i % 4}" / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noisy).save(path, quality=90)


def theirs(paths: list[Path], jitter: bool, views: int) -> Callable[[int], object]:
    """A batch by torchvision's transforms, image by image, each decoded once."""
    colours = [transforms.ColorJitter(0.4, 0.4, 0.4, 0.0)] if jitter else []
    normalise = transforms.Normalize(FolderLT.mean, FolderLT.std)
    steps = [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), *colours, transforms.ToTensor()]
    transform = transforms.Compose([*steps, normalise])

    def batch(_: int) -> object:
        return default_collate([[transform(image) for _ in range(1 + views)] for image in map(default_loader, paths)])

    return batch


class InFull(FolderLT):
    """Decodes all of a photograph, whatever is needed."""

    shrink_on_load = None


def ours(
    kind: type[FolderLT], root: Path, jitter: bool, views: int
) -> tuple[int, Callable[[int], Any], Callable[[Any], list[Tensor]]]:
    """Width to which images are decoded, what the loading process does for a batch, what the device does with it."""
    augment = [RandomHorizontalFlip(), *([ColorJitter(0.4, 0.4, 0.4, 0.0, p=1.0)] if jitter else [])]
    data = kind(root=str(root), num_views=views, augment=augment, test_fraction=0.01, val_fraction=0.0)
    train: Any = data.dataset("train")
    return (
        train.open(0).width,
        lambda seed: train[Fetch(torch.arange(BATCH), seed)],
        lambda batch: [data.normalise(data.augment(image)) for image in (batch["image"], *batch["views"])],
    )


def compare(kind: type[FolderLT], root: Path, jitter: bool, views: int, rounds: int) -> dict[str, float | str]:
    paths = sorted(root.glob("*/*.jpg"))[:BATCH]
    slow, (width, load, finish) = theirs(paths, jitter, views), ours(kind, root, jitter, views)
    parts = Image.open(paths[0]).width // width
    timed = []
    for seed in range(rounds + 1):
        marks = [time.process_time()]
        batch = load(seed)
        marks.append(time.process_time())
        finish(batch)
        marks.append(time.process_time())
        slow(seed)
        marks.append(time.process_time())
        timed.append([1000 * (b - a) / BATCH for a, b in pairwise(marks)])
    process, device, whole = (list(column) for column in zip(*timed[1:], strict=True))  # the first warms up
    return {
        "name": f"{1 + views} view{'s' * bool(views)}{', colours' * jitter}",
        "ours decodes": "in full" if parts == 1 else f"at 1/{parts}",
        "ours, loading": statistics.median(process),
        "ours, batched": statistics.median(device),
        "torchvision": statistics.median(whole),
        "ratio of loading": statistics.median(w / p for w, p in zip(whole, process, strict=True)),
        "ratio of all": statistics.median(w / (p + d) for w, p, d in zip(whole, process, device, strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for width, height, kinds in ((500, 375, [FolderLT]), (2000, 1500, [InFull, FolderLT])):
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), 2 * BATCH, width, height)
            for kind, (jitter, views) in product(kinds, ((False, 0), (True, 0), (True, 2))):
                row = {"pixels": f"{width} x {height}"} | compare(kind, Path(folder), jitter, views, args.rounds)
                rows.append(row)
                print(row)
    versions = {"python": platform.python_version(), "torch": torch.__version__, "pillow": PIL.__version__}
    result = {"unit": "ms of CPU time an image, 1 thread", "rounds": args.rounds, "versions": versions, "rows": rows}
    if args.out:
        args.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
