"""CIFAR-LT: the published subset of the official files, and no file but the official ones."""

import hashlib
import io
import os
import pickle
import tarfile
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest

from lt_lightning.data import CIFAR10LT, CIFAR100LT, Split
from lt_lightning.data.cifar import CIFARLT
from lt_lightning.errors import LtError

BOTH = [CIFAR100LT, CIFAR10LT]
REAL = os.environ.get("LT_CIFAR_ROOT", "")


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.canary,)


class Response(io.BytesIO):
    def __init__(self, url: str, content: bytes) -> None:
        super().__init__(content)
        self.url, self.length = url, len(content)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network in tests")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


@pytest.fixture
def archive(fake_cifar: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Serves a CIFAR-100 archive in place of the internet.

    Returns:
        The addresses asked for.
    """
    buffer, asked = io.BytesIO(), []
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(fake_cifar / "cifar-100-python", "cifar-100-python")

    def serve(request: urllib.request.Request) -> Response:
        asked.append(request.full_url)
        return Response(request.full_url, buffer.getvalue())

    monkeypatch.setattr(CIFAR100LT.source, "tgz_md5", hashlib.md5(buffer.getvalue()).hexdigest())
    monkeypatch.setattr(urllib.request, "urlopen", serve)
    return asked


def complaint(call: Callable[[], object], *words: str) -> None:
    """The call fails with three lines that hold these words."""
    with pytest.raises(LtError) as caught:
        call()
    assert all((caught.value.what, caught.value.where, caught.value.fix))
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert all(word in line for word, line in zip(words, lines, strict=True)), lines


@pytest.mark.skipif(
    not (REAL and (Path(REAL) / "cifar-100-python").is_dir()),
    reason="LT_CIFAR_ROOT names no folder that holds cifar-100-python",
)
def test_the_published_subset_of_the_official_files() -> None:
    data = CIFAR100LT(root=REAL)
    official = data._official(train=True)
    target = np.asarray(official.targets)
    chosen = data.selected(target)
    digest = hashlib.sha256(chosen.astype("<i8").tobytes()).hexdigest()
    assert digest == "e0d58a4d2700c46062da852554e5d185bbee74d3c612b052ea2a839bdadf939e"
    assert len(chosen) == 10_847
    assert np.bincount(target[chosen]).tolist() == data.class_counts
    assert official.classes[:3] == ["apple", "aquarium_fish", "baby"]
    assert official.classes[-1] == "worm"
    assert len(official.classes) == 100


@pytest.mark.parametrize("module", BOTH)
def test_pixels_labels_and_names(module: type[CIFARLT], fake_cifar: Path) -> None:
    data = module(root=str(fake_cifar), imbalance_factor=2)
    image, target = data.arrays("test")
    size = 2 * data.num_classes
    index = data.largest * data.num_classes + np.arange(size)
    assert image.shape == (size, 32, 32, 3)
    assert (image.dtype, target.dtype) == (np.uint8, np.int64)
    assert target.tolist() == (7 * index % data.num_classes).tolist()
    for i, row, column, channel in np.random.default_rng(0).integers((size, 32, 32, 3), size=(200, 4)):
        assert image[i, row, column, channel] == (37 * index[i] + 85 * channel + 3 * row + 5 * column) % 256
    assert data.class_names == [f"name {c}" for c in range(data.num_classes)]


@pytest.mark.parametrize("module", BOTH)
@pytest.mark.parametrize(("profile", "factor"), [("exponential", 6), ("exponential", 1), ("step", 3)])
def test_training_images_are_the_selected_ones(
    module: type[CIFARLT], profile: str, factor: float, fake_cifar: Path
) -> None:
    data = module(root=str(fake_cifar), imbalance_factor=factor, profile=profile)
    image, target = data.arrays("train")
    index = data.selected(7 * np.arange(data.largest * data.num_classes) % data.num_classes)
    assert np.bincount(target).tolist() == data.class_counts
    assert (data.class_counts[0], data.class_counts[-1]) == (data.largest, int(data.largest / factor))
    assert target.tolist() == (7 * index % data.num_classes).tolist()
    assert image[:, 0, 0, 0].tolist() == (37 * index % 256).tolist()  # several files are one, in order


def test_another_selection_seed_is_another_subset(fake_cifar: Path) -> None:
    one, same, other = (
        CIFAR10LT(root=str(fake_cifar), imbalance_factor=10, selection_seed=seed).arrays("train") for seed in (0, 0, 1)
    )
    assert np.array_equal(one[0], same[0])
    assert np.array_equal(one[1], other[1])
    assert not np.array_equal(one[0], other[0])


@pytest.mark.parametrize("module", BOTH)
def test_validation_is_the_test_set_and_says_so(module: type[CIFARLT], fake_cifar: Path) -> None:
    data = module(root=str(fake_cifar), imbalance_factor=2)
    val, test = data.arrays("val"), data.arrays("test")
    assert all(np.array_equal(one, other) for one, other in zip(val, test, strict=True))
    assert data.selected_on_test


@pytest.mark.parametrize("module", BOTH)
def test_a_factor_larger_than_the_class_is_refused(module: type[CIFARLT]) -> None:
    with pytest.raises(ValueError, match="imbalance_factor"):
        module(imbalance_factor=5001)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", ["train", "test", "meta"])
def test_a_file_that_is_not_official_is_never_unpickled(
    name: str, split: Split, fake_cifar: Path, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    bomb = pickle.dumps(Bomb(canary))
    (fake_cifar / "cifar-100-python" / name).write_bytes(bomb)
    data = CIFAR100LT(root=str(fake_cifar), imbalance_factor=2)
    for call in (data.prepare_data, lambda: data.arrays(split), lambda: data.class_names):
        complaint(call, "md5", "cifar-100-python", "remove")
    assert not canary.exists()
    pickle.loads(bomb)
    assert canary.exists()  # it was live


@pytest.mark.parametrize("name", ["train", "test", "meta"])
def test_an_incomplete_folder(name: str, fake_cifar: Path) -> None:
    (fake_cifar / "cifar-100-python" / name).unlink()
    data = CIFAR100LT(root=str(fake_cifar), imbalance_factor=2)
    complaint(data.prepare_data, "cannot be read", "cifar-100-python", "cifar-100-python.tar.gz")


@pytest.mark.parametrize("module", BOTH)
def test_no_files_and_no_network(module: type[CIFARLT], tmp_path: Path) -> None:
    data = module(root=str(tmp_path / "empty"))
    complaint(data.prepare_data, "cannot be downloaded (no network in tests)", data.source.base_folder, "--data.root")


def test_a_folder_in_place_needs_no_network(fake_cifar: Path) -> None:
    data = CIFAR10LT(root=str(fake_cifar))
    data.prepare_data()
    assert len(data.dataset("train")) == sum(data.class_counts)


def test_the_archive_is_fetched_once_and_unpacked(fake_cifar: Path, archive: list[str], tmp_path: Path) -> None:
    data = CIFAR100LT(root=str(tmp_path / "new" / "folder"), imbalance_factor=2)
    data.prepare_data()
    assert set(archive) == {"https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"}
    archive.clear()
    data.prepare_data()
    assert not archive
    original = CIFAR100LT(root=str(fake_cifar), imbalance_factor=2)
    for split in ("train", "test"):
        assert all(
            np.array_equal(one, other) for one, other in zip(data.arrays(split), original.arrays(split), strict=True)
        )


@pytest.mark.usefixtures("archive")
def test_an_archive_that_is_not_official_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CIFAR100LT.source, "tgz_md5", "0" * 32)
    data = CIFAR100LT(root=str(tmp_path / "new"), imbalance_factor=2)
    complaint(data.prepare_data, "md5", "cifar-100-python", "cifar-100-python.tar.gz")
    assert not (tmp_path / "new" / "cifar-100-python").exists()
