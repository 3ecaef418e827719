"""All shipped methods on DigitsLT over several seeds: accuracy by group, as one table.

Run from the project's root: ``make methods``, or ``python benchmarks/methods.py --seeds 5``. Every run is the command
``lt`` on a shipped configuration, nothing else; figures are those of its ``summary.json`` at the last epoch. Methods
that begin with a teacher or a first stage take the run of that configuration and seed. ``--show FILE`` prints the table
of figures measured earlier.
"""

import argparse
import json
import os
import re
import statistics
import sys
from pathlib import Path
from typing import Any

from trained import made, origin, trained_and_tested

from lt_lightning.methods import Method, methods, spread

ROOT = Path(__file__).parents[1]
STAGES = ("teacher", "first_stage")
"""Arguments of models that name the configuration of an earlier stage."""

KEPT = re.compile(r"(expert\d+/)?acc|nll|ece|theory/(nll_avg|nll_ens|div_kl)$|(forward50|backward50|uniform)/")
"""How the names of figures begin that are kept."""

Figures = dict[str, dict[str, Any]]  # by seed


def earlier_stage(config: Path) -> tuple[str, str] | None:
    """The argument that names an earlier stage, and its configuration."""
    lines = (line.split("#")[0].strip().partition(": ") for line in config.read_text().splitlines())
    return next(((key, value.removesuffix(".yaml")) for key, _, value in lines if key in STAGES), None)


def run(name: str, seed: int, work: Path) -> dict[str, Any]:
    """Train and test one method with one seed, its earlier stage first; what there is of it is used again."""
    folder, earlier = work / f"{name}-{seed}", dict[str, Path]()
    if stage := earlier_stage(ROOT / "configs" / f"{name}.yaml"):
        run(stage[1], seed, work)
        earlier = {f"--model.{stage[0]}": work / f"{stage[1]}-{seed}" / "last.ckpt"}
    words = ["--config", f"configs/{name}.yaml", "--seed_everything", str(seed)]
    summary = trained_and_tested(words, folder, earlier)
    kept = {split: {k: v for k, v in summary[split]["last"].items() if KEPT.match(k)} for split in ("val", "test")}
    return {**kept, "params": summary["params"], "made": made(folder)}


def study(names: list[str], seeds: range, work: Path, out: Path) -> dict[str, Figures]:
    """Run every method on every seed; figures are written after each run."""
    results: dict[str, Figures] = json.loads(out.read_text()) if out.is_file() else {}
    for seed in seeds:
        for name in names:
            results.setdefault(name, {})[str(seed)] = run(name, seed, work)
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    return results


def table(results: dict[str, Figures], known: list[Method]) -> str:
    """Markdown: one row a method, from the best on validation down."""
    titles = ["method", "`configs/`", "val all", "test all", "many (2)", "medium (3)", "few (5)"]
    titles += ["NLL", "diversity", "M params"]
    rows = []
    for m in known:
        if runs := list(results.get(m.config, {}).values()):
            accuracy = [spread([run["val"]["acc"] for run in runs])]
            accuracy += [
                spread([run["test"][f"acc{group}"] for run in runs]) for group in ("", "_many", "_medium", "_few")
            ]
            nll, diversity = (_mean(runs, name, 3) for name in ("nll", "theory/div_kl"))
            row = [m.name, f"{m.config}.yaml", *accuracy, nll, diversity, f"{runs[0]['params'] / 1e6:.2f}"]
            rows.append((statistics.mean(run["val"]["acc"] for run in runs), row))
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    lines += [f"| {' | '.join(row)} |" for _, row in sorted(rows, reverse=True)]
    return "\n".join(lines) + origin([run for m in known for run in results.get(m.config, {}).values()])


def _mean(runs: list[dict[str, Any]], name: str, digits: int) -> str:
    values = [run["test"][name] for run in runs if name in run["test"]]
    return f"{statistics.mean(values):.{digits}f}" if values else "-"


if __name__ == "__main__":
    known = methods(ROOT / "configs")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first_seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[m.config for m in known], help="names of configurations")
    parser.add_argument("--work", type=Path, default=Path("runs/methods"), help="folder of the runs")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "methods.json")
    parser.add_argument("--show", type=Path, help="print the table of figures measured earlier, and stop")
    args = parser.parse_args()
    os.environ.setdefault("WANDB_MODE", "disabled")
    if args.show:
        print(table(json.loads(args.show.read_text()), known))
        sys.exit()
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    print(table(study(args.only, seeds, args.work, args.out), known))
