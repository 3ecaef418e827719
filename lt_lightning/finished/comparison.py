"""What is known of several methods: means over seeds, costs, and how sure differences are."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lt_lightning.errors import LtError
from lt_lightning.finished.bootstrap import Interval
from lt_lightning.finished.groups import Group
from lt_lightning.finished.pairing import differences_of
from lt_lightning.finished.run import Measured, Run
from lt_lightning.run_folder import PER_IMAGE


class Spread(NamedTuple):
    """Mean over seeds, and standard deviation (of a sample: n - 1); None for one seed."""

    mean: float
    deviation: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of one value a seed."""
        with np.errstate(invalid="ignore"):  # a figure of a run that diverged is no number
            return cls(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None)


class Row(NamedTuple):
    """One method.

    Attributes:
        name: What it is called.
        number: Runs.
        checkpoints: Which checkpoints were measured: ``last``, ``best``.
        selected_on_test: Whether one of them was chosen by the test images.
        figures: Those of the ensemble, by name.
        params: Of what is used at test; without a teacher.
        macs: Multiply-accumulates an image, likewise.
        seconds: Of training; None where a run does not say.
        before: Seconds that its teachers and first stages were trained; None where it has none, or none says.
        differences: To the reference, by figure; empty for the reference, and where images are not paired.
    """

    name: str
    number: int
    checkpoints: tuple[str, ...]
    selected_on_test: bool
    figures: dict[str, Spread]
    params: int
    macs: int
    seconds: Spread | None
    before: Spread | None
    differences: dict[str, Interval]


class Comparison(NamedTuple):
    """Methods on one set of images.

    Attributes:
        split: ``test``, or ``val`` where a run was not tested.
        reference: Name of the method that the others are compared with.
        rows: One a method.
        notes: What has to be known to read them.
    """

    split: str
    reference: str
    rows: list[Row]
    notes: list[str]


def compare(groups: list[Group], reference: str) -> Comparison:
    """Compare methods, all by their figures of test, or all by those of validation where one was not tested.

    Raises:
        LtError: Their images, or their classes' training images, differ.
    """
    runs = [run for group in groups for run in group.runs]
    untested = [run for run in runs if run.measured("test") is None]
    split = "val" if untested else "test"
    notes: list[str] = []
    if untested:
        names = ", ".join(str(run.folder) for run in untested)
        notes.append(f"validation, last epoch, as no test was run of {names} (lt test --ckpt_path RUN/last.ckpt)")
    measured = {run.folder: _measured(run, split) for run in runs}
    _check_same_images(runs, split, measured)
    of_reference = next(group for group in groups if group.name == reference)
    rows = []
    for group in groups:
        paired = split == "test" and group is not of_reference
        differences = differences_of(of_reference, group) if paired else {}
        rows.append(_row(group, [measured[run.folder] for run in group.runs], differences))
    if split == "test" and any(not row.differences for row in rows if row.name != reference):
        notes.append(f"no interval where a run has no {PER_IMAGE}: measure it again by lt test")
    return Comparison(split, reference, rows, notes + _notes(rows, groups, split))


def _measured(run: Run, split: str) -> Measured:
    found = run.measured(split)
    if found is None:
        raise LtError(f"this run has no figures of {split}", str(run.folder), "measure its last.ckpt by lt test")
    return found


def _check_same_images(runs: list[Run], split: str, measured: dict[Path, Measured]) -> None:
    first = runs[0]
    for run in runs[1:]:
        for what, ours, theirs in (
            ("data", first.summary["data"], run.summary["data"]),
            ("classes or training images", _counts(first, split), _counts(run, split)),
            (f"images of {split}", measured[first.folder].images, measured[run.folder].images),
        ):
            if ours != theirs and None not in (ours, theirs):
                fix = f"compare runs on the same images: of {first.summary['data']} as in {first.folder}, say"
                raise LtError(f"its {what} are not those of {first.folder}", str(run.folder), fix)


def _counts(run: Run, split: str) -> list[tuple[str, str, str]]:
    return [(row["name"], row["train_images"], row["group"]) for row in run.classes_of(split)]


def _row(group: Group, measured: list[Measured], differences: dict[str, Interval]) -> Row:
    names = [name for name in measured[0].figures if all(name in m.figures for m in measured)]
    seconds = [run.seconds for run in group.runs]
    before = [[first.seconds for first in run.trained_first()] for run in group.runs]
    sums = [sum(s for s in parts if s is not None) for parts in before if parts and None not in parts]
    return Row(
        group.name,
        len(group.runs),
        tuple(sorted({m.checkpoint for m in measured})),
        any(m.selected_on_test for m in measured),
        {name: Spread.of([m.figures[name] for m in measured]) for name in names},
        group.runs[0].summary["params"],
        group.runs[0].summary["macs"],
        Spread.of([s for s in seconds if s is not None]) if None not in seconds else None,
        Spread.of(sums) if len(sums) == len(before) else None,
        differences,
    )


def _notes(rows: list[Row], groups: list[Group], split: str) -> list[str]:
    notes = []
    checkpoints = {name for row in rows for name in row.checkpoints}
    if split == "test":
        each = "; ".join(f"{row.name} {' and '.join(row.checkpoints)}" for row in rows)
        notes.append(f"{checkpoints.pop()}.ckpt of each run" if len(checkpoints) == 1 else f"checkpoints: {each}")
    if chosen := [row.name for row in rows if row.selected_on_test]:
        notes.append(f"selected on test: the best epoch was chosen by these very images ({', '.join(chosen)})")
    runs = [run for group in groups for run in group.runs]
    if split == "val" and any(run.summary["val"].get("selected_on") == "test" for run in runs):
        notes.append("the validation images are the test images, as this set has no others")
    for group in groups:
        twice = [str(seed) for seed, n in Counter(run.summary["seed"] for run in group.runs).items() if n > 1]
        if twice:
            notes.append(f"{group.name} has several runs of seed {', '.join(twice)}: they are no further evidence")
    if any(row.before for row in rows):
        notes.append("parameters and MACs are those at test, without a teacher; 'before' is its training")
    if any(row.differences for row in rows):
        notes.append("differences: 95 % interval of a bootstrap over images, paired, and over the seeds of each method")
    return notes
