"""Puts measured tables where README and docs have ``<!-- table: NAME -->`` ... ``<!-- end -->``: ``make tables``."""

import json
import re
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cifar
import digits
import gpu
import methods
import precision
import tracks
from run import machine_table as speed_machine
from run import table as speed_table

from lt_lightning.methods import methods as shipped

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(<!-- table: ([\w ]+) -->\n).*?(?=<!-- end -->)", re.DOTALL)


def plankton_table() -> str:
    """Markdown: the runs of docs/own_images.md, of which ``results/plankton`` keeps the ``summary.json``."""
    columns = {"acc": "all", "bal_acc": "balanced", "acc_many": "many (53)", "acc_medium": "medium (51)"}
    columns |= {"acc_few": "few (17)", "nll": "NLL", "ece": "ECE"}
    lines = [f"| run | {' | '.join(columns.values())} |", "|---" * (1 + len(columns)) + "|"]
    titles = {"ce": "CE", "bs": "BS", "mcsm": "MCSM", "mcsm_corrected": "MCSM, its mean corrected"}
    for name, title in titles.items():
        file = RESULTS / "plankton" / f"{name}.json"
        if not file.is_file():
            lines.append(f"| {title} |{' not run |' * len(columns)}")
            continue
        summary = json.loads(file.read_text())
        figures, members = summary["test"]["last"], summary["losses"] if len(summary["losses"]) > 1 else []
        students = {f"{title}, student {m}": f"expert{m}/" for m, _ in enumerate(members, 1)}
        rows = (students if name == "mcsm" else {}) | {title: ""}
        for row, prefix in rows.items():
            values = {column: figures[f"{prefix}{column}"] for column in columns}
            cells = [f"{v:.3f}" if column == "nll" else f"{100 * v:.1f}" for column, v in values.items()]
            lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines)


HEADLINE = {  # the README's rows: configuration, what it is
    "ce": "cross-entropy, one network",
    "bs": "balanced softmax, one network",
    "ride": "RIDE, 3 experts",
    "sade": "SADE, 3 experts",
    "balpoe": "BalPoE, 3 experts",
    "ncl": "NCL, 3 networks",
    "mdcs": "MDCS, 3 experts",
    "mcem": "MCEM, 3 experts, as published",
    "mcem_bcl": "MCEM, balanced contrast",
    "students": "MCSM without a teacher",
    "teacher": "MCSM's teacher, 6 networks",
    "mcsm": "MCSM, 3 students",
}


def headline_table() -> str:
    """Markdown: some of all methods, on the test images."""
    figures = _read("methods")
    columns = {"acc": "all", "acc_many": "many", "acc_medium": "medium", "acc_few": "few"}
    lines = [f"| method | {' | '.join(columns.values())} | NLL | M params |", "|---" * 7 + "|"]
    for name, title in HEADLINE.items():
        runs = figures[name].values()
        cells = [methods.spread([run["test"][column] for run in runs]) for column in columns]
        cells.append(f"{statistics.mean(run['test']['nll'] for run in runs):.3f}")
        params = next(iter(runs))["params"] / 1e6
        lines.append(f"| {title} | {' | '.join(cells)} | {params:.2f} |")
    return "\n".join(lines)


PAIRED = {  # docs/choose.md: configuration, what it is
    "teacher": "six balanced networks (`teacher`)",
    "ncl": "three that teach each other (`ncl`)",
    "mdcs": "three skills, self-distilled (`mdcs`)",
    "mcsm": "three skills, taught (`mcsm`)",
    "students": "three skills, not taught (`students`)",
    "sade": "three skills, shared trunk (`sade`)",
    "mcem_bcl": "three skills, balanced contrast (`mcem_bcl`)",
    "balpoe": "three skills, mixup (`balpoe`)",
    "mcem": "three skills, contrast as published (`mcem`)",
}


def paired_table() -> str:
    """Markdown: ensembles less one network under balanced softmax, paired by seed."""
    figures = _read("methods")
    lines = ["| against `bs` | parameters | all | many | few |", "|---" * 5 + "|"]
    for name, title in PAIRED.items():
        runs, base = ([figures[config][seed] for seed in figures[name]] for config in (name, "bs"))
        params = f"{runs[0]['params'] / base[0]['params']:.2g} x"
        lines.append(f"| {title} | {params} | {' | '.join(gains(runs, base))} |")
    return "\n".join(lines)


def gains(runs: Sequence[dict[str, Any]], base: Sequence[dict[str, Any]]) -> list[str]:
    """Cells: points of all, many- and few-shot classes over other runs, paired; with a standard error if of several."""
    cells = []
    for column in ("acc", "acc_many", "acc_few"):
        points = [100 * (a["test"][column] - b["test"][column]) for a, b in zip(runs, base, strict=True)]
        error = f" ± {statistics.stdev(points) / len(points) ** 0.5:.1f}" if len(points) > 1 else ""
        cells.append(f"{statistics.mean(points):+.1f}{error}")
    return cells


def balanced_table() -> str:
    """Markdown: balanced softmax less cross-entropy on each set where both were run."""
    figures = _read("methods")
    short, plankton = (
        [
            [{"test": json.loads((RESULTS / folder / f"{name}.json").read_text())["test"]["last"]}]
            for name in ("bs", "ce")
        ]
        for folder in ("cifar100_lt", "plankton")
    )
    found = {
        ("digits", "`make methods`"): [[figures[name][seed] for seed in figures["bs"]] for name in ("bs", "ce")],
        ("CIFAR-100-LT, 15 epochs", "`python benchmarks/cifar.py --root DIR`"): short,
        ("plankton, test with a tail of its own", "[own images](own_images.md)"): plankton,
    }
    lines = ["| data | seeds | all | many | few | command |", "|---" * 6 + "|"]
    for (data, command), (balanced, plain) in found.items():
        lines.append(f"| {' | '.join([data, str(len(balanced)), *gains(balanced, plain), command])} |")
    return "\n".join(lines)


def records(name: str, columns: dict[str, str]) -> str:
    """Markdown: rows of figures, ``results/NAME.json``, with a format for each column."""
    found: list[dict[str, Any]] = json.loads((RESULTS / f"{name}.json").read_text())["rows"]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    return "\n".join(lines + [f"| {' | '.join(f.format(row[c]) for c, f in columns.items())} |" for row in found])


def loading_table() -> str:
    """Markdown: CPU time an image of reading JPEGs, with one thread."""
    times = dict.fromkeys(("ours, loading", "ours, batched", "torchvision"), "{:.2f} ms")
    ratios = dict.fromkeys(("ratio of loading", "ratio of all"), "{:.2f}")
    return records("loading", {"pixels": "{}", "name": "{}", "ours decodes": "{}", **times, **ratios})


def index_table() -> str:
    """Markdown: what a list of images costs."""
    costs = {"core seconds": "{:.2f}", "MiB": "{:.0f}", "MiB of a worker": "{:.1f}"}
    return records("index", {"images": "{:,}", "index": "{}", **costs})


def check_table() -> str:
    """Markdown: what ``lt data check`` takes."""
    return records("check", {"images": "{:,}", "MB": "{:.0f}", "processes": "{}", "seconds": "{:.1f}",
                             "core seconds": "{:.1f}"})  # fmt: skip


TABLES: dict[str, Callable[[], str]] = {
    "headline": headline_table,
    "paired": paired_table,
    "balanced": balanced_table,
    "methods": lambda: methods.table(_read("methods"), shipped(ROOT / "configs")),
    "distillation": lambda: digits.table(_read("digits")),
    "cifar": cifar.accuracy_table,
    "theory": cifar.theory_table,
    "longer": cifar.longer_table,
    "plankton": plankton_table,
    "tracks full": lambda: tracks.table("full"),
    "tracks short": lambda: tracks.table("short"),
    "speed": lambda: speed_table(json.loads((RESULTS / "speed.json").read_text())),
    "gpu": lambda: gpu.table(_read_or_nothing("gpu")),
    "loading": loading_table,
    "index": index_table,
    "check": check_table,
    "precision": lambda: precision.table(json.loads((RESULTS / "precision.json").read_text())),
    "machine": lambda: speed_machine(json.loads((RESULTS / "speed.json").read_text())),
}


def _read(name: str) -> methods.Figures:
    figures: methods.Figures = json.loads((RESULTS / f"{name}.json").read_text())
    return figures


def _read_or_nothing(name: str) -> dict[str, Any]:
    file = RESULTS / f"{name}.json"
    return json.loads(file.read_text()) if file.is_file() else {}


def filled(text: str) -> str:
    """A page with its tables as the figures say."""
    return BLOCK.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}\n", text)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(filled(page.read_text()))
