"""A teacher's logits, kept in files: students trained later on the same views need not ask it again."""

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lt_lightning.errors import LtError
from lt_lightning.whole_files import whole_file, write_whole


class NoCache:
    """Keeps nothing, so the teacher is always asked."""

    def open(self, epoch: int) -> None:
        """Begin an epoch."""

    def recall(self, step: int, image: Tensor) -> Tensor | None:
        """Nothing is known."""
        return None

    def keep(self, step: int, image: Tensor, logits: Tensor) -> None:
        """Forget it."""

    def close(self, steps: int) -> None:
        """End an epoch."""


class TargetCache(NoCache):
    """Logits ``(N, C)`` of the batches of each epoch, as one process of a run saw them, in float32.

    What a teacher sees in a step follows from the run's seed, so another run of the same seed, data and batches may
    take over what it said, bit for bit. A checksum of each batch's images is kept beside, and the first batch that a
    run takes in an epoch is held against it: all others follow from the same seed. An epoch is written when it has been
    seen from its first batch to its last; until then nothing of it is there.

    Args:
        teacher: The teacher's checkpoint; files lie beside it, in ``targets``.
        made_of: What else the logits depend on, such as seed and precision; each combination has a folder of its own.
    """

    def __init__(self, teacher: Path, made_of: dict[str, Any]) -> None:
        with teacher.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        name = "-".join([digest[:12], *(f"{key}_{value}" for key, value in made_of.items())])
        self.folder = teacher.parent / "targets" / name
        self._logits: NDArray[np.float32] | None = None

    def open(self, epoch: int) -> None:
        """Begin an epoch: look for it, and forget the one before.

        Raises:
            LtError: Its files are damaged.
        """
        self._file, self._checked = self.folder / f"epoch_{epoch:04}.npy", False
        self._seen: list[NDArray[np.float32]] = []
        self._logits, self._checksums, self._ends = None, list[int](), list[int]()
        if not (about := self._file.with_suffix(".json")).exists():
            return
        try:
            known = json.loads(about.read_text())
            self._checksums, self._ends = [int(c) for c in known["checksums"]], np.cumsum(known["sizes"]).tolist()
            self._logits = np.load(self._file, mmap_mode="r", allow_pickle=False)
            if self._logits.ndim != 2 or self._logits.dtype != np.float32 or len(self._logits) != self._ends[-1]:
                raise ValueError("its parts do not fit")
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            what = f"these targets are damaged ({type(error).__name__})"
            raise LtError(what, str(self._file), f"remove {self.folder}; the teacher will be asked again") from error

    def recall(self, step: int, image: Tensor) -> Tensor | None:
        """What the teacher said of the images of a step, ``(B, C)`` on their device; None where that is not known.

        Raises:
            LtError: It was said of other images.
        """
        if self._logits is None or step >= len(self._ends):
            return None
        start = self._ends[step - 1] if step else 0
        if not self._checked:
            if self._ends[step] - start != len(image) or self._checksums[step] != checksum(image):
                what = "these targets belong to other images: their run had other data, augmentation or batches"
                raise LtError(what, str(self._file), f"remove {self.folder}, or set --model.cache_targets false")
            self._checked = True
        return torch.from_numpy(self._logits[start : self._ends[step]].copy()).to(image.device, non_blocking=True)

    def keep(self, step: int, image: Tensor, logits: Tensor) -> None:
        """Note what the teacher said of the images of a step."""
        if self._logits is None and step == len(self._seen):  # else the epoch was not seen from its beginning
            self._seen.append(logits.cpu().numpy().astype(np.float32, copy=False))
            self._checksums.append(checksum(image))

    def close(self, steps: int) -> None:
        """End an epoch of so many steps: write what was noted, if that is all of it.

        Raises:
            OSError: It cannot be written.
        """
        if self._logits is not None or len(self._seen) != steps:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with whole_file(self._file) as stream:
            np.save(stream, np.concatenate(self._seen))
        known = {"sizes": [len(part) for part in self._seen], "checksums": self._checksums}
        write_whole(self._file.with_suffix(".json"), json.dumps(known))
        self._seen = []


def checksum(image: Tensor) -> int:
    """CRC-32 of the values of images, in the order of memory."""
    return zlib.crc32(image.detach().cpu().permute(0, 2, 3, 1).contiguous().numpy().tobytes())
