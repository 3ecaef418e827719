import lt_lightning  # noqa: F401  # first: it declares torchvision's operators, so that everything else imports

# isort: split
import hashlib
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import forked
import numpy as np
import pytest
import torch

from lt_lightning import child
from lt_lightning.data import CIFAR10LT, CIFAR100LT

os.environ["WANDB_MODE"] = "disabled"
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def fork_for_earlier_stages(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A teacher that is trained first is trained in a fork, but in tests of the processes themselves."""
    if request.node.get_closest_marker("command") is None:
        monkeypatch.setattr(child, "run", forked.run)


class Python2Pickler(pickle._Pickler):
    """Writes bytes as Python 2 wrote its strings: what the official CIFAR files hold."""

    def save_string(self, value: bytes) -> None:
        self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)
        self.memoize(value)

    dispatch = {**pickle._Pickler.dispatch, bytes: save_string}  # noqa: RUF012 - as in the base class


@pytest.fixture
def fake_cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder with small CIFAR-10 and CIFAR-100 in their true format, which the data modules take for the official ones.

    A training class has 6 images (CIFAR-100) or 100 (CIFAR-10), which is also the largest ``imbalance_factor``; a test
    class has 2. Image i of a file, the test file going on where training ended, has label ``7 * i % C`` and the pixels
    ``(37 * i + 85 * channel + 3 * row + 5 * column) % 256``. Class c is called ``name c``.
    """
    root = tmp_path / "cifar"
    for module, largest in ((CIFAR100LT, 6), (CIFAR10LT, 100)):
        source, classes = module.source, module.num_classes
        folder = root / source.base_folder
        folder.mkdir(parents=True)
        label_key = b"fine_labels" if classes == 100 else b"labels"
        index = np.arange((largest + 2) * classes)
        parts = [*np.split(index[: largest * classes], len(source.train_list)), index[largest * classes :]]
        md5s = []
        for (name, _), part in zip(source.train_list + source.test_list, parts, strict=True):
            md5s.append([name, _write(folder / name, {b"data": _rows(part), label_key: (7 * part % classes).tolist()})])
        names = [f"name {c}".encode() for c in range(classes)]
        meta = {**source.meta, "md5": _write(folder / source.meta["filename"], {source.meta["key"].encode(): names})}
        monkeypatch.setattr(source, "train_list", md5s[:-1])
        monkeypatch.setattr(source, "test_list", md5s[-1:])
        monkeypatch.setattr(source, "meta", meta)
        monkeypatch.setattr(module, "largest", largest)
    return root


def _rows(index: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """One row of 3072 bytes an image: 1024 red, 1024 green, 1024 blue, each from the top row down."""
    channel, row, column = np.ogrid[:3, :32, :32]
    pixel = 37 * index[:, None, None, None] + 85 * channel + 3 * row + 5 * column
    return (pixel % 256).astype(np.uint8).reshape(-1, 3072)


def _write(path: Path, content: dict[bytes, Any]) -> str:
    with path.open("wb") as file:
        Python2Pickler(file, protocol=2).dump(content)
    return hashlib.md5(path.read_bytes()).hexdigest()
