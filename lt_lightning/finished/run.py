"""A finished run, as its folder says it: figures, configuration, classes, and what it was made with.

Nothing here needs torch. What is read may be a stranger's, so it is looked through before it is used.
"""

import csv
import math
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from lt_lightning.environment import FILE
from lt_lightning.errors import LtError
from lt_lightning.run_folder import TRAINED_FIRST, read_summary
from lt_lightning.strict_yaml import read_text, read_yaml

DESCRIBED: dict[str, type] = {"model": str, "losses": list, "data": str, "seed": int, "train_images": int}
DESCRIBED |= {"groups": dict, "params": int, "macs": int}
"""What ``summary.json`` says of any run, with its types."""


class Measured(NamedTuple):
    """Figures of one checkpoint on one split.

    Attributes:
        split: ``test`` or ``val``.
        checkpoint: ``last``, ``best`` or another file's name, without its ending.
        selected_on_test: Whether the checkpoint was chosen by these very images.
        images: Digest of which images they are; None where the run does not say.
        figures: Fractions, and nats, by name.
    """

    split: str
    checkpoint: str
    selected_on_test: bool
    images: str | None
    figures: dict[str, float]


class Run(NamedTuple):
    """A run that was trained to its end.

    Attributes:
        folder: Where it lies.
        summary: Its ``summary.json``.
        config: Its configuration; empty where there is none.
        environment: Its ``env.json``; empty where there is none.
        classes: Lines of its ``per_class.csv``.
    """

    folder: Path
    summary: dict[str, Any]
    config: dict[str, Any]
    environment: dict[str, Any]
    classes: list[dict[str, str]]

    def measured(self, split: str) -> Measured | None:
        """What was measured on a split, at the end of training or by ``lt test``; None where nothing was.

        Raises:
            LtError: The summary is damaged.
        """
        part = self.summary.get(split, {})
        if not isinstance(figures := part.get("last", {}), dict):
            raise _damaged(self.folder, split)
        if not figures:
            return None
        if not all(isinstance(value, int | float) for value in figures.values()):
            raise _damaged(self.folder, split)
        checkpoint = Path(str(part.get("checkpoint", "last.ckpt"))).stem
        selected = part.get("selected_on") == "test" and checkpoint != "last"
        return Measured(split, checkpoint, selected, part.get("images"), figures)

    def classes_of(self, split: str) -> list[dict[str, str]]:
        """Lines of a split's classes, in label order."""
        return [row for row in self.classes if row["split"] == split]

    @property
    def seconds(self) -> float | None:
        """Seconds of training; None where the run does not say."""
        seconds = self.summary.get("val", {}).get("train_seconds")
        return float(seconds) if isinstance(seconds, int | float) and math.isfinite(seconds) else None

    def trained_first(self) -> list["Run"]:
        """The teacher or first stage of this run and, after it, theirs; those whose folders are there."""
        found: list[Run] = []
        for name in TRAINED_FIRST:
            if (checkpoint := self.checkpoint_of(name)) and (checkpoint.parent / "summary.json").is_file():
                run = read_run(checkpoint.parent)
                found += [run, *run.trained_first()]
        return found

    def checkpoint_of(self, name: str) -> Path | None:
        """The checkpoint of a teacher or a first stage; that which was trained for this run moves with its folder."""
        arguments = self.config.get("model", {}).get("init_args") or {}
        given = arguments.get(name)
        if not isinstance(given, str):
            return None
        own = self.folder / name / Path(given).name
        was = Path(str(self.config.get("trainer", {}).get("default_root_dir"))) / name / Path(given).name
        is_own = Path(given).parts[-len(was.parts) :] == was.parts or Path(given) == was.resolve()
        return own if is_own and own.exists() else Path(given)


def read_run(folder: Path) -> Run:
    """Read a run's folder.

    Raises:
        LtError: It holds no run that was trained to its end, or a file of it is damaged.
    """
    file = folder / "summary.json"
    if not folder.is_dir():
        raise LtError("there is no such folder", str(folder), "name the folder of a run, such as runs/mcsm")
    summary = read_summary(file)
    parts = (summary.get(split, {}) for split in ("val", "test"))
    if not all(isinstance(summary.get(key), kind) for key, kind in DESCRIBED.items()) or not all(map(_is_plain, parts)):
        what = "it is damaged" if summary else "no run was trained or tested to its end here"
        raise LtError(what, str(file), "train it to its end (`lt fit --resume RUN`), or name the folder of a run")
    return Run(folder, summary, _config(folder / "config.yaml"), read_summary(folder / FILE), _classes(folder))


def _config(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        config: dict[str, Any] = read_yaml(read_text(file))
    except (yaml.YAMLError, ValueError) as error:
        raise LtError(f"this configuration is damaged: {error}"[:300], str(file), "remove it") from error
    if not _is_plain(config) or not all(_is_plain(config.get(part, {})) for part in ("trainer", "model", "data")):
        raise LtError("this is no configuration of a run", str(file), "remove it")
    return config


def _classes(folder: Path) -> list[dict[str, str]]:
    file = folder / "per_class.csv"
    if not file.is_file():
        return []
    try:
        with file.open(newline="", encoding="utf-8", errors="surrogateescape") as lines:
            rows = list(csv.DictReader(lines))
        for row in rows:
            _ = row["split"], row["name"].strip(), row["group"], int(row["class"]), int(row["train_images"])
            float(row["acc"])
    except (KeyError, TypeError, ValueError, AttributeError, csv.Error) as error:
        what = f"this table of classes is damaged ({error})"
        raise LtError(what, str(file), "remove it; `lt test` writes it anew") from error
    return rows


def _is_plain(part: Any) -> bool:
    return isinstance(part, dict)


def _damaged(folder: Path, split: str) -> LtError:
    what = f"its figures of {split} are damaged"
    return LtError(what, str(folder / "summary.json"), "remove it; `lt test` measures figures anew")
