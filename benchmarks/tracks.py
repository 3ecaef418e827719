"""The field's figures on CIFAR-100-LT, imbalance 100, again: ``make reproduce ROOT=DIR``.

Methods are compared within a track (docs/fair.md): a network size and a schedule. Every run is the command ``lt`` on
shipped configurations; ``--budget full`` is the published recipe over three seeds, which wants a GPU, ``--budget
short`` 15 epochs of one seed, which a CPU can pay and which says little of the published figures. What is trained is
not trained again. Of each run ``benchmarks/results/tracks`` keeps what its ``summary.json`` and ``env.json`` say, the
hash of its last checkpoint and its log, and of these alone docs/results.md is made (``make tables``).
"""

import argparse
import csv
import hashlib
import json
import os
import shlex
import shutil
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from trained import made, trained_and_tested

from lt_lightning.methods import spread

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "tracks"
BUDGETS = {"full": ("", 3), "short": ("--config configs/on/short.yaml", 1)}
"""What is added to a recipe, and how many seeds."""
TOLERANCE = 0.5
"""Points beyond a published range that count as reproduced."""


class Row(NamedTuple):
    """A method in a track.

    Attributes:
        title: What it is called.
        words: Configurations and flags after ``lt fit --config configs/``.
        published: Lowest and highest published figure of this recipe, in %; none where there is none.
        source: Whose.
        taught: The row whose run teaches.
    """

    title: str
    words: str
    published: tuple[float, float] | None
    source: str
    taught: str = ""


PLAIN, EXPERTS = "--config configs/on/cifar100_lt.yaml", "--config configs/on/cifar100_lt_experts.yaml"
AA200, AA400 = "--config configs/on/cifar100_lt_aa200.yaml", "--config configs/on/cifar100_lt_aa400.yaml"
PROCO = (
    "--model.classifier linear --model.contrast.temperature 0.1 --model.contrast.dim 128 --data.batch_size 256"
    " --optimizer.lr 0.3 --optimizer.weight_decay 2e-4 --optimizer.nesterov false --data.view_augment '[{class_path:"
    " RandomResizedCrop, init_args: {scale: [0.08, 1.0]}}, RandomHorizontalFlip, ColorJitter, RandomGrayscale]'"
)
HYPOTHESIS = "our hypothesis"
TRACKS: dict[str, tuple[str, dict[str, Row]]] = {
    "A": (
        "one true ResNet-32, 200 epochs, crop and flip",
        {
            "ce": Row("CE", f"ce.yaml {PLAIN}", (38.3, 40.3), "BagofTricks, OpenLT"),
            "bs": Row("balanced softmax", f"bs.yaml {PLAIN}", (45.0, 46.5), "OpenLT 46.5; BagofTricks 43.0"),
            "ldam_drw": Row("LDAM-DRW", f"ldam_drw.yaml {PLAIN}", (42.0, 42.9), "authors, BagofTricks, OpenLT"),
        },
    ),
    "B": (
        "one true ResNet-32, 200 epochs, AutoAugment and cutout",
        {
            "bs_aa200": Row("balanced softmax", f"bs.yaml {AA200}", None, ""),
            "proco": Row("ProCo", f"proco.yaml {AA200} {PROCO}", (52.8, 52.8), "authors"),
        },
    ),
    "C": (
        "one true ResNet-32, 400 epochs, AutoAugment and cutout",
        {
            "bs_aa400": Row("balanced softmax", f"bs.yaml {AA400}", (50.8, 50.8), "BALMS, batches of 512"),
            "mcsm_plus": Row("MCSM+", "mcsm.yaml --config configs/on/cifar100_lt_mcsm_plus.yaml", (55.5, 100.0),
                             HYPOTHESIS, taught="mcem_plus"),
        },
    ),
    "D": (
        "up to three experts, 0.8 to 1.4 M parameters; 200 epochs plain, or 400 (as said) with AutoAugment and cutout",
        {
            "ride": Row("RIDE", f"ride.yaml {EXPERTS}", (48.0, 48.6), "authors, SADE"),
            "sade": Row("SADE", f"sade.yaml {EXPERTS}", (49.8, 49.8), "authors"),
            "mcsm": Row("MCSM, 3 students", f"mcsm.yaml {PLAIN}", None, "", taught="bs"),
            "mcem": Row("MCEM", f"mcem.yaml {EXPERTS} --model.contrast.hidden 1024 --model.contrast.dim 1024",
                        (50.9, 50.9), "MCE"),
            "balpoe": Row("BalPoE, 400", f"balpoe.yaml {AA400} --model.shared_stages 1", (55.9, 55.9),
                          "secondary source"),
            "mdcs": Row("MDCS, 400", "mdcs.yaml --config configs/on/cifar100_lt_mdcs.yaml", (56.1, 56.1), "authors"),
            "mcem_plus": Row("MCEM+, 400", "mdcs.yaml --config configs/on/cifar100_lt_mcem_plus.yaml", (57.5, 100.0),
                             HYPOTHESIS),
        },
    ),
}  # fmt: skip


def rows(tracks: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """Keys and rows of some tracks, those that teach before those that are taught."""
    found = {key: row for track in tracks for key, row in TRACKS[track][1].items()}
    yield from sorted(found.items(), key=lambda item: bool(item[1].taught))


def everything() -> dict[str, Row]:
    """All rows, by key."""
    return {key: row for _, of_track in TRACKS.values() for key, row in of_track.items()}


def words(key: str, seed: int, budget: str, more: str = "") -> list[str]:
    """What follows ``lt fit`` to train a row, with more of one's own, without places on this machine."""
    row = everything()[key]
    return [*shlex.split(f"--config configs/{row.words} {BUDGETS[budget][0]} {more}"), "--seed_everything", str(seed)]


def places(key: str, seed: int, root: str, work: Path) -> dict[str, str | Path]:
    """The flags that name places."""
    row = everything()[key]
    taught = {"--model.teacher": work / f"{row.taught}-{seed}" / "last.ckpt"} if row.taught else {}
    return {"--data.root": root, **taught}


def run(key: str, seed: int, budget: str, root: str, work: Path, more: str = "") -> None:
    """Train and test a row with a seed, the run that teaches it first, and keep its figures; unless that is done."""
    if taught := everything()[key].taught:
        run(taught, seed, budget, root, work, more)
    folder, file = work / f"{key}-{seed}", RESULTS / budget / f"{key}-{seed}.json"
    summary = trained_and_tested(words(key, seed, budget, more), folder, places(key, seed, root, work))
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / "metrics.csv", file.with_suffix(".csv"))
        file.write_text(json.dumps(figures(folder, summary), indent=1) + "\n")


def figures(folder: Path, summary: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a run, without the paths of the machine that it ran on."""
    last, checkpoint, of_run = summary["test"]["last"], (folder / "last.ckpt").read_bytes(), made(folder)
    return {
        "command": of_run["command"],
        "cpu": of_run["cpu"],
        "precision": yaml.safe_load((folder / "config.yaml").read_text())["trainer"]["precision"] or "32-true",
        "seed": summary["seed"],
        "params": summary["params"],
        "macs": summary["macs"],
        "last": {name: last[name] for name in last if name.startswith("acc") or name in ("nll", "ece")},
        "best": summary["val"]["best"]["acc"],
        "selected_on": summary["val"]["selected_on"],
        "last.ckpt": f"sha256:{hashlib.sha256(checkpoint).hexdigest()}",
        "env": json.loads((folder / "env.json").read_text()),
    }


def kept(file: Path) -> dict[str, Any]:
    """What was kept of a run, and how many times its log says that it was validated."""
    with file.with_suffix(".csv").open(newline="") as log:
        return {**json.loads(file.read_text()), "validations": sum(row["val/acc"] != "" for row in csv.DictReader(log))}


def table(budget: str) -> str:
    """Markdown: all tracks, within a budget, with the commands; a row that was not run says so."""
    titles = ["method", "all", "many", "medium", "few", "best epoch (chosen on test)", "published", "reproduced"]
    titles += ["M params", "M MACs", "precision", "seeds", "commit"]
    lines = []
    for track, (title, of_track) in TRACKS.items():
        lines += [f"**Track {track}**: {title}", "", f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
        commands = []
        for key, row in of_track.items():
            runs = [kept(file) for file in sorted((RESULTS / budget).glob(f"{key}-*.json"))]
            lines.append(f"| {' | '.join([row.title, *cells(row, runs, budget)])} |")
            commands += [run["command"] for run in runs]
        lines += ["", *(["```text", *commands, "```", ""] if commands else [])]
    return "\n".join(lines[:-1])


def cells(row: Row, runs: list[dict[str, Any]], budget: str) -> list[str]:
    """A row's cells after its title."""
    low, high = row.published or (0.0, 0.0)
    known = (
        f"{low:g}" if low == high else f"at least {low:g}" if high == 100 else f"{low:g}-{high:g}"
    ) + f" ({row.source})"
    published = known if row.published else "none"
    if not runs:
        return [*["not run"] * 5, published, "not run", *["not run"] * 5]
    accuracy = [spread([run["last"][f"acc{group}"] for run in runs]) for group in ("", "_many", "_medium", "_few")]
    mean = 100 * statistics.mean(run["last"]["acc"] for run in runs)
    verdict = "yes" if low - TOLERANCE <= mean <= high + TOLERANCE else "above" if mean > high else "no"
    compared = verdict if row.published and budget == "full" else "-"
    cost = [f"{runs[0][name] / 1e6:.{digits}f}" for name, digits in (("params", 2), ("macs", 0))]
    commits = sorted({str(run["env"].get("commit"))[:7] for run in runs})
    precisions = ", ".join(sorted({run["precision"] for run in runs}))
    chosen = all(run["validations"] > 1 for run in runs)  # of one epoch there is none to choose
    best = spread([run["best"] for run in runs]) if chosen else "-"
    return [*accuracy, best, published, compared, *cost, precisions, str(len(runs)), ", ".join(commits)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="folder of the official CIFAR-100 files")
    parser.add_argument("--work", type=Path, default=Path("runs/tracks"), help="folder of the runs")
    parser.add_argument("--track", nargs="+", choices=TRACKS, default=[*TRACKS])
    parser.add_argument("--only", nargs="+", choices=everything(), help="some rows alone")
    parser.add_argument("--seeds", type=int, help="3 in the full budget, 1 in the short one")
    parser.add_argument("--budget", choices=BUDGETS, default="full" if torch.cuda.is_available() else "short")
    parser.add_argument("--more", default="", help="added to each command, as '--trainer.precision bf16-mixed'")
    args = parser.parse_args()
    os.environ.setdefault("WANDB_MODE", "disabled")
    for seed in range(args.seeds or BUDGETS[args.budget][1]):
        for key, _ in rows(args.track):
            if not args.only or key in args.only:
                run(key, seed, args.budget, args.root, args.work / args.budget, args.more)
    print(table(args.budget))
