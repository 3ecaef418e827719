"""What is wrong, or worth knowing, in the images of a set and in how they spread over classes."""

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from lt_lightning.check.findings import (
    ALIKE,
    DUPLICATE,
    FEW_CLASSES,
    GAP,
    LEAK,
    LONG,
    ONE_SHOT,
    SMALL,
    TWO_CLASSES,
    UNTESTED,
    UNTRAINED,
    WRONG_ENDING,
    Finding,
    Kind,
)
from lt_lightning.check.inspection import RULES, Facts
from lt_lightning.check.survey import Entry, Survey
from lt_lightning.data.images import ENDINGS, SUFFIXES
from lt_lightning.errors import LtError

SMALLEST, LONGEST = 8, 10
"""Side in pixels below which an image is small; ratio of sides above which it is long."""


def faults(survey: Survey, facts: Sequence[Facts]) -> Iterator[Finding]:
    """Find what names and places of images do not show.

    Args:
        survey: The set, N images.
        facts: What they are, N.
    """
    yield from class_faults(survey)
    for entry, fact in zip(survey.entries, facts, strict=True):
        yield from image_faults(entry.path, fact)
    yield from duplicates(survey.entries, facts)


def class_faults(survey: Survey) -> Iterator[Finding]:
    """Faults of classes: their names, and how many images they have."""
    names = survey.names
    if len(names) < 2:
        yield FEW_CLASSES.at(*names)
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault("".join(unicodedata.normalize("NFKC", name).casefold().split()), []).append(name)
    yield from (ALIKE.at(*group) for group in alike.values() if len(group) > 1)
    if all(name.isdecimal() for name in names):
        numbers = sorted(map(int, names))
        yield from (GAP.at(f"after {low} comes {high}") for low, high in pairwise(numbers) if high > low + 1)
    for name, count in survey.class_counts.items():
        if not any(count.values()):
            continue  # an empty folder, of which the survey tells
        if not count["train"]:
            yield UNTRAINED.at(name)
        if count["train"] == 1:
            yield ONE_SHOT.at(name)
        if not count["test"]:
            yield UNTESTED.at(name)


def image_faults(path: str, fact: Facts) -> Iterator[Finding]:
    """What is wrong with an image, or odd."""
    if fact.error:
        yield _unreadable(path, fact.error)
        return
    ending = Path(path).suffix.lower()
    if ending in SUFFIXES and ending not in ENDINGS[fact.format]:
        yield WRONG_ENDING.at(path, detail=fact.format)
    size = f"{fact.width} x {fact.height}"
    if min(fact.width, fact.height) < SMALLEST:
        yield SMALL.at(path, detail=size)
    if max(fact.width, fact.height) > LONGEST * min(fact.width, fact.height):
        yield LONG.at(path, detail=size)
    yield from (Kind("note", f"image that is odd: {oddity}", RULES[oddity]).at(path) for oddity in fact.oddities)


def _unreadable(path: str, error: LtError) -> Finding:
    what, _, detail = error.what.partition(": ")
    if what == "the file cannot be read":  # missing, forbidden, a folder: each is a kind of its own
        what, detail = error.what, ""
    fix = error.fix.partition(";")[0]  # what follows speaks of this command
    skip = "list it by --unreadable FILE and leave it out by --data.skip FILE"
    kind = Kind("error", f"unreadable image: {what}", f"{fix}; or {skip}")
    return kind.at(path, detail=detail)


def duplicates(entries: Sequence[Entry], facts: Sequence[Facts]) -> Iterator[Finding]:
    """Files of the same bytes; copies that were saved anew are not found."""
    same: dict[bytes, list[Entry]] = {}
    for entry, fact in zip(entries, facts, strict=True):
        if not fact.error:
            same.setdefault(fact.digest, []).append(entry)
    for copies in same.values():
        names, splits = {entry.name for entry in copies}, {entry.split for entry in copies}
        kinds = [TWO_CLASSES] * (len(names) > 1) + [LEAK] * (len(splits) > 1 and "train" in splits)
        if len(copies) > 1:
            yield from (kind.at(*(entry.path for entry in copies)) for kind in kinds or [DUPLICATE])
