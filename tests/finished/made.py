"""Folders of runs, made without training."""

import csv
import json
from pathlib import Path

import numpy as np
import yaml

COUNTS = [100, 40, 5, 2]
GROUPS = ["many", "medium", "few", "few"]


def make_run(folder: Path, seed=0, predicted=None, target=None, loss="CrossEntropy", tested="last", **summary) -> Path:
    """A run on four classes whose figures follow from its predictions."""
    target = np.repeat([0, 1, 2, 3], 5) if target is None else np.asarray(target)
    predicted = target if predicted is None else np.asarray(predicted)
    folder.mkdir(parents=True)
    by_class = [float((predicted == target)[target == c].mean()) for c in range(4)]
    figures = {"acc": float((predicted == target).mean()), "acc_many": by_class[0], "acc_medium": by_class[1]}
    figures |= {"acc_few": (by_class[2] + by_class[3]) / 2, "bal_acc": sum(by_class) / 4, "macro_f1": 0.5}
    figures |= {"nll": 1.25, "ece": 0.125}
    val = {"epoch": 4, **figures, "acc": figures["acc"] / 2}
    said = {"model": "Teacher", "losses": [loss], "data": "FourClasses", "seed": seed, "train_images": sum(COUNTS)}
    said |= {"groups": {"many": 1, "medium": 1, "few": 2}, "params": 1000, "macs": 20000}
    said |= {"val": {"last": val, "best": val, "selected_on": "validation", "train_seconds": 10.0 + seed}}
    if tested:
        checkpoint = str(folder / f"{tested}.ckpt")
        said["test"] = {"checkpoint": checkpoint, "selected_on": None, "images": "digest", "last": figures}
    (folder / "summary.json").write_text(json.dumps(said | summary))
    config = {
        "seed_everything": seed,
        "trainer": {"default_root_dir": str(folder), "max_epochs": 5},
        "model": {"class_path": "lt_lightning.modules.Teacher", "init_args": {"losses": [{"class_path": loss}]}},
        "data": {"class_path": "FourClasses", "init_args": {"batch_size": 64, "num_workers": seed}},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    with (folder / "per_class.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["split", "class", "name", "train_images", "group", "acc"])
        for split in ("val", "test")[: 2 if tested else 1]:
            writer.writerows([split, c, f"class {c}", COUNTS[c], GROUPS[c], by_class[c]] for c in range(4))
    if tested:
        rows = "".join(f"{t},{p}\n" for t, p in zip(target, predicted, strict=True))
        (folder / "per_image.csv").write_text("target,predicted\n" + rows)
    return folder


def edit(file: Path, **changes) -> None:
    """Change what a JSON file says."""
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
