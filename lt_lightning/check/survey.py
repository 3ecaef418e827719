"""Which images and classes a set has, and what is wrong with their names and places; reads no image.

A data module stops at the first fault, as nothing can be trained with it. Here all are gathered, and where there is
none the images are those of the data module.
"""

import os
from functools import singledispatch
from typing import NamedTuple, get_args

from lt_lightning.check.findings import EMPTY, IMAGE_FOLDER, OUTSIDE, TWICE, UNPRINTABLE, Finding, Kind
from lt_lightning.check.walk import split_names, walk
from lt_lightning.data.base import LongTailDataModule, Split
from lt_lightning.data.files import FileDataModule
from lt_lightning.data.folder import SPLITS, FolderLT, in_order, is_plain
from lt_lightning.data.images import SUFFIXES
from lt_lightning.data.index import ImageIndex
from lt_lightning.data.memory import InMemoryDataModule
from lt_lightning.data.own import OwnDataModule
from lt_lightning.data.table import TableLT, table_rows
from lt_lightning.errors import LtError


class Entry(NamedTuple):
    """An image of a set.

    Attributes:
        path: Within the set's folder; of a set in memory, its split and its place there.
        name: Of its class.
        split: The part it is in.
    """

    path: str
    name: str
    split: Split


class Survey(NamedTuple):
    """What a set has.

    Attributes:
        names: Of the classes, in label order.
        entries: Its images; those that serve validation and testing are in the test part alone.
        findings: What is wrong.
    """

    names: list[str]
    entries: list[Entry]
    findings: list[Finding]

    @property
    def class_counts(self) -> dict[str, dict[Split, int]]:
        """Images of each class, by split; without ``val`` where validation images are the test images."""
        used = {"train", "test", *(entry.split for entry in self.entries)}
        counts = {name: {split: 0 for split in get_args(Split) if split in used} for name in self.names}
        for entry in self.entries:
            counts[entry.name][entry.split] += 1
        return counts


@singledispatch
def survey(module: LongTailDataModule) -> Survey:
    """Survey the set of a data module.

    Raises:
        LtError: Nothing can be said of any image, as where the folder is missing.
    """
    raise LtError("its images cannot be looked through", type(module).__name__, "name a set of files or in memory")


@survey.register
def _(module: InMemoryDataModule) -> Survey:
    names = module.class_names
    parts: tuple[Split, ...] = ("train", "test") if module.selected_on_test else ("train", "val", "test")
    target = {split: module.dataset(split).target.tolist() for split in parts}
    entries = [Entry(f"{split}[{i}]", names[c], split) for split in parts for i, c in enumerate(target[split])]
    return Survey(names, entries, [])


@survey.register
def _(module: FileDataModule) -> Survey:
    names, splits = module.find()
    return Survey(names, _entries(names, splits), [])


@survey.register
def _(module: FolderLT) -> Survey:
    findings: list[Finding] = []
    tops, others = split_names(module.root, findings)
    given: dict[Split, dict[str, list[str]]] = {split: {} for split in tops.values()}
    for folder, images in walk(module.root, others, findings):
        inner = folder.parts[1:] if tops else folder.parts
        if len(inner) < module.depth:
            findings += (OUTSIDE.at(path) for path in images)
            continue
        split = tops[folder.parts[0]] if tops else "train"
        given.setdefault(split, {}).setdefault("/".join(inner[: module.depth]), []).extend(images)
        if len(inner) > module.depth and folder.suffix.lower() in SUFFIXES:
            findings.append(IMAGE_FOLDER.at(str(folder)))
    for split, classes in given.items():
        findings += (EMPTY.at(name, detail=f"in {split}") for name, paths in classes.items() if not paths)
    names = in_order(set[str]().union(*given.values()))
    findings += (UNPRINTABLE.at(name) for name in names if not is_plain(name))
    pairs = {split: {path: name for name in classes for path in classes[name]} for split, classes in given.items()}
    return _completed(module, names, pairs, findings)


@survey.register
def _(module: TableLT) -> Survey:
    findings: list[Finding] = []
    given: dict[Split, dict[str, str]] = {}
    listed: set[str] = set()
    for row in table_rows(module.file):
        if isinstance(row, LtError):
            findings.append(Kind.of(row).at(row.where.rpartition(", ")[2]))
        elif os.path.normpath(row[0]) in listed:
            findings.append(TWICE.at(row[0]))
        else:
            path, name, split = row
            listed.add(os.path.normpath(path))
            given.setdefault(SPLITS[split], {})[path] = name
    names = in_order(set[str]().union(*(part.values() for part in given.values())))
    return _completed(module, names, given, findings)


def _completed(
    module: OwnDataModule, names: list[str], given: dict[Split, dict[str, str]], findings: list[Finding]
) -> Survey:
    """The survey, after the module has held out what is not given: classes by path, by split."""
    label = {name: c for c, name in enumerate(names)}
    splits = {
        split: ImageIndex.of(classes, (label[name] for name in classes.values())) for split, classes in given.items()
    }
    splits.setdefault("train", ImageIndex.of([], []))
    try:
        splits = module.complete(splits)
    except LtError as error:
        findings.append(Kind.of(error).at())
    return Survey(names, _entries(names, splits), findings)


def _entries(names: list[str], splits: dict[Split, ImageIndex]) -> list[Entry]:
    return [
        Entry(index.path(i), names[index.target[i]], split)
        for split, index in splits.items()
        if split != "val" or index is not splits.get("test")
        for i in range(len(index))
    ]
