"""What `lt data check` can find, how bad each kind is, and what to do about it."""

from collections.abc import Iterable
from typing import Literal, NamedTuple, Self

from lt_lightning.errors import LtError

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""From bad to harmless: with an error training fails or its figures mislead."""


class Kind(NamedTuple):
    """A kind of finding.

    Attributes:
        severity: How bad it is.
        what: What is found, in a few words.
        fix: What to do about it, in a few words.
    """

    severity: Severity
    what: str
    fix: str

    @classmethod
    def of(cls, error: LtError) -> Self:
        """The kind of what a data module refuses."""
        return cls("error", error.what, error.fix)

    def at(self, *where: str, detail: str = "") -> "Finding":
        """One finding of this kind."""
        return Finding(self, where, detail)


class Finding(NamedTuple):
    """One thing that was found.

    Attributes:
        kind: What it is.
        where: Paths, classes or lines that it concerns together; none if it is the whole set.
        detail: What is particular to it.
    """

    kind: Kind
    where: tuple[str, ...]
    detail: str


OUTSIDE = Kind("error", "image outside of the classes' folders", "move it into a class's folder, or set --depth")
MIXED = Kind("error", "folder beside those of splits", "leave train, val and test alone there, or rename them")
EMPTY = Kind("error", "class folder without an image", "put images there, or remove the folder")
IMAGE_FOLDER = Kind("error", "folder named like an image", "rename it; what is in it counts for its class")
UNPRINTABLE = Kind("error", "class name that is not UTF-8, not printable, or has blank ends", "rename the folder")
DANGLING = Kind("error", "dangling link", "restore what it points to, or remove it")
LOOP = Kind("error", "link to a folder that it lies in", "remove the link")
CLOSED = Kind("error", "folder that cannot be read", "restore its permissions")
TWICE = Kind("error", "path listed more than once", "leave each image in one row")
FEW_CLASSES = Kind("error", "fewer than two classes", "name the folder that holds the classes' folders, or set --depth")
ALIKE = Kind("error", "classes that differ only by case, blanks or Unicode form", "make them one, or rename them")
UNTRAINED = Kind("error", "class without a training image", "add one, or leave the class out")
TWO_CLASSES = Kind("error", "same content in two classes", "keep it in one of them")
LEAK = Kind("error", "same content in training and in validation or test", "keep it in one of them")

DUPLICATE = Kind("warning", "same content more than once in a class", "keep it once")
ONE_SHOT = Kind("warning", "class with a single training image", "add images if you can")
UNTESTED = Kind("warning", "class without a test image", "add one; until then its accuracy is not known")
OTHER_FILE = Kind("warning", "file whose ending is not an image's", "it is passed over; convert it if it is an image")
WRONG_ENDING = Kind("warning", "image of another format than its ending says", "it is read as what it is; rename it")
SPLIT_CLASS = Kind("warning", "class named like a split", "call the training images' folder train, if it is a split")

JUNK = Kind("note", "hidden file, or one that an operating system leaves behind", "it is passed over")
GAP = Kind("note", "gap in the numbers that name classes", "classes are numbered without it")
SMALL = Kind("note", "image with a side below 8 pixels", "it is enlarged; remove it if it shows nothing")
LONG = Kind("note", "image more than ten times as long as it is wide", "evaluation sees only the middle of it")


def by_kind(findings: Iterable[Finding]) -> dict[Kind, list[Finding]]:
    """Findings of each kind, from bad to harmless."""
    kinds: dict[Kind, list[Finding]] = {}
    for finding in sorted(findings, key=lambda finding: SEVERITIES.index(finding.kind.severity)):
        kinds.setdefault(finding.kind, []).append(finding)
    return kinds
