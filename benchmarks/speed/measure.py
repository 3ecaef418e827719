"""Pairs of calls, timed in turn, round after round, and what their times say of a goal.

The time is CPU time, of this process and of the children it waited for: on machines that others use, too, it repeats
within some per cent where the clock on the wall does not within a factor. One round runs every pair of a suite once,
ours and reference in turn, so that what a machine does to one it does to the other.
"""

import os
import platform
import resource
import statistics
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

TOLERATED = 0.1
"""Part of a goal by which a figure may miss it: machines are noisy."""

Call = Callable[[], float | None]
"""Does the work once. It may return the CPU seconds of the part that counts; else all of it does."""


@dataclass(frozen=True)
class Goal(ABC):
    """What a figure, made of both sides' times, should reach; a limit of None asks for nothing."""

    limit: float | None

    @abstractmethod
    def figure(self, ours: float, reference: float) -> float:
        """The figure, of times in units of the pair."""

    @abstractmethod
    def shortfall(self, figure: float) -> float:
        """By what part of the limit it is missed; negative where it is met."""


class Faster(Goal):
    """The reference takes so many times as long."""

    def figure(self, ours: float, reference: float) -> float:
        return reference / ours

    def shortfall(self, figure: float) -> float:
        return 1 - figure / self.limit


class Costs(Goal):
    """Ours takes at most so many times as long as the reference, which does less."""

    def figure(self, ours: float, reference: float) -> float:
        return ours / reference

    def shortfall(self, figure: float) -> float:
        return figure / self.limit - 1


class Adds(Costs):
    """Ours takes at most so much longer."""

    def figure(self, ours: float, reference: float) -> float:
        return ours - reference


class Takes(Costs):
    """Ours takes at most so long, whatever the reference does."""

    def figure(self, ours: float, reference: float) -> float:
        return ours


@dataclass(frozen=True)
class Pair:
    """Two calls that do the same work, or work that differs by what the goal is about.

    Attributes:
        name: What is measured.
        against: What the reference is.
        ours: Our side.
        reference: The other; None where there is none, which goals of :class:`Takes` alone allow.
        amount: How many units one call of either does.
        unit: Of what: image, step, evaluation.
        goal: What is asked.
    """

    name: str
    against: str
    ours: Call
    reference: Call | None
    amount: float
    unit: str
    goal: Goal


Suite = Callable[[], Sequence[Pair]]


def cpu_seconds() -> float:
    """Of this process and of the children that it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def timed(call: Call) -> tuple[float, float]:
    """CPU seconds and seconds on the wall of one call."""
    wall, start = time.perf_counter(), cpu_seconds()
    inside = call()
    whole = cpu_seconds() - start
    return whole if inside is None else inside, time.perf_counter() - wall


def measure(pairs: Sequence[Pair], rounds: int) -> list[dict[str, Any]]:
    """One row a pair: medians and ranges in milliseconds of CPU time a unit, and the median figure of the rounds."""
    times: list[list[tuple[float, float, float]]] = [[] for _ in pairs]
    for turn in range(rounds + 1):
        for pair, found in zip(pairs, times, strict=True):
            (ours, wall), (reference, _) = timed(pair.ours), timed(pair.reference) if pair.reference else (0.0, 0.0)
            scale = 1000 / pair.amount
            if turn:  # the first round warms up
                found.append((ours * scale, reference * scale, wall * scale))
    return [_row(pair, found) for pair, found in zip(pairs, times, strict=True)]


def _row(pair: Pair, found: list[tuple[float, float, float]]) -> dict[str, Any]:
    """Beside what a page shows, ``wall``, of ours, and the figure ``of_medians`` are kept as a record."""
    ours, reference, wall = zip(*found, strict=True)
    figures = [pair.goal.figure(a, b) for a, b, _ in found]
    return {
        "name": pair.name,
        "against": pair.against,
        "unit": pair.unit,
        "ours": _spread(ours),
        "reference": _spread(reference) if pair.reference else None,
        "wall": statistics.median(wall),
        "kind": type(pair.goal).__name__,
        "goal": pair.goal.limit,
        "figure": statistics.median(figures),
        "lowest": min(figures),
        "highest": max(figures),
        "of_medians": pair.goal.figure(statistics.median(ours), statistics.median(reference)),
    }


def shortfall(row: dict[str, Any]) -> float:
    """By what part of its goal a row misses it; not positive where it is met."""
    goal: Goal = {kind.__name__: kind for kind in (Faster, Costs, Adds, Takes)}[row["kind"]](row["goal"])
    return 0 if goal.limit is None else goal.shortfall(row["figure"])


def verdict(row: dict[str, Any]) -> str:
    """In words."""
    if row["goal"] is None:
        return "-"
    short = shortfall(row)
    return "met" if short <= 0 else f"missed by {float(f'{100 * short:.2g}'):g} %"


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}


def machine() -> dict[str, Any]:
    """What the times belong to."""
    return {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": commit(),
    }


def cpu() -> str:
    """What the processor is called."""
    model = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "")
    return model or platform.processor()


def commit() -> str:
    """Of what is measured; with a mark where files differ from it, other than results and pages made of them."""
    git = ["git", "-C", str(Path(__file__).parents[2])]
    words = ["describe", "--always", "--exclude=*", "--abbrev=7"]
    found = subprocess.run([*git, *words], capture_output=True, text=True, check=False).stdout.strip()
    same = ["diff", "--quiet", "HEAD", "--", ".", ":!benchmarks/results", ":!*.md"]
    differs = subprocess.run([*git, *same], capture_output=True, check=False).returncode
    return (found + "-dirty" * differs if found else "") or "unknown"


def _lines(path: str) -> list[str]:
    try:
        with open(path) as stream:  # noqa: PTH123
            return stream.readlines()
    except OSError:
        return []
