"""Anyone's own images, in six layouts, a command each; and what `fit` says of data that are wrong."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from commands import QUIET, ROOT, fit, load, refusal
from trees import COUNTS, save, tree

from lt_lightning.commands import main

SMALL = ["--data.size", "16", "--model.backbone", "resnet8", "--data.num_workers", "0", "--data.batch_size", "8"]
OWN = ["--config", str(ROOT / "configs" / "on" / "own_images.yaml"), *SMALL]
STEP = ["--trainer.max_epochs", "1", "--trainer.check_val_every_n_epoch", "1"]


def by_splits(root: Path) -> list[str]:
    for part, start in (("train", 0), ("val", 100), ("test", 200)):
        tree(root / part, start=start)
    shutil.rmtree(root / "test" / "zebra")  # a class that testing lacks
    return ["--data.root", str(root)]


def table(root: Path, ids: bool) -> list[str]:
    files = sorted(path.relative_to(root) for path in tree(root).glob("*/*.jpg"))
    names = sorted(COUNTS)
    with (root / "images.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image_path", "label"])
        writer.writerows([path, names.index(path.parent.name) if ids else path.parent.name] for path in files)
    return ["--data", "TableLT", "--data.file", str(root / "images.csv")]


def nested(root: Path) -> list[str]:
    for c, (name, count) in enumerate(COUNTS.items()):
        for i in range(count):
            save(root / "animals" / name / f"{2000 + i % 2}" / f"{i}.png", 1000 * c + i)
    return ["--data.root", str(root), "--data.depth", "2"]


def odd_names(root: Path) -> list[str]:
    tree(root / "ein Ordner" / "日本", {"a & b": 4, "c'd": 3, "Ω": 2, "%e": 2, "f,g": 1}, ending=".JPeG")
    return ["--data.root", str(root / "ein Ordner" / "日本")]


LAYOUTS: dict[str, Callable[[Path], list[str]]] = {
    "folders": lambda root: ["--data.root", str(tree(root))],
    "folders of splits": by_splits,
    "a table of names": lambda root: table(root, ids=False),
    "a table of numbers": lambda root: table(root, ids=True),
    "nested folders": nested,
    "blanks and letters of all kinds": odd_names,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_command(layout, tmp_path):
    data = LAYOUTS[layout](tmp_path / "data")
    before = sorted((tmp_path / "data").rglob("*"))
    run = fit(tmp_path / "run", *OWN, *data, *STEP, config="bs")
    main(["test", "--ckpt_path", str(run / "last.ckpt"), "--trainer.accelerator", "cpu", *QUIET])
    summary = json.loads((run / "summary.json").read_text())
    assert summary["val"]["selected_on"] == "validation"
    assert 0 <= summary["test"]["last"]["bal_acc"] <= 1
    with (run / "per_class.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    assert len(rows) == 5
    assert "nan" in {row["acc"] for row in rows}  # a class of one image has none to test
    assert sorted((tmp_path / "data").rglob("*")) == before  # nothing is written beside images
    with (run / "splits.csv").open(encoding="utf-8") as file:
        assert sum(row["split"] == "train" for row in csv.DictReader(file)) == summary["train_images"]


def test_the_parts_that_a_run_wrote_down_come_back(tmp_path):
    root = tree(tmp_path / "data")
    one = fit(tmp_path / "one", *OWN, "--data.root", str(root), *STEP)
    again = ["--data", "TableLT", "--data.file", str(one / "splits.csv"), "--data.root", str(root)]
    two = fit(tmp_path / "two", *OWN, *again, *STEP)
    assert (one / "splits.csv").read_text() == (two / "splits.csv").read_text()
    figures = [json.loads((run / "summary.json").read_text())["val"]["last"] for run in (one, two)]
    assert figures[0] == figures[1]  # the same images in the same order: the same run


def test_any_number_of_workers_gives_the_same_run(tmp_path):
    root = ["--data.root", str(tree(tmp_path / "data")), "--data.num_views", "2"]
    runs = [fit(tmp_path / n, *OWN, *root, *STEP, "--data.num_workers", n, config="mcem") for n in ("0", "2")]
    figures = [json.loads((run / "summary.json").read_text())["val"]["last"] for run in runs]
    assert figures[0] == figures[1]


def begin_anew(run: Path) -> None:
    """Leave of a run nothing but its teacher."""
    for file in ("last.ckpt", "best.ckpt", "summary.json", "splits.csv"):
        (run / file).unlink()


def test_a_teacher_is_taught_on_the_same_images(tmp_path, capsys):
    root = ["--data.root", str(tree(tmp_path / "data"))]
    (tmp_path / "short.yaml").write_text("trainer: {max_epochs: 1}\n")
    for_both = ["--config", str(tmp_path / "short.yaml")]
    run = fit(tmp_path / "run", *OWN, *for_both, *root, *STEP, "--model.teacher", "bs.yaml", config="mcsm")
    taught = yaml.safe_load((run / "teacher" / "config.yaml").read_text())
    assert taught["data"]["init_args"]["root"] == root[1]
    assert taught["data"]["class_path"].endswith("FolderLT")
    begin_anew(run)
    moved = (tmp_path / "data").rename(tmp_path / "moved")
    given = [*OWN, *for_both, *STEP, "--model.teacher", "bs.yaml"]
    before = (run / "teacher" / "last.ckpt").stat().st_mtime_ns
    fit(run, *given, "--data.root", str(moved), config="mcsm")
    assert (run / "teacher" / "last.ckpt").stat().st_mtime_ns == before
    begin_anew(run)
    other = ["--data.root", str(tree(tmp_path / "other", start=100))]
    config = ["--config", str(ROOT / "configs" / "mcsm.yaml"), "--trainer.default_root_dir", str(run), *QUIET]
    what, where, _ = refusal(["fit", *config, *given, *other, "--trainer.accelerator", "cpu"], capsys)
    assert "this teacher was trained on other images" in what
    assert where == f"  where: {run / 'teacher'}"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on a folder for each class."""
    folder = tmp_path_factory.mktemp("trained")
    return fit(folder / "run", *OWN, "--data.root", str(tree(folder / "data")), *STEP)


LONG = "a name that goes on and on " * 8
OTHER_CLASSES = {
    "fewer": ({"lynx": None}, "the data lack 1 of its 5 classes: 'lynx' is the first"),
    "more": ({}, "the data have 1 class that it lacks: 'mole' is the first"),
    "renamed": ({"lynx": "mole"}, "class 1 is 'lynx' in the checkpoint, 'mole' in the data"),
    "renamed at length": ({"lynx": LONG}, f"class 0 is 'blue tit' in the checkpoint, {LONG[:39] + '…'!r} in the data"),
}


@pytest.mark.parametrize("kind", OTHER_CLASSES)
def test_a_checkpoint_is_for_its_classes_alone(kind, trained, tmp_path, capsys):
    names, says = OTHER_CLASSES[kind]
    counts = {
        names.get(name, name): count for name, count in {**COUNTS, **({"mole": 3} if kind == "more" else {})}.items()
    }
    root = tree(tmp_path, {name.strip(): count for name, count in counts.items() if name})
    what, *_ = refusal(["test", "--ckpt_path", str(trained / "last.ckpt"), "--data.root", str(root), *QUIET], capsys)
    assert what.endswith(says)


def test_a_checkpoint_of_another_order_can_be_used(trained, tmp_path, capsys):
    """Its classes are turned round; the predictions stay."""
    checkpoint = load(trained / "last.ckpt")
    weights = checkpoint["state_dict"]
    turned = {name: value.flip(0) for name, value in weights.items() if value.shape[:1] == (5,)}
    assert turned
    for key in ("lt_class_names", "lt_class_counts"):
        checkpoint[key].reverse()
    torch.save({**checkpoint, "state_dict": {**weights, **turned}}, trained / "turned.ckpt")
    as_it_is = ["--ckpt_path", str(trained / "turned.ckpt"), *QUIET, "--trainer.accelerator", "cpu"]
    what, _, fix = refusal(["predict", *as_it_is], capsys)
    assert what.endswith("in another order: class 0 is 'Ägypten' in the checkpoint, 'blue tit' in the data")
    assert "--as_in_checkpoint" in fix
    rows = {}
    for name, flags in (("last", []), ("turned", ["--as_in_checkpoint", "true"])):
        main(
            [
                "predict",
                *as_it_is[2:],
                "--all_probabilities",
                "true",
                "--ckpt_path",
                str(trained / f"{name}.ckpt"),
                *flags,
            ]
        )
        with (trained / "predictions.csv").open(encoding="utf-8") as file:
            rows[name] = list(csv.DictReader(file))
    assert len(rows["last"]) > 3
    for one, other in zip(rows["last"], rows["turned"], strict=True):
        assert one["path"] == other["path"]
        for label in ("target", "predicted"):
            assert int(one[label]) == 4 - int(other[label])
        for name in COUNTS:  # sums are taken in another order
            assert float(one[f"p_{name}"]) == pytest.approx(float(other[f"p_{name}"]), abs=1e-6)


def test_a_checkpoint_is_for_its_training_images_alone(tmp_path, capsys):
    root = tree(tmp_path / "data")
    run = fit(tmp_path / "run", *OWN, "--data.root", str(root), *STEP)
    tree(root, {"lynx": 9}, start=50)
    before = (run / "splits.csv").read_text()
    checkpoint = ["--ckpt_path", str(run / "last.ckpt"), *QUIET]
    assert "it was trained on 2 images of class 1, the data has" in refusal(["test", *checkpoint], capsys)[0]
    assert "written down" in refusal(["fit", "--trainer.max_epochs", "2", *checkpoint], capsys)[0]
    assert (run / "splits.csv").read_text() == before
    parts = ["--data", "TableLT", "--data.file", str(run / "splits.csv"), "--data.root", str(root)]
    main(["test", "--ckpt_path", str(run / "last.ckpt"), *parts, *QUIET])


def test_a_checkpoint_is_used_from_any_directory(tmp_path, monkeypatch):
    tree(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    run = fit(tmp_path / "run", *OWN, "--data.root", "data", *STEP)
    monkeypatch.chdir(run)
    main(["predict", "--ckpt_path", "last.ckpt", *QUIET])
    with (run / "predictions.csv").open(encoding="utf-8") as file:
        assert {row["path"].split("/")[0] for row in csv.DictReader(file)} == set(COUNTS) - {"zebra"}


def test_an_image_that_a_process_cannot_read_is_named(tmp_path, capsys):
    file = tree(tmp_path / "data") / "zebra" / "photo 0.jpg"  # which every epoch reads
    file.write_bytes(file.read_bytes()[:300])
    config = ["--config", str(ROOT / "configs" / "ce.yaml"), *OWN, "--data.root", str(tmp_path / "data"), *STEP, *QUIET]
    run = ["--trainer.default_root_dir", str(tmp_path / "run"), "--trainer.accelerator", "cpu"]
    assert refusal(["fit", *config, *run, "--data.num_workers", "1"], capsys)[1] == f"  where: {file}"
