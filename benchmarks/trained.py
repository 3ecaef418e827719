"""A run of ``lt`` that figures are made of: trained and tested once, by a command that it keeps.

All benchmarks that train do it here: what is done is not done again, what was interrupted goes on, and what is said of
a run is what it was made with, not what the script would make it with today.
"""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from speed.measure import cpu

from lt_lightning.commands import main
from lt_lightning.run_folder import is_finished, read_summary

QUIET = ["--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]
KEPT = ".benchmark.json"
"""In the folder of a run: its command, and the processor that it was trained on."""


def trained_and_tested(
    words: Sequence[str], folder: Path, places: Mapping[str, str | Path] | None = None
) -> dict[str, Any]:
    """Train and test a run, as far as that is not done; its ``summary.json``.

    Args:
        words: What follows ``lt fit``, without places on this machine.
        folder: Of the run.
        places: Flags that name such places, as ``--data.root``, with what they name.
    """
    begin(words, folder)
    last, summary, places = folder / "last.ckpt", folder / "summary.json", places or {}
    if not is_finished(folder):
        interrupted = {"--ckpt_path": last} if last.is_file() else {}
        main(["fit", *words, *flags({**places, "--trainer.default_root_dir": folder, **interrupted}), *QUIET])
    if "test" not in read_summary(summary):
        data = {flag: place for flag, place in places.items() if flag.startswith("--data.")}
        main(["test", *flags({"--ckpt_path": last, **data}), *QUIET])  # all else the checkpoint knows
    return read_summary(summary)


def flags(places: Mapping[str, str | Path]) -> list[str]:
    """As words of a command line."""
    return [str(word) for item in places.items() for word in item]


def begin(words: Sequence[str], folder: Path) -> None:
    """Keep the command of a run that is not finished yet.

    Raises:
        SystemExit: The folder holds a run of another command, or one that did not keep its own.
    """
    command, file = shlex.join(["lt", "fit", *words]), folder / KEPT
    unknown = "a command that it did not keep" if (folder / "last.ckpt").is_file() else command
    begun = json.loads(file.read_text())["command"] if file.is_file() else unknown
    if begun != command:
        raise SystemExit(f"{folder} was trained by\n  {begun}\nand not by\n  {command}\nMove it away to train it anew.")
    if not is_finished(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"command": command, "cpu": cpu()}) + "\n")


def made(folder: Path) -> dict[str, str]:
    """What a run was made with: its command, the processor and the commit."""
    commit = json.loads((folder / "env.json").read_text())["commit"] or "unknown"
    return {**json.loads((folder / KEPT).read_text()), "commit": commit}


def origin(runs: Sequence[Mapping[str, Any]]) -> str:
    """What stands below a table: what its runs were made with, or nothing where none of them kept it."""
    known = [run["made"] for run in runs if "made" in run]
    if not known:
        return ""
    commits, cpus = _all(run["commit"][:7] for run in known), _all(run["cpu"] for run in known)
    of = "" if len(known) == len(runs) else f"; {len(known)} of {len(runs)} runs, the others did not keep it"
    return f"\n\nMade at commit {commits} on {cpus}{of}."


def _all(names: Iterable[str]) -> str:
    return ", ".join(sorted({*names}))
