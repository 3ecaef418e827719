"""CIFAR-100-LT, imbalance 100, in a budget that a CPU can pay: who is accurate where, who is diverse, what that gains.

``python benchmarks/cifar.py --root DIR --work runs/cifar`` trains and tests every run that is not there yet, 15 epochs
and one seed each, and writes the figures to ``benchmarks/results/cifar100_lt``; without ``--root`` it prints the tables
of the figures that are there. Every run is the command ``lt`` on shipped configurations with the flags named here.
Figures are those of the last epoch on the 10,000 test images; nothing was chosen on them.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from trained import made, origin, trained_and_tested

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "cifar100_lt"
SINGLE, EXPERTS = "cifar100_lt", "cifar100_lt_experts"
"""True ResNet-32, alone or several independent; experts on a shared trunk of reduced width."""
THREE_CE = '["CrossEntropy", "CrossEntropy", "CrossEntropy"]'
WIDE_HEADS = ["--model.contrast.hidden", "1024", "--model.contrast.dim", "1024"]


def distilled(teacher: str, space: str) -> tuple[str, str, list[str], str]:
    """One of the four cells of MCSM: member-wise, T 2, weights .5 and .5, without mixup."""
    distillation = {"class_path": "MemberDistillation", "init_args": {"temperature": 2.0, "space": space}}
    flags = ["--model.distillation", json.dumps(distillation), "--data.mix", "null"]
    return "mcsm", SINGLE, [*flags, "--model.skill_weight", "0.5", "--model.distill_weight", "0.5"], teacher


RUNS: dict[str, tuple[str, str, list[str], str]] = {  # title: configuration, overlay, flags, run that teaches
    "CE": ("ce", SINGLE, [], ""),
    "BS": ("bs", SINGLE, [], ""),
    "CE x 3": ("sade", EXPERTS, ["--model.losses", THREE_CE], ""),
    "RIDE": ("ride", EXPERTS, [], ""),
    "SADE": ("sade", EXPERTS, [], ""),
    "SADE, skills halved": ("sade", EXPERTS, ["--model.skill_weight", "0.5"], ""),
    "BalPoE": ("balpoe", EXPERTS, ["--model.backbone", "resnet32"], ""),
    "students alone": ("students", SINGLE, [], ""),
    "MCSM, BS teacher, aligned": distilled("BS", "Aligned"),
    "MCSM, BS teacher, raw": distilled("BS", "Raw"),
    "MCSM, CE teacher, aligned": distilled("CE", "Aligned"),
    "MCSM, CE teacher, raw": distilled("CE", "Raw"),
    "MCEM, SupSiam": ("mcem", EXPERTS, WIDE_HEADS, ""),
    "MCEM, SupCon": ("mcem_supcon", EXPERTS, [], ""),
    "MCEM, BCL": ("mcem_bcl", EXPERTS, [], ""),
}
SPLITS = ("many", "medium", "few")


def file_name(title: str) -> str:
    """Of a run's folder and figures."""
    return title.lower().replace(", ", "_").replace(" ", "_")


def run(title: str, root: str, work: Path) -> dict[str, Any]:
    """Train and test a run; what is kept of it."""
    config, overlay, flags, teacher = RUNS[title]
    configs = [f"configs/{config}.yaml", f"configs/on/{overlay}.yaml", "configs/on/short.yaml"]
    words = [*(word for path in configs for word in ("--config", path)), *flags]
    taught = {"--model.teacher": work / file_name(teacher) / "last.ckpt"} if teacher else {}
    folder = work / file_name(title)
    summary = trained_and_tested(words, folder, {"--data.root": root, **taught})
    del summary["test"]["checkpoint"]  # a place on this machine
    kept = {key: summary[key] for key in ("model", "losses", "seed", "params", "macs", "test")}
    return {**kept, "made": made(folder)}


def study(root: str, work: Path) -> None:
    """Train and test what is not there yet."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    for title in RUNS:
        found, file = run(title, root, work), RESULTS / f"{file_name(title)}.json"
        if not file.is_file():
            file.write_text(json.dumps(found, indent=1) + "\n")


def measured() -> dict[str, dict[str, Any]]:
    """Figures of the runs that are there, by title."""
    files = {title: RESULTS / f"{file_name(title)}.json" for title in RUNS}
    return {title: json.loads(file.read_text()) for title, file in files.items() if file.is_file()}


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _table(titles: list[str], rows: list[list[str]]) -> str:
    return "\n".join([_row(*titles), "|---" * len(titles) + "|", *(_row(*row) for row in rows)])


def accuracy_table() -> str:
    """Markdown: accuracy of each run, and of its members, by group; what a known test prior gives."""
    rows = []
    results = measured()
    for title in RUNS:
        if title not in results:
            rows.append([title, *["not run"] * 8])
            continue
        run, t = results[title], results[title]["test"]["last"]
        cells = [f"{100 * t[key]:.1f}" for key in ("acc", *(f"acc_{s}" for s in SPLITS))]
        members = (
            ", ".join(f"{100 * t[f'expert{m + 1}/acc']:.1f}" for m in range(len(run["losses"])))
            if "expert1/acc" in t
            else "-"
        )
        priors = [
            f"{100 * t[f'{prior}/acc']:.1f} ({100 * t[f'{prior}/acc_known']:.1f})"
            for prior in ("forward50", "backward50")
        ]
        rows.append([title, *cells, members, f"{100 * t['uniform/acc_known']:.1f}", *priors])
    titles = [
        "run",
        "all",
        "many (35)",
        "medium (35)",
        "few (30)",
        "members",
        "prior corrected",
        "forward 50",
        "backward 50",
    ]
    return _table(titles, rows) + origin([*results.values()])


def theory_table() -> str:
    """Markdown: members' NLL less their diversity is the ensemble's, by split; errors and disagreement."""
    rows = []
    for title, run in measured().items():
        t = {k.removeprefix("theory/"): v for k, v in run["test"]["last"].items() if k.startswith("theory/")}
        if t:
            nll = [
                f"{t[f'nll_avg{s}']:.3f} - {t[f'div_kl{s}']:.3f} = {t[f'nll_ens{s}']:.3f}"
                for s in ("", *(f"_{s}" for s in SPLITS))
            ]
            gap = max(abs(v) for k, v in t.items() if "gap_check" in k)
            errors = [
                f"{100 * t[k]:.1f}"
                for k in ("err_avg", "err_ens", "div_good", "div_bad", "double_fault", "dis_correct", "oracle_err")
            ]
            rows.append([title, *nll, *errors, f"{gap:.0e}"])
    titles = ["run", "NLL: members - diversity = ensemble", "many", "medium", "few"]
    titles += ["members' error", "ensemble's", "good", "bad", "double fault", "disagree", "all wrong", "largest gap"]
    return _table(titles, rows)


LONGER = {
    "ce": "CE",
    "bs": "BS",
    "ce128": "CE, batch 128",
    "teacher": "BS, batch 128: the teacher",
}


def longer_table() -> str:
    """Markdown: 30 epochs of MCSM and of what its students would be alone."""
    names = ("acc", *(f"acc_{s}" for s in SPLITS), "nll", "ece")

    def row(title: str, figures: dict[str, float], prefix: str = "") -> list[str]:
        values = {name: figures[f"{prefix}{name}"] for name in names}
        return [title, *(f"{v:.3f}" if name == "nll" else f"{100 * v:.1f}" for name, v in values.items())]

    folder = RESULTS.with_name("cifar100_lt_short")
    last = {path.stem: json.loads(path.read_text())["val"]["last"] for path in sorted(folder.glob("*.json"))}
    rows = [row(title, last[name]) for name, title in LONGER.items()]
    rows += [row(f"MCSM, student {m}", last["mcsm"], f"expert{m}/") for m in (1, 2, 3)]
    return _table(["run", "all", "many", "medium", "few", "NLL", "ECE"], [*rows, row("MCSM", last["mcsm"])])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", help="folder of the official CIFAR-100 files; trains what is missing")
    parser.add_argument("--work", type=Path, default=Path("runs/cifar"), help="folder of the runs")
    args = parser.parse_args()
    if args.root:
        study(args.root, args.work)
    print(f"{accuracy_table()}\n\n{theory_table()}")
