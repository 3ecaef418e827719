"""What is fast and what is not, as ratios: ``make speed``.

Each row is a pair: ours and what it is held against, timed in turn in rounds of one process on one thread. A figure is
the median over rounds. The command fails where a goal is missed by more than a tenth.

    python benchmarks/run.py --suite steps loops --rounds 5 --out benchmarks/results/speed.json
"""

import lt_lightning  # noqa: F401  # first: it makes torchvision importable

# isort: split
import argparse
import json
import os
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import torch
from speed.augmenting import augmenting
from speed.looping import loops
from speed.measure import TOLERATED, Suite, machine, measure, shortfall, verdict
from speed.measuring import evaluation, losses
from speed.peers import peers
from speed.training import scale, steps, teaching, tried
from speed.validating import validating

from lt_lightning.allocator import keep_freed_memory

SUITES: dict[str, tuple[Suite, str]] = {
    "steps": (steps, "A training step"),
    "loops": (loops, "The loop around it"),
    "peers": (peers, "An epoch, data and all"),
    "augmenting": (augmenting, "Augmentation"),
    "teaching": (teaching, "A teacher"),
    "scale": (scale, "Growth"),
    "losses": (losses, "Losses"),
    "tried": (tried, "What was tried"),
    "evaluation": (evaluation, "Counts of an evaluation"),
    "validating": (validating, "A validation"),
}
"""Its pairs, and what a page calls it."""
FIGURES = {
    "Faster": ("{:.2f} x as fast", "at least {:g} x"),
    "Costs": ("{:.2f} x the cost", "at most {:g} x"),
    "Adds": ("{:+.2f} ms", "at most {:+g} ms"),
    "Takes": ("{:.2f} ms", "at most {:g} ms"),
}


def table(results: dict[str, Any]) -> str:
    """Markdown: all suites; one that was not run says so."""
    lines = ["| what | against | ours, ms | theirs, ms | figure (range) | goal | |", "|---" * 7 + "|"]
    for suite, (_, title) in SUITES.items():
        lines.append(f"| **{title}** | {'' if suite in results else 'not run'} | | | | | |")
        lines += [f"| {' | '.join(cells(row))} |" for row in results.get(suite, {"rows": []})["rows"]]
    return "\n".join(lines)


def cells(row: dict[str, Any]) -> list[str]:
    """Of a pair."""
    ours, theirs = (f"{row[side]['median']:.3g}" if row[side] else "-" for side in ("ours", "reference"))
    figure, goal = FIGURES[row["kind"]]
    spread = f"{figure.format(row['figure'])} ({row['lowest']:.2f}-{row['highest']:.2f})"
    asked = "-" if row["goal"] is None else goal.format(row["goal"])
    return [row["name"], row["against"], f"{ours} / {row['unit']}", theirs, spread, asked, verdict(row)]


def machine_table(results: dict[str, Any]) -> str:
    """Markdown: where and with what each suite was run."""
    titles = ["suite", "rounds", "cpu", "cores", "threads", "load", "python", "torch", "commit"]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for suite, found in results.items():
        values = {"suite": f"`{suite}`", "rounds": found["rounds"], **found["machine"]}
        lines.append(f"| {' | '.join(str(values[title]) for title in titles)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", nargs="+", choices=SUITES, default=[*SUITES], help="all by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", type=Path, help="folder of clones: LDAM-DRW, RIDE-LongTailRecognition")
    parser.add_argument("--out", type=Path, help="write the figures as JSON, beside those of other suites in it")
    args = parser.parse_args()

    os.environ["WANDB_MODE"] = "disabled"
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    keep_freed_memory()  # as the command does
    results: dict[str, Any] = json.loads(args.out.read_text()) if args.out and args.out.is_file() else {}
    for suite in args.suite:
        before = machine()
        build = partial(peers, args.peers) if suite == "peers" else SUITES[suite][0]
        rows = measure(build(), args.rounds)
        results[suite] = {"machine": before, "rounds": args.rounds, "rows": rows}
        for row in rows:
            print(" | ".join(cells(row)), flush=True)
        if args.out:
            args.out.write_text(json.dumps(results, indent=1) + "\n")
    return int(any(shortfall(row) > TOLERATED for suite in args.suite for row in results[suite]["rows"]))


if __name__ == "__main__":
    sys.exit(main())
