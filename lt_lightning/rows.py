"""Tables of any length as CSV, JSON or Parquet, by the ending of the file's name; written whole."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from lt_lightning.errors import LtError
from lt_lightning.run_folder import check_writable
from lt_lightning.whole_files import whole_file

Cell = str | int | float | None
Columns = Mapping[str, type]
"""Names of columns, and ``str``, ``int`` or ``float``; any cell may be None."""
CHUNK = 10_000
"""Rows that are held at once on their way to a Parquet file."""


def as_csv(file: BinaryIO, columns: Columns, rows: Iterator[Sequence[Cell]]) -> None:
    """A header and a line a row, in UTF-8, names of files as they are; None is empty."""
    stream = io.TextIOWrapper(file, "utf-8", "surrogateescape", newline="")
    writer = csv.writer(stream)
    writer.writerow(columns)
    writer.writerows(rows)
    stream.detach()  # flushes, and leaves the file open


def as_json(file: BinaryIO, columns: Columns, rows: Iterator[Sequence[Cell]]) -> None:
    """A list of objects, one a line."""
    begin = b"["
    for row in rows:
        file.write(begin + b"\n" + json.dumps(dict(zip(columns, row, strict=True))).encode())
        begin = b","
    file.write(b"[]\n" if begin == b"[" else b"\n]\n")


def as_parquet(file: BinaryIO, columns: Columns, rows: Iterator[Sequence[Cell]]) -> None:
    """A column each; bytes of a file's name that are no UTF-8 are written out, as a backslash and a number."""
    from pyarrow import Table, float64, int64, parquet, schema, string

    kinds = {str: string(), int: int64(), float: float64()}
    form = schema([(name, kinds[kind]) for name, kind in columns.items()])
    with parquet.ParquetWriter(file, form) as writer:
        while chunk := list(islice(rows, CHUNK)):
            values = zip(columns, zip(*chunk, strict=True), strict=True)
            writer.write_table(Table.from_pydict({name: [_plain(v) for v in column] for name, column in values}, form))


def _plain(value: Cell) -> Cell:
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


FORMATS: dict[str, Callable[[BinaryIO, Columns, Iterator[Sequence[Cell]]], None]] = {
    ".csv": as_csv,
    ".json": as_json,
    ".parquet": as_parquet,
}


def check_rows_file(file: Path) -> None:
    """Refuse a file that could not be written, before an hour is spent on what would be in it.

    Raises:
        LtError: Its ending is not known, its folder is not there or nothing can be written in it, or it is one.
    """
    if file.suffix.lower() not in FORMATS:
        what = f"expected a file that ends in {', '.join(FORMATS)}"
        raise LtError(what, str(file), f"name {file.name}.csv, or another of these")
    if not file.parent.is_dir() or file.is_dir():
        raise LtError("this is a folder, or lies in one that does not exist", str(file), "name a file in one that does")
    check_writable(file.parent, "name a file in another folder")
    if file.suffix.lower() == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            fix = "pip install 'lt-lightning[parquet]', or name a file that ends in .csv"
            raise LtError(f"Parquet needs pyarrow ({error})", str(file), fix) from error


def write_rows(file: Path, columns: Columns, rows: Iterator[Sequence[Cell]]) -> None:
    """Write a table.

    Args:
        file: Its ending says the format.
        columns: Their names and types.
        rows: As many cells each.

    Raises:
        OSError: It cannot be written; what was there before still is.
    """
    with whole_file(file) as binary:
        FORMATS[file.suffix.lower()](binary, columns, rows)
