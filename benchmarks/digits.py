"""Every part of MCSM on DigitsLT over several seeds: what each skill, the ensemble and distillation bring.

Run from the project's root: ``python benchmarks/digits.py --seeds 5 --out benchmarks/results/digits.json``. Every run
is the command ``lt`` on a shipped configuration; figures are those of its ``summary.json`` at the last epoch. Settings
are compared on validation; test figures are shown beside them.
"""

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trained import made, origin, trained_and_tested

from lt_lightning.methods import spread

MIX = {"class_path": "torchvision.transforms.v2.MixUp", "init_args": {"alpha": 1.0}}
MIXUP, PLAIN = ["--data.mix", json.dumps(MIX)], ["--data.mix", "null"]
DIVERSITY = "theory/div_kl"
SKILLS = ["CrossEntropy", "BalancedSoftmax", "InverseSoftmax"]


def learns(*losses: str) -> list[str]:
    """Flags over configs/ce.yaml: a model of these losses, trained on labels alone."""
    return ["--model.losses", json.dumps(losses)]


def distilled(level: str, space: str, temperature: float, skill: float, distill: float) -> list[str]:
    """Flags over configs/mcsm.yaml."""
    distillation = json.dumps({"class_path": level, "init_args": {"temperature": temperature, "space": space}})
    weights = ["--model.skill_weight", str(skill), "--model.distill_weight", str(distill)]
    return ["--model.distillation", distillation, *weights]


SINGLE, SIX = "balanced softmax", "6 x balanced softmax"
BASELINES = {  # trained on labels alone
    "cross-entropy": learns("CrossEntropy"),
    SINGLE: learns("BalancedSoftmax"),
    SIX: learns(*["BalancedSoftmax"] * 6),
    "students alone": learns(*SKILLS),
    "students alone, mixup": learns(*SKILLS) + MIXUP,
}
DISTILLED = {  # taught: the teacher, flags
    "member, aligned, T 2, 6 BS": (SIX, distilled("MemberDistillation", "Aligned", 2, 1, 1) + PLAIN),
    "member, aligned, T 2, 6 BS, mixup": (SIX, distilled("MemberDistillation", "Aligned", 2, 1, 1) + MIXUP),
    "ensemble, aligned, T 2, 6 BS, mixup": (SIX, distilled("EnsembleDistillation", "Aligned", 2, 1, 1) + MIXUP),
    "member, raw, T 2, 6 BS, mixup": (SIX, distilled("MemberDistillation", "Raw", 2, 1, 1) + MIXUP),
    "member, aligned, T 2, 1 BS, mixup": (SINGLE, distilled("MemberDistillation", "Aligned", 2, 1, 1) + MIXUP),
    "member, aligned, T 4, 6 BS, mixup": (SIX, distilled("MemberDistillation", "Aligned", 4, 1, 1) + MIXUP),
}


def figures(name: str, seed: int, work: Path) -> dict[str, Any]:
    """Train and test one run; its figures on validation and test at the last epoch."""
    teacher, flags = DISTILLED[name] if name in DISTILLED else ("", BASELINES[name])
    words = ["--config", f"configs/{'mcsm' if teacher else 'ce'}.yaml", *flags, "--seed_everything", str(seed)]
    taught = {"--model.teacher": work / f"{teacher}-{seed}" / "last.ckpt"} if teacher else {}
    folder = work / f"{name}-{seed}"
    summary = trained_and_tested(words, folder, taught)
    return {**{split: summary[split]["last"] for split in ("val", "test")}, "made": made(folder)}


def study(seeds: list[int], only: list[str], work: Path) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Run every variant on every seed; a teacher is shared by the students of its seed."""
    chosen = [name for name in DISTILLED if not only or any(word in name for word in only)]
    for seed in seeds:
        for name in (*BASELINES, *chosen):
            yield name, seed, figures(name, seed, work)


def table(results: dict[str, dict[str, Any]]) -> str:
    """Markdown: accuracy by group, each student's accuracy, and the split of the ensemble's NLL."""
    header = "| run | val all | test all | many | medium | few | members, test all | members' NLL - diversity = NLL |"
    lines = [header, "|---" * 8 + "|"]
    for name, by_seed in results.items():
        runs = list(by_seed.values())
        test = [run["test"] for run in runs]
        experts = sorted(k.removesuffix("/acc") for k in test[0] if re.fullmatch(r"expert\d+/acc", k))
        students = ", ".join(spread([t[f"{e}/acc"] for t in test]) for e in experts)
        cells = [spread([run["val"]["acc"] for run in runs])]
        cells += [spread([t[k] for t in test]) for k in ("acc", "acc_many", "acc_medium", "acc_few")]
        nll = f"{statistics.mean(t['nll'] for t in test):.3f}"
        if experts:
            members, diversity = (statistics.mean(column) for column in zip(*map(divided, test), strict=True))
            nll = f"{members:.3f} - {diversity:.3f} = {nll}"
        lines.append(f"| {name} | {' | '.join(cells)} | {students or '-'} | {nll} |")
    runs = [run for by_seed in results.values() for run in by_seed.values()]
    if any("expert1/nll" in run["test"] and DIVERSITY not in run["test"] for run in runs):
        lines += ["", "Diversity was not kept of these runs: what is shown is the members' NLL less the ensemble's."]
    return "\n".join(lines) + origin(runs)


def divided(test: dict[str, float]) -> tuple[float, float]:
    """The members' NLL and their diversity; older figures lack the latter, and get what the identity asks."""
    members = statistics.mean(v for k, v in test.items() if re.fullmatch(r"expert\d+/nll", k))
    return members, test.get(DIVERSITY, members - test["nll"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first_seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[], help="words in the names of distilled variants")
    parser.add_argument("--work", type=Path, help="folder of the runs; finished ones are used again")
    parser.add_argument("--out", type=Path, help="where to write the figures as JSON")
    parser.add_argument("--show", type=Path, help="print the table of figures written earlier, and stop")
    args = parser.parse_args()
    os.environ.setdefault("WANDB_MODE", "disabled")
    results: dict[str, dict[str, Any]] = {}
    if args.show:
        results = json.loads(args.show.read_text())
        print(table(results))
        sys.exit()
    with tempfile.TemporaryDirectory() as temporary:
        seeds = list(range(args.first_seed, args.first_seed + args.seeds))
        for name, seed, result in study(seeds, args.only, args.work or Path(temporary)):
            results.setdefault(name, {})[str(seed)] = result
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))
