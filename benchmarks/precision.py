"""What bfloat16 does to accuracy: the same runs in float32 and in bf16-mixed, paired by seed, on DigitsLT.

python benchmarks/precision.py --seeds 5
"""

import argparse
import json
import os
import statistics
from pathlib import Path
from typing import Any

from trained import made, origin, trained_and_tested

from lt_lightning.methods import spread

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "precision.json"
METHODS = {"ce": "CE", "bs": "balanced softmax", "students": "three students, not taught"}
PRECISIONS = ("32-true", "bf16-mixed")


def run(method: str, precision: str, seed: int, work: Path) -> dict[str, Any]:
    """Train and test; figures of the test images at the last epoch."""
    folder = work / f"{method}-{precision}-{seed}"
    words = ["--config", f"configs/{method}.yaml", "--trainer.precision", precision, "--seed_everything", str(seed)]
    words += ["--trainer.accelerator", "cpu", "--plots.pictures", "false"]
    last = trained_and_tested(words, folder)["test"]["last"]
    return {**{name: last[name] for name in ("acc", "acc_few", "nll")}, "made": made(folder)}


def table(results: dict[str, Any]) -> str:
    """Markdown: both precisions, and their difference, paired by seed."""
    titles = ["method", *(f"{group}, {precision}" for group in ("all", "few") for precision in PRECISIONS)]
    titles += ["difference of all, points", "seeds"]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for method, title in METHODS.items():
        of = [results["runs"][method][precision] for precision in PRECISIONS]
        gains = [100 * (b["acc"] - a["acc"]) for a, b in zip(*of, strict=True)]
        error = statistics.stdev(gains) / len(gains) ** 0.5
        cells = [spread([run[name] for run in runs]) for name in ("acc", "acc_few") for runs in of]
        cells += [f"{statistics.mean(gains):+.1f} ± {error:.1f}", str(len(gains))]
        lines.append(f"| {' | '.join([title, *cells])} |")
    runs = [run for of in results["runs"].values() for seeds in of.values() for run in seeds]
    return "\n".join(lines) + origin(runs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--work", type=Path, default=Path("runs/precision"), help="folder of the runs")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    os.environ.setdefault("WANDB_MODE", "disabled")
    runs = {
        method: {precision: [run(method, precision, seed, args.work) for seed in range(args.seeds)]
                 for precision in PRECISIONS}
        for method in METHODS
    }  # fmt: skip
    args.out.write_text(json.dumps({"runs": runs}, indent=1) + "\n")
    print(table({"runs": runs}))
