"""TableLT: anyone's own images, listed in a CSV file."""

import csv
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from lt_lightning.data.base import Split
from lt_lightning.data.folder import SPLITS, in_order
from lt_lightning.data.index import ImageIndex
from lt_lightning.data.own import OwnDataModule
from lt_lightning.errors import LtError
from lt_lightning.regular import check_regular

COLUMNS = {
    "path": ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "img"),
    "class": ("class", "label", "target", "category", "species", "class_name", "class_id", "label_id"),
    "split": ("split", "set", "partition", "subset"),
}
"""What columns may be called, whatever the case."""

Row = tuple[str, str, str]  # path, class, split


class TableLT(OwnDataModule):
    """Anyone's own images, listed in a CSV file whose header names columns of paths, classes and perhaps splits.

    Classes are names, numbered in their order, or numbers, in theirs; then class c need not be the number c, and
    ``per_class.csv`` says which is which. Columns may be parted by commas, semicolons or tabs.

    Args:
        file: The CSV file.
        root: Folder within which paths lie; by default that of the file.
        **kwargs: Arguments of :class:`~lt_lightning.data.own.OwnDataModule`.

    Raises:
        LtError: The file cannot be read, lacks a column, or a row is wrong.
    """

    def __init__(self, file: str, root: str | None = None, **kwargs: Any) -> None:
        super().__init__(root=str(Path(file).parent) if root is None else root, **kwargs)
        self.file = Path(file)

    def find(self) -> tuple[list[str], dict[Split, ImageIndex]]:
        """Names of the classes, and the images of each split."""
        rows = read_table(self.file)
        names = in_order({name for _, name, _ in rows})
        label = {name: c for c, name in enumerate(names)}
        parts: dict[Split, list[Row]] = {}
        for row in rows:
            parts.setdefault(SPLITS[row[2]], []).append(row)
        if "train" not in parts or len(names) < 2:
            what = f"expected training images of two classes or more, found {len(names)} classes"
            raise LtError(f"{what} and splits {', '.join(sorted(parts))}", str(self.file), "mend the table")
        return names, self.complete(
            {
                split: ImageIndex.of((path for path, _, _ in part), (label[name] for _, name, _ in part))
                for split, part in parts.items()
            }
        )


def read_table(file: Path) -> list[Row]:
    """Path, class and split of each row; where there is no column of splits, all are of training.

    Raises:
        LtError: The file cannot be read, lacks a column, names a path twice, or a row is wrong.
    """
    rows: list[Row] = []
    seen: set[str] = set()
    for row in table_rows(file):
        if isinstance(row, LtError):
            raise row
        path = os.path.normpath(row[0])
        if path in seen:
            raise LtError(f"{row[0]} is listed twice", str(file), "leave each image in one row")
        seen.add(path)
        rows.append(row)
    return rows


def table_rows(
    file: Path, needed: Collection[str] = ("path", "class"), optional: Collection[str] = ("split",)
) -> Iterator[Row | LtError]:
    """Path, class and split of each row, or what is wrong with it.

    Args:
        file: The table.
        needed: Kinds of columns that it must have.
        optional: Those that are read where it has them: a class may be empty then. Others are passed over.

    Raises:
        LtError: The file cannot be read, or lacks a column.
    """
    check_regular(file)
    try:
        with file.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as stream:
            header = stream.readline()
            stream.seek(0)
            delimiter = max(",;\t", key=header.count)
            reader = csv.reader(stream, delimiter=delimiter, strict=True)
            columns = _columns(next(reader, []), needed, optional, file)
            for row in filter(any, reader):
                try:
                    yield _row(row, columns, needed, f"{file}, line {reader.line_num}")
                except LtError as error:
                    yield error
    except (OSError, csv.Error, ValueError) as error:
        raise LtError(f"this table cannot be read ({error})", str(file), "save it as CSV in UTF-8") from error


def _columns(header: list[str], needed: Collection[str], optional: Collection[str], file: Path) -> dict[str, int]:
    lower = [name.strip().lower() for name in header]
    columns = dict.fromkeys(COLUMNS, -1)
    for kind in (*needed, *optional):
        columns[kind] = next((lower.index(name) for name in COLUMNS[kind] if name in lower), -1)
    for kind in needed:
        if columns[kind] < 0:
            what = f"this table has no column {kind}, but {', '.join(header) or 'none'}"
            raise LtError(what, str(file), f"call it one of {', '.join(COLUMNS[kind])}")
    return columns


def _row(row: list[str], columns: dict[str, int], needed: Collection[str], where: str) -> Row:
    try:
        path = row[columns["path"]].strip()
        name = row[columns["class"]].strip() if columns["class"] >= 0 else ""
        split = row[columns["split"]].strip().lower() if columns["split"] >= 0 else "train"
    except IndexError:
        raise LtError(f"this row has {len(row)} columns, fewer than the header", where, "mend it") from None
    if not path or (not name and "class" in needed) or "\0" in path:
        raise LtError("this row lacks a path or a class", where, "mend or remove it")
    if not name.isprintable():  # such as bytes that are no UTF-8
        raise LtError(f"the class {name!r} cannot be read", where, "save the table as CSV in UTF-8")
    if not split:
        raise LtError("this row has no split", where, "name one, or leave the column out")
    if split not in SPLITS:
        raise LtError(f"no such split as '{split}'", where, f"use one of {', '.join(SPLITS)}")
    return path, name, split
