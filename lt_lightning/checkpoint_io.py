"""How checkpoints reach the disk, and come back."""

import errno
import math
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from torch import Tensor

from lt_lightning.checkpoints import read_checkpoint
from lt_lightning.errors import LtError
from lt_lightning.whole_files import whole_file

OTHER_FOLDER = "make room, or name another folder by --trainer.default_root_dir; the checkpoint before is whole"


class WholeCheckpointIO(TorchCheckpointIO):
    """Checkpoints that are whole, or the ones before, at whatever moment a process or a machine dies.

    None has weights that are not finite: the checkpoint before is worth more.

    Args:
        folder: Folder of the run, beyond which nothing is written or removed, whatever a checkpoint says of its past.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        super().__init__()
        self.folder = Path(folder).resolve()

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a checkpoint in the place of the one before.

        Raises:
            LtError: It cannot be written, or a weight is not finite; the one before is as it was.
        """
        self._check_place(Path(path))
        if bad := _not_finite(checkpoint.get("state_dict", {})):
            fix = "lower --optimizer.lr; a checkpoint before, if there is one, is as it was"
            raise LtError("the weights are not finite any more; they are not saved", bad[0], fix)
        write_checkpoint(checkpoint, Path(path))

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Remove a checkpoint that a better one replaces.

        Raises:
            LtError: It is no checkpoint of this run; Lightning would remove whole folders that a checkpoint names.
        """
        self._check_place(Path(path))
        if not Path(path).is_file():
            raise LtError("this is to be removed, and is no file", str(path), "see which checkpoint says so")
        Path(path).unlink()

    def _check_place(self, path: Path) -> None:
        if path.suffix != ".ckpt" or not path.resolve().is_relative_to(self.folder):
            what = "checkpoints are written and removed within the run's folder alone, and end in .ckpt"
            raise LtError(what, str(path), f"name a place in {self.folder}")

    def load_checkpoint(self, path: str | os.PathLike[str], *_: Any, **__: Any) -> dict[str, Any]:
        """Read a checkpoint: tensors and plain values, to the CPU, from a file.

        Raises:
            LtError: There is none.
        """
        return read_checkpoint(str(path))


def write_checkpoint(checkpoint: dict[str, Any], target: Path) -> None:
    """Write whatever a checkpoint holds, in the place of the file before.

    Raises:
        LtError: It cannot be written; the file before is as it was.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as file:
            torch.save(checkpoint, file)
    except (OSError, RuntimeError) as error:  # torch turns what a file raises into a RuntimeError
        free = shutil.disk_usage(target.parent).free / 2**20 if target.parent.is_dir() else 0
        full = _errno(error) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or free < 1
        what = f"the checkpoint cannot be written ({'no space left' if full else error}; {free:,.0f} MiB are free)"
        raise LtError(what, str(target), OTHER_FOLDER) from error


def _not_finite(weights: dict[str, Tensor]) -> list[str]:
    """Names of those that are not, by one question to their device for all of them."""
    names = [name for name, value in weights.items() if value.is_floating_point() and value.numel()]
    if not names:
        return []
    largest = torch._foreach_norm([weights[name] for name in names], math.inf)
    finite = torch.stack([norm.isfinite() for norm in largest]).tolist()
    return [name for name, is_finite in zip(names, finite, strict=True) if not is_finite]


def _errno(error: BaseException | None) -> int | None:
    """Of the first error of the system among an error and those it came from."""
    while error is not None:
        if isinstance(error, OSError):
            return error.errno
        error = error.__cause__ or error.__context__
    return None
