"""Which image has which class, for sets of many files, in a few arrays.

A list of Python strings costs 70 bytes and more an image, and each loading process comes to own a copy of it, because
reading a Python object writes to it. Arrays stay shared.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lt_lightning.errors import LtError

CHUNK = 2**20
NEWLINE, SPACE, TAB, RETURN, ZERO = b"\n \t\r0"


@dataclass(frozen=True, slots=True)
class ImageIndex:
    """Paths and classes of N images.

    Attributes:
        text: Bytes in which all paths lie, as the file system encodes them.
        start: Where each path begins, ``(N,)``.
        end: Where it ends, ``(N,)``.
        target: Classes, ``(N,)``.
    """

    text: NDArray[np.uint8]
    start: NDArray[np.int32]
    end: NDArray[np.int32]
    target: NDArray[np.int32]

    @classmethod
    def of(cls, paths: Iterable[str], target: Iterable[int]) -> Self:
        """Index paths and their classes."""
        encoded = [os.fsencode(path) for path in paths]
        end = np.cumsum([len(path) for path in encoded], dtype=np.int32)
        start = np.concatenate([np.zeros(1, np.int32), end])[: len(end)]
        classes = np.fromiter(target, np.int32, len(encoded))
        return cls(np.frombuffer(b"".join(encoded), np.uint8), start, end, classes)

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read a list whose lines are ``path class``, as the field's official ones are.

        Raises:
            LtError: There is no such file, or a line ends in no class.
        """
        try:
            return cls.parse(np.fromfile(file, np.uint8), str(file))
        except OSError as error:
            raise LtError(f"this list cannot be read ({error.strerror})", str(file), "put it there") from error

    @classmethod
    def parse(cls, text: NDArray[np.uint8], name: str) -> Self:
        """Index the lines of a list, which is called ``name`` where it is wrong.

        Raises:
            LtError: A line ends in no class.
        """
        begin, done, parts = 0, 0, []
        while begin < len(text):  # in chunks of whole lines, which keeps all that is temporary small
            newline = np.flatnonzero(text[begin : begin + CHUNK] == NEWLINE)
            size = int(newline[-1]) + 1 if len(newline) else len(text) - begin
            start, end, target = _lines(text[begin : begin + size], done, name)
            parts.append((start + np.int32(begin), end + np.int32(begin), target))
            begin, done = begin + size, done + len(newline)
        if not sum(len(start) for start, _, _ in parts):
            raise LtError("this list names no image", name, "its lines should be `path class`")
        return cls(text, *(np.concatenate(column) for column in zip(*parts, strict=True)))

    def __len__(self) -> int:
        """N."""
        return len(self.target)

    def path(self, i: int) -> str:
        """Path of image i."""
        return os.fsdecode(self.text[self.start[i] : self.end[i]].tobytes())

    def select(self, chosen: NDArray[np.integer] | NDArray[np.bool_]) -> Self:
        """Some of the images, ``(n,)`` indices or a mask ``(N,)``; the text is shared."""
        return replace(self, start=self.start[chosen], end=self.end[chosen], target=self.target[chosen])


def _lines(text: NDArray[np.uint8], done: int, name: str) -> tuple[NDArray[np.int32], ...]:
    """Where the path of each line begins and ends, and its class, ``(n,)`` each, of whole lines of text.

    Args:
        text: Bytes.
        done: Lines before them.
        name: What the list is called where a line is wrong.
    """
    newline = np.flatnonzero(text == NEWLINE)
    if not len(text) or text[-1] != NEWLINE:
        newline = np.append(newline, len(text))
    blank = np.flatnonzero((text == SPACE) | (text == TAB))
    start = np.concatenate([[0], newline + 1])[: len(newline)]
    stop = newline - (text[newline - 1] == RETURN)
    line = np.flatnonzero(stop > start)
    start, stop = start[line], stop[line]
    last = np.concatenate([[-1], blank])[np.searchsorted(blank, stop)]
    digits = stop - last - 1
    wrong = (last <= start) | (digits < 1) | (digits > 8)
    target = np.zeros(len(line), np.int64)
    for place in range(int(digits[~wrong].max(initial=0))):
        here = ~wrong & (place < digits)
        value = text[np.where(here, last + 1 + place, 0)].astype(np.int64) - ZERO
        wrong |= here & ((value < 0) | (value > 9))
        target = np.where(here, target * 10 + value, target)
    if wrong.any():
        what = f"line {done + line[wrong.argmax()] + 1} should be `path class`, a class being a number"
        raise LtError(what, name, "mend this line")
    return start.astype(np.int32), last.astype(np.int32), target.astype(np.int32)
