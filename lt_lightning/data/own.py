"""Anyone's own images: what a folder and a table of them share."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from lt_lightning.data.base import Split
from lt_lightning.data.files import FileDataModule
from lt_lightning.data.index import ImageIndex
from lt_lightning.data.stratified import stratified_split
from lt_lightning.errors import LtError
from lt_lightning.run_folder import TRAINED_FIRST
from lt_lightning.whole_files import write_whole


class OwnDataModule(FileDataModule):
    """Anyone's own images: what a folder and a table share.

    Where there is no test part, a stratified one is held out, and so is a validation part; of a class of two images one
    is a test image, a class of one is in training alone. A part that the data have is used as it is. The only part held
    out, whatever its name, is the test part. The run's folder keeps ``splits.csv``, which
    :class:`~lt_lightning.data.table.TableLT` reads.

    Photographs of millions of pixels are decoded at a fraction of their size, but never below twice ``size``.

    Args:
        root: Folder of the images; nothing is ever written into it.
        test_fraction: Part of each class's images that is held out for testing, where there is no such part.
        val_fraction: Part of each class's images that is held out for validation, where there is no such part; with 0
            validation images are the test images, and the best epoch is selected on test.
        split_seed: Another one holds out other images; the run's own seed does not.
        **kwargs: Arguments of :class:`~lt_lightning.data.files.FileDataModule`.

    Raises:
        ValueError: The fractions leave nothing for training.
        LtError: The data are not as they should be.
    """

    shrink_on_load = 2

    def __init__(
        self,
        root: str,
        test_fraction: float = 0.2,
        val_fraction: float = 0.1,
        split_seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(root=root, **kwargs)
        self.fractions: dict[Split, float] = {"test": test_fraction, "val": val_fraction}
        self.split_seed = split_seed
        stratified_split([], np.zeros(0, np.int64), self.fractions)  # refuses what makes no sense

    @property
    def selected_on_test(self) -> bool:  # type: ignore[override]
        """Whether there are no validation images but those of the test part."""
        splits = self.found[1]
        return splits["val"] is splits["test"]

    def complete(self, given: dict[Split, ImageIndex]) -> dict[Split, ImageIndex]:
        """Leave out what is to be left out, and hold out of the training images the parts that are not given."""
        given = {part: index for part, index in self.kept(given).items() if len(index) or part == "train"}
        if "test" not in given and "val" in given:
            given = {"train": given["train"], "test": given["val"]}
        train = given["train"]
        missing = {part: fraction for part, fraction in self.fractions.items() if part not in given}
        paths = [train.path(i) for i in range(len(train))]
        chosen = stratified_split(paths, train.target, missing, self.split_seed)
        splits = given | {part: train.select(indices) for part, indices in chosen.items()}
        if not len(splits["test"]):
            raise LtError("no image is left for testing", str(self.root), "raise data.test_fraction, or add images")
        if not len(splits["val"]):
            splits["val"] = splits["test"]
        return splits

    def setup(self, stage: str) -> None:
        """Write down which image is in which part, when fitting starts.

        Raises:
            LtError: The run's folder, or that of a model that was trained for it, has other parts written down.
        """
        if stage == "fit" and self.trainer is not None and self.trainer.is_global_zero:
            run, text = Path(self.trainer.default_root_dir), self._parts()
            file = run / "splits.csv"
            if _differs(file, text):
                fix = f"keep them by --data TableLT --data.file {file} --data.root {self.root}, or use another folder"
                raise LtError("this run has other images, or other parts, written down", str(file), fix)
            for first in (run / name for name in TRAINED_FIRST):
                if _differs(first / "splits.csv", text):
                    what = f"this {first.name.replace('_', ' ')} was trained on other images, or other parts"
                    raise LtError(what, str(first), "remove it, or name another run folder")
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, text)

    def _parts(self) -> str:
        names, splits = self.found
        rows = io.StringIO()
        writer = csv.writer(rows)
        writer.writerow(["path", "class", "split"])
        for split, index in splits.items():
            if split != "val" or not self.selected_on_test:
                writer.writerows((index.path(i), names[index.target[i]], split) for i in range(len(index)))
        return rows.getvalue()


def _differs(file: Path, text: str) -> bool:
    """Whether something else is written down in a file, as :func:`write_whole` writes text."""
    return file.is_file() and file.read_bytes() != text.encode("utf-8", "surrogateescape")
