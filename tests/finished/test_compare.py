import csv
import json
import statistics
import subprocess
import sys

import numpy as np
import pytest
import yaml
from commands import refusal
from made import edit, make_run

from lt_lightning.commands import main
from lt_lightning.finished.comparison import compare
from lt_lightning.finished.groups import group_runs
from lt_lightning.finished.run import read_run

TARGET = np.repeat([0, 1, 2, 3], 5)


def wrong_at(*places):
    predicted = TARGET.copy()
    predicted[list(places)] = (TARGET[list(places)] + 1) % 4
    return predicted


def compared(*folders):
    groups = group_runs([read_run(folder) for folder in folders])
    return compare(groups, groups[0].name)


def test_runs_of_one_method_are_one_row(tmp_path):
    folders = [make_run(tmp_path / f"ce_seed{s}", s, wrong_at(*range(10, 12 + s))) for s in range(3)]
    folders.append(make_run(tmp_path / "bs", 0, loss="BalancedSoftmax"))
    ce, bs = compared(*folders).rows
    assert (ce.name, ce.number, bs.name, bs.number) == ("ce", 3, "bs", 1)
    accuracy = [1 - (2 + s) / 20 for s in range(3)]
    assert ce.figures["acc"] == (statistics.mean(accuracy), pytest.approx(statistics.stdev(accuracy)))
    few = [1 - (2 + s) / 10 for s in range(3)]
    assert ce.figures["acc_few"].mean == pytest.approx(statistics.mean(few))
    assert ce.seconds == (11, 1)
    assert bs.figures["acc"] == (1.0, None)
    assert bs.differences["acc"].difference == pytest.approx(1 - statistics.mean(accuracy))
    assert bs.differences["acc_few"].difference == pytest.approx(1 - statistics.mean(few))


def test_differences_of_groups_are_means_over_classes_as_in_the_table(tmp_path):
    target = np.repeat([0, 1, 2, 3], [5, 5, 8, 2])
    predicted = np.where(np.arange(20) == 18, 0, target)  # half of the class that has two images
    folders = make_run(tmp_path / "a", target=target), make_run(tmp_path / "b", 0, predicted, target, "BalancedSoftmax")
    one, two = compared(*folders).rows
    assert two.differences["acc_few"].difference == pytest.approx(-0.25)
    assert two.figures["acc_few"].mean - one.figures["acc_few"].mean == pytest.approx(-0.25)


@pytest.mark.parametrize(
    ("part", "key", "value", "same"),
    [
        ("trainer", "max_epochs", 6, False),
        ("trainer", "accelerator", "gpu", True),
        ("trainer", "precision", "bf16-mixed", False),
        ("data", "batch_size", 32, False),
        ("data", "root", "/elsewhere", True),
        ("plots", "pictures", False, True),
        ("model", "backbone", "resnet20", False),
    ],
)
def test_what_makes_another_method(part, key, value, same, tmp_path):
    folders = [make_run(tmp_path / name) for name in ("a", "b")]
    config = yaml.safe_load((folders[1] / "config.yaml").read_text())
    (config[part]["init_args"] if part in ("data", "model") else config.setdefault(part, {}))[key] = value
    (folders[1] / "config.yaml").write_text(yaml.safe_dump(config))
    assert (len(group_runs([read_run(folder) for folder in folders])) == 1) == same


def test_a_teacher_of_another_method_makes_another_method(tmp_path):
    folders = []
    for name, loss in (("one", "BalancedSoftmax"), ("two", "BalancedSoftmax"), ("three", "CrossEntropy")):
        folder = make_run(tmp_path / name)
        make_run(folder / "teacher", loss=loss)
        (folder / "teacher" / "last.ckpt").touch()
        config = yaml.safe_load((folder / "config.yaml").read_text())
        config["model"]["init_args"]["teacher"] = str(folder / "teacher" / "last.ckpt")
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        folders.append(folder.rename(tmp_path / f"moved {name}"))
    groups = group_runs([read_run(folder) for folder in folders])
    assert [len(group.runs) for group in groups] == [2, 1]
    assert compare(groups, groups[0].name).rows[0].before == (10, 0)


def test_figures_of_test_and_validation_are_never_mixed(tmp_path):
    folders = make_run(tmp_path / "a"), make_run(tmp_path / "b", tested="", loss="BalancedSoftmax")
    comparison = compared(*folders)
    assert comparison.split == "val"
    assert any("validation" in note and str(folders[1]) in note for note in comparison.notes)
    assert not any(row.differences for row in comparison.rows)
    assert [row.figures["acc"].mean for row in comparison.rows] == [0.5, 0.5]  # of validation, as made.py has it


def test_what_was_selected_on_test_and_what_is_best_is_said(tmp_path):
    folders = make_run(tmp_path / "a"), make_run(tmp_path / "b", tested="best", loss="BalancedSoftmax")
    summary = json.loads((folders[1] / "summary.json").read_text())
    edit(folders[1] / "summary.json", test=summary["test"] | {"selected_on": "test"})
    notes = "\n".join(compared(*folders).notes)
    assert "a last; b best" in notes
    assert "selected on test" in notes
    assert "selected on test" not in "\n".join(compared(folders[0]).notes)


def test_a_seed_that_counts_twice_is_said(tmp_path):
    assert any("seed 3" in note for note in compared(*(make_run(tmp_path / n, 3) for n in "ab")).notes)


@pytest.mark.parametrize("what", ["data", "counts", "images", "order"])
def test_runs_on_other_images_are_refused(what, tmp_path, capsys):
    one, two = make_run(tmp_path / "one"), make_run(tmp_path / "two", loss="BalancedSoftmax")
    if what == "data":
        edit(two / "summary.json", data="FiveClasses")
    if what == "counts":
        (two / "per_class.csv").write_text((two / "per_class.csv").read_text().replace("class 3,2", "class 3,3"))
    if what == "images":
        edit(two / "summary.json", test=json.loads((two / "summary.json").read_text())["test"] | {"images": "other"})
    if what == "order":
        (two / "per_image.csv").write_text("target,predicted\n" + "1,1\n" * 20)
    assert "are not those of" in refusal(["compare", str(one), str(two)], capsys)[0]


def test_what_is_no_run_is_left_out_of_a_glob_but_not_taken_for_one(tmp_path, capsys):
    run, empty = make_run(tmp_path / "a"), tmp_path / "empty"
    empty.mkdir()
    main(["compare", str(run), str(empty)])
    said = capsys.readouterr()
    assert "empty is left out" in said.err
    assert "100.0" in said.out
    assert "no run was trained" in refusal(["compare", str(empty)], capsys)[0]
    assert "no such folder" in refusal(["compare", str(run), str(tmp_path / "none")], capsys)[0]
    assert "no method 'x'" in refusal(["compare", str(run), "--reference", "x"], capsys)[0]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("summary.json", "{"),
        ("summary.json", '{"model": 1}'),
        ("config.yaml", "a: ["),
        ("config.yaml", "[1]"),
        ("per_class.csv", "split,class\nval,1\n"),
        ("per_image.csv", "target,predicted\n1,x\n"),
        ("per_image.csv", "target,predicted\n"),
        ("per_image.csv", "target,predicted\n1,-1\n"),
        ("per_image.csv", "target,predicted\n9999999999,1\n"),
        ("per_class.csv", "split,class,name,train_images,group,acc\nval,x,a,1,few,0.5\n"),
        ("per_class.csv", "split,class,name,train_images,group,acc\nval," + "x" * 200_000),
        ("config.yaml", "model: [1]"),
        ("summary.json", "[" * 100_000),
        ("env.json", "{"),
        ("env.json", '{"earlier": [1]}'),
        ("env.json", '{"versions": "2.1"}'),
        ("config.yaml", "optimizer: {class_path: SGD, init_args: x}"),
    ],
)
def test_damaged_files_are_said(file, text, tmp_path, capsys):
    one, two = make_run(tmp_path / "one"), make_run(tmp_path / "two", loss="BalancedSoftmax")
    (two / file).write_text(text)
    assert str(two / file) in refusal(["compare", str(one), str(two)], capsys)[1]


def test_tables_in_files(tmp_path, capsys):
    make_run(tmp_path / "a_b|c%0", 0, wrong_at(10))
    make_run(tmp_path / "bs", 0, loss="BalancedSoftmax")
    files = {kind: tmp_path / f"table.{kind}" for kind in ("markdown", "csv", "latex")}
    flags = [word for kind, file in files.items() for word in (f"--{kind}", str(file))]
    main(["compare", str(tmp_path / "bs"), str(tmp_path / "a_b|c%0"), *flags])
    markdown, latex = (files[kind].read_text() for kind in ("markdown", "latex"))
    header, _, first, second = markdown.splitlines()[:4]
    assert header.count("|") == first.count("|") == second.replace("\\|", "").count("|")
    assert "| a_b\\|c%0 | 1 | 95.0 | 100.0 | 100.0 | 90.0 |" in markdown
    assert "a\\_b|c\\%0 & 1 & 95.0 & 100.0" in latex
    assert "$-$5.0 [$-$15.0" in latex
    with files["csv"].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == ["bs", "a_b|c%0"]
    assert float(rows[1]["acc"]) == 0.95
    assert float(rows[1]["acc_difference"]) == pytest.approx(-0.05)
    assert all(len(line) <= 80 for line in capsys.readouterr().out.splitlines())
    assert (
        "cannot be written"
        in refusal(["compare", str(tmp_path / "bs"), "--csv", str(tmp_path / "none" / "x.csv")], capsys)[0]
    )


def test_comparing_needs_no_torch(tmp_path):
    make_run(tmp_path / "a")
    code = f"from lt_lightning.commands import run; run(['compare', {str(tmp_path / 'a')!r}])"
    code += "; import sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_a_run_that_diverged_and_names_with_brackets_are_shown(tmp_path, capsys):
    runs = [make_run(tmp_path / f"a[red]b_{seed}", seed) for seed in range(2)]
    summary = json.loads((runs[0] / "summary.json").read_text())
    summary["test"]["last"] |= {"ece": float("nan"), "nll": float("inf")}
    (runs[0] / "summary.json").write_text(json.dumps(summary))
    main(["compare", *map(str, runs)])
    line = next(line for line in capsys.readouterr().out.splitlines() if "100.0" in line)
    assert line.split() == ["a[red]b", "2", *["100.0±0.0"] * 5, "nan±nan"]
