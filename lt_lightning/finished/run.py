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
from lt_lightning.summary import read_described

PARTS = ("trainer", "model", "data", "optimizer", "lr_scheduler")
"""Of a configuration: each a mapping, as are its arguments."""


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
        """What was measured on a split, at the end of training or by ``lt test``; None where nothing was."""
        part = self.summary.get(split, {})
        if not (figures := part.get("last")):
            return None
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
        return float(seconds) if seconds is not None and math.isfinite(seconds) else None

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
    if not folder.is_dir():
        raise LtError("there is no such folder", str(folder), "name the folder of a run, such as runs/mcsm")
    summary = read_described(folder)
    return Run(folder, summary, _config(folder / "config.yaml"), _environment(folder / FILE), _classes(folder))


def _config(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        config: dict[str, Any] = read_yaml(read_text(file))
    except (yaml.YAMLError, ValueError) as error:
        raise LtError(f"this configuration is damaged: {error}"[:300], str(file), "remove it") from error
    config = {key: part for key, part in config.items() if part is not None} if _is_plain(config) else {}
    parts = [config.get(part, {}) for part in PARTS]
    if not config or not all(_is_plain(part) and _is_plain(part.get("init_args") or {}) for part in parts):
        raise LtError("this is no configuration of a run", str(file), "remove it")
    return config


def _environment(file: Path) -> dict[str, Any]:
    environment = read_summary(file)
    earlier = environment.get("earlier") or []
    if not isinstance(earlier, list) or not all(
        _is_plain(part) and _is_sound(part) for part in (environment, *earlier)
    ):
        raise LtError("this does not say what a run was made with", str(file), "remove it")
    return environment


def _is_sound(environment: dict[str, Any]) -> bool:
    lists = (environment.get(key) or [] for key in ("devices", "configs"))
    return _is_plain(environment.get("versions") or {}) and all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in lists
    )


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
