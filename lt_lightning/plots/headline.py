"""The few figures by which a run is known: of its ensemble, its members and its teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from lt_lightning.run_folder import TEACHER
from lt_lightning.summary import read_described

COLUMNS = {
    "acc": "all",
    "acc_many": "many",
    "acc_medium": "med.",
    "acc_few": "few",
    "bal_acc": "bal.",
    "macro_f1": "F1",
    "auprc": "mAP",
    "nll": "NLL",
    "ece": "ECE",
}
"""Figures that are shown, and their titles."""


class Predictor(NamedTuple):
    """What is measured: its name, and its figures by name."""

    name: str
    figures: dict[str, float]


def shown_columns(summary: dict[str, Any]) -> dict[str, str]:
    """Figures of the groups that a run's classes have, with their titles."""
    groups = summary["groups"]
    return {c: title for c, title in COLUMNS.items() if not c.startswith("acc_") or c.removeprefix("acc_") in groups}


def predictors(folder: Path, summary: dict[str, Any], split: str) -> list[Predictor]:
    """The teacher where the run trained one, the members, the ensemble or single model, and that of the best epoch."""
    losses, figures = summary["losses"], summary[split]
    members = losses if len(losses) > 1 else []
    taught = read_described(folder / TEACHER) if (folder / TEACHER / "summary.json").is_file() else {}
    rows = [Predictor("teacher", taught[split]["last"])] if split in taught else []
    for m, loss in enumerate(members, start=1):
        start = f"expert{m}/"
        own = {name.removeprefix(start): v for name, v in figures["last"].items() if name.startswith(start)}
        rows.append(Predictor(f"expert {m} {loss}", own))
    epoch = f", epoch {figures['last']['epoch'] + 1}" if "epoch" in figures["last"] else ""
    rows.append(Predictor(f"{'ensemble' if members else losses[0]}{epoch}", figures["last"]))
    if "best" in figures:
        rows.append(Predictor(f"  best epoch, {figures['best']['epoch'] + 1}", figures["best"]))
    return rows


def shown_figure(column: str, value: float | None) -> str:
    """A figure as tables have it: in percent, but NLL in nats."""
    if value is None:
        return ""
    return f"{value:.3f}" if column == "nll" else f"{100 * value:.1f}"


def caption(summary: dict[str, Any], split: str) -> list[str]:
    """What the figures are in, what the model costs, and whether it was chosen by these very images."""
    lines = [
        "in %, NLL in nats; bal.: mean accuracy of classes; F1, mAP (AUPRC): macro",
        "classes: " + ", ".join(f"{n} {g}" for g, n in summary["groups"].items()),
        f"{summary['params'] / 1e6:.2f} M parameters, {summary['macs'] / 1e6:.1f} M multiply-accumulates an image",
    ]
    if summary[split]["selected_on"] == "test":
        lines.append("selected on test: the best epoch was chosen by these very test images")
    return lines
