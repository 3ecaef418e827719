"""How long runs on CIFAR-100-LT take, by plain and by compiled steps: for a machine with a GPU.

    python benchmarks/gpu.py --root cifar                                  # five epochs of each, and ratios
    python benchmarks/gpu.py --root cifar --epochs 200 --ways plain max-autotune

Every run is the command ``lt`` in a process of its own, in bfloat16, with the test set after each epoch. Its time is
that of the clock from the first step to the end of training, compiling and evaluation included; that of a step is the
median of its epochs but the first two, without evaluation. It runs on a CPU, too, where it says nothing of a GPU.
"""

import lt_lightning  # noqa: F401  # first: it makes torchvision importable

# isort: split
import argparse
import csv
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from trained import QUIET, begin, flags, made

from lt_lightning.run_folder import is_finished

ROOT = Path(__file__).parents[1]
OUT = ROOT / "benchmarks" / "results" / "gpu.json"
WAYS = ("plain", "default", "reduce-overhead", "max-autotune")
"""The step as it is, and modes of ``--compile``."""
WHOLE = 200
"""Epochs that goals are about."""
FIRST = 2
"""Epochs in which a step is compiled, at both of its sizes, and kernels are chosen."""


class Job(NamedTuple):
    """A run.

    Attributes:
        title: What it is called.
        words: Configurations and flags after ``lt fit --config configs/``.
        goal: Seconds that 200 epochs should take on an H200.
        taught: The job whose run teaches.
    """

    title: str
    words: str
    goal: float
    taught: str = ""


PLAIN, EXPERTS = "--config configs/on/cifar100_lt.yaml", "--config configs/on/cifar100_lt_experts.yaml"
JOBS = {
    "ce": Job("CE", f"ce.yaml {PLAIN}", 25),
    "ride": Job("RIDE, 3 experts", f"ride.yaml {EXPERTS}", 40),
    "mcsm": Job("MCSM, 1 student of 3 experts", f"mcsm.yaml {PLAIN} --model.losses [BalancedSoftmax]", 40, "ride"),
    "mcem": Job("MCEM", f"mcem.yaml {EXPERTS} --model.contrast.hidden 1024 --model.contrast.dim 1024", 60),
}


def run(name: str, way: str, epochs: int, root: str, work: Path, *more: str) -> dict[str, Any]:
    """Train, unless that is done, and say how long it took; the run that teaches comes first.

    Args:
        name: Of a job.
        way: One of :data:`WAYS`.
        epochs: Of the run.
        root: Folder of the official files.
        work: Folder of the runs.
        *more: Further flags.

    Returns:
        What a row of the table is made of.
    """
    job, folder = JOBS[name], work / f"{name}-{way}-{epochs}"
    words = shlex.split(f"--config configs/{job.words} --trainer.precision bf16-mixed --trainer.max_epochs {epochs}")
    words += ["--trainer.check_val_every_n_epoch", "1"] + (["--compile", way] if way != "plain" else [])
    words += more
    places: dict[str, str | Path] = {"--data.root": root, "--trainer.default_root_dir": folder}
    if job.taught:
        run(job.taught, "plain", epochs, root, work, *more)
        places["--model.teacher"] = work / f"{job.taught}-plain-{epochs}" / "last.ckpt"
    counted = ["--plugins", "benchmarks/noise.py", "--trainer.callbacks+=noise.Footprint"]
    command = [sys.executable, "-m", "lt_lightning", "fit", *words, *flags(places), *QUIET, *counted]
    if not is_finished(folder):
        shutil.rmtree(folder, ignore_errors=True)  # what began before would be compiled twice
    begin(words, folder)
    if not is_finished(folder):
        subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "WANDB_MODE": "disabled"})
    summary, env = (json.loads((folder / part).read_text()) for part in ("summary.json", "env.json"))
    return {
        "name": name,
        "way": way,
        "epochs": epochs,
        "command": made(folder)["command"],
        "seconds": summary["val"]["train_seconds"],
        "images a second": speed(folder / "metrics.csv"),
        "MiB": json.loads((folder / "footprint.json").read_text()),
        "acc": summary["val"]["last"]["acc"],
        "device": "CPU" if env["accelerator"] == "cpu" else env["devices"][0],
        "env": env,
    }


def speed(file: Path) -> float:
    """Images a second of training: the median of a run's epochs, of all if they are few."""
    with file.open() as rows:
        found = [float(row["train/img_per_s"]) for row in csv.DictReader(rows) if row.get("train/img_per_s")]
    return statistics.median(found[FIRST:] or found)


def table(results: dict[str, Any]) -> str:
    """Markdown: whole runs, and short ones; what was not run says so."""
    titles = ["method", "step", "epochs", "seconds", "goal", "images/s", "against plain", "MiB", "device", "commit"]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    epochs = sorted({row["epochs"] for row in results.values()} | {WHOLE}, reverse=True)
    for number in epochs:
        for name, job in JOBS.items():
            for way in WAYS:
                row, plain = (results.get(key(name, which, number)) for which in (way, "plain"))
                goal = f"{job.goal:g}" if number == WHOLE else "-"
                cells = ["not run"] * 6 if row is None else measured(row, plain)
                lines.append(f"| {' | '.join([job.title, way, str(number), cells[0], goal, *cells[1:]])} |")
    return "\n".join(lines)


def measured(row: dict[str, Any], plain: dict[str, Any] | None) -> list[str]:
    """Cells of a run, beside the same by plain steps."""
    faster = "not run" if plain is None else f"{row['images a second'] / plain['images a second']:.2f} x"
    memory = "-" if row["MiB"] is None else f"{row['MiB']:.0f}"
    return [f"{row['seconds']:.1f}", f"{row['images a second']:,.0f}", faster, memory, row["device"],
            row["env"]["commit"][:7]]  # fmt: skip


def key(name: str, way: str, epochs: int) -> str:
    """Of a run among the results."""
    return f"{name} {way} {epochs}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="folder of the official CIFAR-100 files")
    parser.add_argument("--work", type=Path, default=Path("runs/gpu"), help="folder of the runs")
    parser.add_argument("--only", nargs="+", choices=JOBS, default=[*JOBS], help="some methods alone")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=[*WAYS])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--out", type=Path, default=OUT, help="figures as JSON, beside those that are there")
    args = parser.parse_args()
    results: dict[str, Any] = json.loads(args.out.read_text()) if args.out.is_file() else {}
    for name in args.only:
        for way in args.ways:
            found = run(name, way, args.epochs, str(Path(args.root).absolute()), args.work.absolute())
            results[key(name, way, args.epochs)] = found
            args.out.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))
