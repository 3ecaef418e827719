"""What ``summary.json`` says of a run, looked through before it is used: it may be a stranger's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lt_lightning.errors import LtError
from lt_lightning.run_folder import read_summary

DESCRIBED: dict[str, type] = {"model": str, "losses": list, "data": str, "seed": int, "train_images": int}
DESCRIBED |= {"groups": dict, "params": int, "macs": int}
"""What it says of any run, with its types."""
MEASURED = ("test", "validate", "val")
"""Splits that a run may have been measured on: by ``lt test``, ``lt validate`` and at the end of ``lt fit``."""


def read_described(folder: Path) -> dict[str, Any]:
    """The summary of a run that was measured: what it says is there has the type that it has in any run.

    Args:
        folder: That of the run.

    Raises:
        LtError: It is not there, or damaged.
    """
    file = folder / "summary.json"
    summary = read_summary(file)
    if not summary:
        fix = "train it to its end (`lt fit --resume RUN`), or name the folder of a run"
        raise LtError("no run was trained or tested to its end here", str(file), fix)
    if wrong := next(_wrong(summary), None):
        raise LtError(f"this summary is damaged: {wrong}", str(file), "remove it; `lt test` measures figures anew")
    return summary


def _wrong(summary: dict[str, Any]) -> Iterator[str]:
    """What of a summary is not as it has to be, by its name."""
    yield from (key for key, kind in DESCRIBED.items() if not isinstance(summary.get(key), kind))
    if not summary["losses"] or not all(isinstance(loss, str) for loss in summary["losses"]):
        yield "losses"
    yield from (key for key in ("groups", "thresholds") if not _are_numbers(summary.get(key, {})))
    for split in (split for split in MEASURED if split in summary):
        part = summary[split]
        if not isinstance(part, dict) or not _is_number(part.get("train_seconds", 0)):
            yield split
            return
        yield from (f"{split}/{key}" for key in ("last", "best") if not _are_numbers(part.get(key, {})))
        yield from (f"{split}/{key}" for key in ("checkpoint", "images") if not isinstance(part.get(key, ""), str))


def _are_numbers(figures: Any) -> bool:
    return isinstance(figures, dict) and all(map(_is_number, figures.values()))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
