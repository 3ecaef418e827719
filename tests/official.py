"""Small sets in the true formats of the official ones, which the data modules take for them."""

import hashlib
import json
from pathlib import Path

import pytest
from trees import save

from lt_lightning.data import ImageNet20LT, ImageNetLT, INaturalist13, INaturalist2018, PlacesLT
from lt_lightning.data.base import Split
from lt_lightning.data.listed import ListedDataModule, PublishedList

COUNTS = {"train": [5, 3, 2], "val": [2, 2, 2], "test": [2, 2, 2]}
Lines = dict[Split, list[tuple[str, int]]]
WNIDS = "n01440764", "n01443537", "n01484850"
SCENES = "airfield", "bakery-shop", "zen_garden"
SPECIES = "Plantae/7291", "Aves/3", "Insecta/673"


def _lines(formats: dict[Split, str], names: tuple[str, ...]) -> Lines:
    """Lines of each split; ``{n}`` in a format is the class's folder, ``{l}`` its letter, ``{i}`` a number."""
    lines: Lines = {}
    for s, (split, form) in enumerate(formats.items()):
        number = ((c, 1000 * s + 100 * c + i) for c, count in enumerate(COUNTS[split]) for i in range(count))
        lines[split] = [
            (form.format(n=names[c], s=names[c].replace("-", "/"), l=names[c][0], i=i), c) for c, i in number
        ]
    return lines


IMAGENET_NESTED = _lines(
    {"train": "train/{n}/{n}_{i}.JPEG", "val": "train/{n}/{n}_{i}.JPEG", "test": "val/{n}/ILSVRC2012_val_{i:08}.JPEG"},
    WNIDS,
)
IMAGENET_FLAT: Lines = {
    **IMAGENET_NESTED,
    "test": _lines({"train": "", "val": "", "test": "val/ILSVRC2012_val_{i:08}.JPEG"}, WNIDS)["test"],
}
PLACES_LARGE = _lines(
    {"train": "train/{n}/{i:08}.jpg", "val": "train/{n}/{i:08}.jpg", "test": "val/{n}/Places365_val_{i:08}.jpg"}, SCENES
)
PLACES_SMALL = _lines(
    {
        "train": "data_256/{l}/{s}/{i:08}.jpg",
        "val": "data_256/{l}/{s}/{i:08}.jpg",
        "test": "val_256/Places365_val_{i:08}.jpg",
    },
    SCENES,
)
INATURALIST = _lines({"train": "train_val2018/{n}/{i:032x}.jpg", "val": "train_val2018/{n}/{i:032x}.jpg"}, SPECIES)
TWENTY: Lines = {split: IMAGENET_FLAT[split] for split in ("train", "val")}

SETS: dict[str, tuple[type[ListedDataModule], Lines, Lines]] = {  # module, lists, images
    "imagenet": (ImageNetLT, IMAGENET_NESTED, IMAGENET_FLAT),
    "imagenet nested": (ImageNetLT, IMAGENET_FLAT, IMAGENET_NESTED),
    "imagenet as listed": (ImageNetLT, IMAGENET_NESTED, IMAGENET_NESTED),
    "imagenet 20": (ImageNet20LT, TWENTY, TWENTY),
    "places small": (PlacesLT, PLACES_LARGE, PLACES_SMALL),
    "places large": (PlacesLT, PLACES_SMALL, PLACES_LARGE),
    "inaturalist": (INaturalist2018, INATURALIST, INATURALIST),
    "inaturalist 13": (INaturalist13, INATURALIST, INATURALIST),
}


def text(lines: list[tuple[str, int]]) -> str:
    """A list, as it is published."""
    return "".join(f"{path} {target}\n" for path, target in lines)


def make(name: str, root: Path, patch: pytest.MonkeyPatch, lists: bool = True) -> type[ListedDataModule]:
    """Write images and lists, in ``root`` and ``root/lists``, and make the module expect them."""
    module, listed, stored = SETS[name]
    for lines in stored.values():
        for path, target in lines:
            save(root / path, 1000 * target + int("".join(filter(str.isdigit, Path(path).stem)), 16) % 1000)
    (root / "lists").mkdir(parents=True, exist_ok=True)
    expected: dict[Split, PublishedList] = {}
    for split, lines in listed.items():
        digest = f"sha256:{hashlib.sha256(text(lines).encode()).hexdigest()}"
        expected[split] = module.published[split]._replace(images=len(lines), digests=(digest,))
        if lists:
            (root / "lists" / expected[split].name).write_text(text(lines))
    patch.setattr(module, "published", expected)
    patch.setattr(module, "groups", (0, 0, 3))
    return module


def annotations(lines: list[tuple[str, int]]) -> str:
    """What iNaturalist publishes instead of lists."""
    images = [{"id": 900 + i, "file_name": path} for i, (path, _) in enumerate(lines)]
    notes = [{"id": i, "image_id": 900 + i, "category_id": target} for i, (_, target) in enumerate(lines)]
    return json.dumps({"info": {}, "images": images, "annotations": notes[::-1]})
