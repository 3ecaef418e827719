"""What the doctor says of one thing."""

from typing import NamedTuple


class Finding(NamedTuple):
    """One line.

    Attributes:
        state: ``ok``, ``warning`` or ``error``.
        what: What was looked at.
        found: What was found.
        mend: How to mend it; empty where it is well.
    """

    state: str
    what: str
    found: str
    mend: str = ""


def ok(what: str, found: str) -> Finding:
    """All is well."""
    return Finding("ok", what, found)


def warning(what: str, found: str, mend: str) -> Finding:
    """Training works, but something does not, or not well."""
    return Finding("warning", what, found, mend)


def error(what: str, found: str, mend: str) -> Finding:
    """Training does not work."""
    return Finding("error", what, found, mend)
