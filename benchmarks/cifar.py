"""The README's table of CIFAR-100-LT: figures of runs that were trained by hand with the commands it names.

``python benchmarks/cifar.py`` prints it from the runs' own ``summary.json``, kept in ``benchmarks/results``.
"""

import json
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "cifar100_lt_short"
RUNS = {
    "ce": "cross-entropy",
    "bs": "balanced softmax",
    "ce128": "cross-entropy, batch 128",
    "teacher": "balanced softmax, batch 128: the teacher",
}
COLUMNS = ("acc", "acc_many", "acc_medium", "acc_few", "nll", "ece")


def row(title: str, figures: dict[str, float], prefix: str = "") -> str:
    """One row: accuracies and ECE in percent, NLL in nats."""
    values = {name: figures[f"{prefix}{name}"] for name in COLUMNS}
    cells = (f"{v:.3f}" if name == "nll" else f"{100 * v:.1f}" for name, v in values.items())
    return f"| {title} | {' | '.join(cells)} |"


def table() -> str:
    """Markdown: last epoch of each run, and of each student."""
    last = {path.stem: json.loads(path.read_text())["val"]["last"] for path in sorted(RESULTS.glob("*.json"))}
    lines = ["| run | all | many (35) | medium (35) | few (30) | NLL | ECE |", "|---" * 7 + "|"]
    lines += [row(title, last[name]) for name, title in RUNS.items()]
    for number, skill in enumerate(("cross-entropy", "balanced softmax", "inverse softmax"), 1):
        lines.append(row(f"MCSM, student {number}, {skill}", last["mcsm"], f"expert{number}/"))
    return "\n".join([*lines, row("**MCSM, ensemble**", last["mcsm"])])


if __name__ == "__main__":
    print(table())
