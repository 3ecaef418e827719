"""What a run leaves to be looked at: tables and pictures in ``plots/``, and ``report.html``."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torch.nn import functional as F

from lt_lightning.callbacks.measurement import Measurement, measuring_device
from lt_lightning.data.base import Batch, LongTailDataModule, Split
from lt_lightning.data.sampling import Fetch
from lt_lightning.metrics import ConfusedPairs, LargestLosses, Reliability
from lt_lightning.plots.chart import save_chart
from lt_lightning.plots.gathered import Gathered
from lt_lightning.plots.report import write_report
from lt_lightning.plots.run import split_charts, training_charts
from lt_lightning.plots.top_losses import write_strip

SPLITS = {"fit": "val", "validate": "validate", "test": "test"}
"""What the figures of each command are called in its files."""
THUMBNAIL = 96
"""Pixels of a side down to which images are kept."""


class Plots(Measurement):
    """Gathers, in validation and test, what pictures need beside figures; draws them when a command ends.

    Tables of confused classes, of reliability and of the images of largest loss go to ``plots/`` beside those of the
    pictures, so that ``lt report RUN`` draws everything again from files. A picture that cannot be drawn is left out
    with a warning: a run never ends by it.

    Args:
        pictures: Whether to draw when a command ends; tables are written in any case.
        hardest: How many images of largest loss are kept.

    Raises:
        ValueError: ``hardest`` is below 1.
    """

    def __init__(self, pictures: bool = True, hardest: int = 32) -> None:
        if hardest < 1:
            raise ValueError(f"plots.hardest must be at least 1, got {hardest}")
        self.pictures, self.hardest = pictures, hardest
        self.gathered: Gathered | None = None

    def start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to measure."""
        data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
        counts, self.device = torch.tensor(data.class_counts), measuring_device(pl_module)
        self.pairs = ConfusedPairs(len(counts)).to(self.device)
        self.reliability = Reliability(counts, data.many, data.few).to(self.device)
        self.losses = LargestLosses(self.hardest).to(self.device)

    def update(self, pl_module: LightningModule, expert_logits: Tensor, batch: Batch) -> None:
        """Add one batch."""
        logits = pl_module.combine(expert_logits).to(self.device)  # type: ignore[operator]
        target, index = batch["target"].to(self.device), batch["index"].to(self.device)
        self.pairs.update(logits, target)
        self.reliability.update(logits, target)
        self.losses.update(logits, target, index)

    def finish(self, pl_module: LightningModule, split: str) -> None:
        """Take what all processes have."""
        bins = {name: sums.tolist() for name, sums in self.reliability.compute().items()}
        self.gathered = Gathered(self.pairs.compute().tolist(), bins, self.losses.compute().tolist())

    @rank_zero_only
    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write and draw, after all else of the command: figures are in the run's files by now."""
        folder = Path(trainer.default_root_dir)
        if stage not in SPLITS or trainer.fast_dev_run or not (folder / "summary.json").is_file():  # type: ignore[attr-defined]
            return
        self._write(trainer, folder / "plots", SPLITS[stage])
        if not self.pictures:
            return
        made = []
        with or_warn("charts"):
            made = [*(training_charts(folder) if stage == "fit" else []), *split_charts(folder, SPLITS[stage])]
        for chart in made:
            with or_warn(f"the chart {chart.name}"):
                save_chart(chart, folder / "plots")
        with or_warn("report.html"):
            print(f"lt: what there is to look at is in {write_report(folder)}")

    def _write(self, trainer: Trainer, folder: Path, split: str) -> None:
        if self.gathered is None:  # a run that is resumed at its very end has nothing to measure
            return
        data: LongTailDataModule = trainer.datamodule  # type: ignore[attr-defined]
        of_images: Split = "test" if split == "test" else "val"
        index = [int(row[0]) for row in self.gathered.losses]
        with or_warn("what was gathered for pictures"):
            names = [data.image_name(of_images, i) for i in index]
            self.gathered.write(folder, split, data.class_names, names)
        with or_warn("the pictures of largest loss"):
            strip = folder / f"top_losses_{split}.ppm"
            strip.unlink(missing_ok=True)  # another's would stay beside this table if an image cannot be read now
            image = data.dataset(of_images)[Fetch(torch.tensor(index), 0)]["image"]
            write_strip(strip, thumbnails(image).numpy())


def thumbnails(image: Tensor) -> Tensor:
    """Images ``(N, S, S, 3)``, uint8, of a side of at most :data:`THUMBNAIL`."""
    if image.shape[1] <= THUMBNAIL:
        return image
    smaller = F.interpolate(image.permute(0, 3, 1, 2).float(), THUMBNAIL, mode="bilinear", antialias=True)
    return smaller.permute(0, 2, 3, 1).round().clamp(0, 255).byte().contiguous()


@contextmanager
def or_warn(what: str) -> Iterator[None]:
    """Go on without something that fails, and say so in a line."""
    try:
        yield
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        print(f"lt: warning: {what} could not be made ({type(error).__name__}: {text})", file=sys.stderr)
