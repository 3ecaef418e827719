"""Folders of runs that never were: as many classes as asked for, with all that a run leaves to be drawn."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lt_lightning.plots.top_losses import write_strip
from lt_lightning.tail import group

LOSSES = ["CrossEntropy", "BalancedSoftmax", "InverseSoftmax"]
NAMES = ["oak", "Araneus diadematus (European garden spider)", "山猫", "caf\udce9", "$x_1$"]
NAMES += ["<script>alert(1)</script>", "", "a\nb\x1b[31m"]
"""Names of the first classes, if there are so many; others are called ``class 8`` and so on."""
MANY, FEW, EPOCHS = 100, 20, 30


def class_names(classes: int) -> list[str]:
    return [
        *NAMES[: classes if classes > 3 else 0],
        *(f"class {c}" for c in range(len(NAMES) if classes > 3 else 0, classes)),
    ][:classes]


def write_run(folder: Path, classes: int, members: int = 3, per_class: int = 10, split: str = "test") -> Path:
    """Write a run of an ensemble that is better at classes of more images.

    Args:
        folder: Where; it is made.
        classes: Classes C.
        members: Members of the ensemble; 1 is a single model.
        per_class: Test images of each class.
        split: What it was measured on.
    """
    rng = np.random.default_rng(classes)
    (folder / "plots").mkdir(parents=True)
    largest = 500 if classes < 5000 else 1000
    counts = [round(largest * 0.01 ** (c / max(classes - 1, 1))) for c in range(classes)]
    names, level = class_names(classes), np.log(np.array(counts) / min(counts)) / np.log(100)
    chance = {"": 0.3 + 0.4 * level, "1": 0.05 + 0.75 * level, "2": 0.25 + 0.4 * level, "3": 0.55 - 0.5 * level}
    target = np.repeat(np.arange(classes), per_class)
    right = rng.random(len(target)) < chance[""][target]
    drift = (target * rng.random(len(target)) ** 0.5).astype(int)  # mistakes go to classes of more images
    predicted = np.where(right, target, np.where(drift == target, (target + 1) % classes, drift))
    hits = predicted == target
    acc = {"acc": [float(hits[target == c].mean()) for c in range(classes)]}
    for m in range(1, members + 1 if members > 1 else 1):
        p = chance[str((m - 1) % 3 + 1)]
        acc[f"expert{m}/acc"] = (rng.binomial(per_class, p) / per_class).tolist()
    groups = [group(n, MANY, FEW) for n in counts]
    rows = [
        {
            "split": split,
            "class": c,
            "name": names[c],
            "train_images": counts[c],
            "group": groups[c],
            "images": per_class,
        }
        | {name: values[c] for name, values in acc.items()}
        for c in range(classes)
    ]
    _write(folder / "per_class.csv", rows)
    figures: dict[str, float] = {"nll": 2.1, "ece": 0.05}
    for name, values in acc.items():
        prefix = name.removesuffix("acc")
        of = {g: [v for v, k in zip(values, groups, strict=True) if k == g] for g in ("many", "medium", "few")}
        figures |= {f"{prefix}acc": float(np.mean(values)), f"{prefix}bal_acc": float(np.mean(values))}
        figures |= {f"{prefix}acc_{g}": float(np.mean(v)) for g, v in of.items() if v}
        figures |= {f"{prefix}nll": 2.1, f"{prefix}ece": 0.05}
    pairs, images = np.unique(target * classes + predicted, return_counts=True)
    _write(
        folder / "plots" / f"pairs_{split}.csv",
        [
            {"target": int(p) // classes, "predicted": int(p) % classes, "images": int(n)}
            for p, n in zip(pairs, images, strict=True)
        ],
    )
    _write(folder / "plots" / f"reliability_{split}.csv", _bins(hits, [groups[t] for t in target], rng))
    _write(
        folder / "plots" / f"top_losses_{split}.csv",
        [
            {
                "image": f"{i}.png",
                "target": names[i % classes],
                "predicted": names[(i + 1) % classes],
                "probability": 0.99 - i / 100,
                "loss": 12 - i / 4,
            }
            for i in range(32)
        ],
    )
    write_strip(folder / "plots" / f"top_losses_{split}.ppm", rng.integers(0, 255, (32, 32, 32, 3)).astype(np.uint8))
    _write(folder / "metrics.csv", _epochs(members))
    losses = [LOSSES[m % 3] for m in range(members)]
    summary = {
        "model": "StudentEnsemble", "losses": losses, "data": "FolderLT", "seed": 0, "train_images": sum(counts),
        "thresholds": {"many": MANY, "few": FEW}, "groups": {g: groups.count(g) for g in dict.fromkeys(groups)},
        "params": 1409712, "macs": 206605056,
        split: {"last": figures, "selected_on": None, "checkpoint": "last.ckpt"},
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "config.yaml").write_text("model:\n  class_path: StudentEnsemble\n")
    return folder


def _bins(hits: NDArray[np.bool_], groups: list[str], rng: np.random.Generator) -> list[dict[str, Any]]:
    sure = np.clip(np.where(hits, rng.beta(4, 1.5, len(hits)), rng.beta(2, 2, len(hits))), 0, 0.999)
    rows = []
    for name in ["all", *(g for g in ("many", "medium", "few") if g in groups)]:
        of = np.array([name in ("all", g) for g in groups])
        for b in range(15):
            inside = of & (np.floor(sure * 15) == b)
            means = (float(sure[inside].mean()), float(hits[inside].mean())) if inside.any() else (None, None)
            row = {"group": name, "low": b / 15, "high": (b + 1) / 15, "images": int(inside.sum())}
            rows.append(row | dict(zip(("confidence", "accuracy"), means, strict=True)))
    return rows


def _epochs(members: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for epoch in range(EPOCHS):
        done = (epoch + 1) / EPOCHS
        rows.append({"epoch": epoch, "step": 10 * epoch, "train/loss": 4 - 3 * done**0.5, "train/lr": 0.1 * (1 - done),
                     "train/img_per_s": 900 + 50 * (epoch % 3)})  # fmt: skip
        val = {
            "val/acc": 0.5 * done,
            "val/acc_many": 0.7 * done,
            "val/acc_medium": 0.5 * done,
            "val/acc_few": 0.3 * done**2,
        }
        val |= {"val/nll": 4 - 2 * done}
        if members > 1:
            val |= {"val/theory/nll_avg": 4 - done, "val/theory/nll_ens": 4 - 2 * done, "val/theory/div_kl": done}
            val |= {
                f"val/theory/{q}{s}": k * done
                for q in ("div_kl", "dis_label")
                for k, s in ((0.6, "_many"), (0.7, "_medium"), (0.9, "_few"))
            }
            val |= {"val/theory/dis_label": 0.5 * done, "val/agreement": 0.8 * done, "val/agreement_few": 0.4 * done}
            val |= {f"val/expert{m}/agreement": (0.9 - 0.2 * m) * done for m in range(1, min(members, 4) + 1)}
        rows.append({"epoch": epoch, "step": 10 * epoch, **val})
    return rows


def _write(file: Path, rows: list[dict[str, Any]]) -> None:
    with file.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        writer = csv.DictWriter(stream, list(dict.fromkeys(k for row in rows for k in row)))
        writer.writeheader()
        writer.writerows(rows)
