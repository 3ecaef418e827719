import json
import re

import numpy as np
import pytest
import yaml
from commands import refusal
from made import edit, make_run

from lt_lightning.commands import main
from lt_lightning.finished.card import card
from lt_lightning.finished.run import read_run

TARGET = np.repeat([0, 1, 2, 3], 5)
PLACEHOLDERS = r"None|null|nan\b|\{|\}|TODO|TBD|More Information|undefined|\bN/A\b|  +\|"


def with_environment(folder, **more):
    versions = {"python": "3.11.7", "torch": "2.13.0", "lightning": "2.6.6", "lt-lightning": "0.1.0"}
    known = {"versions": versions, "devices": [], "accelerator": "cpu", "processes": 1, "commit": "ab" * 20}
    (folder / "env.json").write_text(json.dumps({**known, "configs": ["bs.yaml"], **more}))
    return folder


def parts_of(text):
    """Front matter, and body."""
    _, head, body = text.split("---\n", 2)
    return yaml.safe_load(head), body


def test_figures_are_those_of_the_summary(tmp_path):
    predicted = TARGET.copy()
    predicted[[1, 12, 13, 17]] = 0, 1, 1, 1
    run = with_environment(make_run(tmp_path / "flowers", 3, predicted, loss="BalancedSoftmax"))
    head, body = parts_of(card(read_run(run), "apache-2.0"))
    said = json.loads((run / "summary.json").read_text())["test"]["last"]
    names = ("acc", "acc_many", "acc_medium", "acc_few", "bal_acc", "macro_f1")
    assert [m["value"] for m in head["model-index"][0]["results"][0]["metrics"]] == [said[name] for name in names]
    shown = [float(value) for value in re.findall(r"^\| (?:accuracy|F1), .*\| ([\d.]+) % \|$", body, re.MULTILINE)]
    assert shown == [pytest.approx(100 * said[name], abs=0.005) for name in names]
    assert "calibration error 12.50 %" in body
    assert "1.2500 nats" in body
    assert "| class 2 | 5 | few | 60.00 % |" in body
    assert "20.00 points less" not in body
    assert f"{100 * (said['acc_many'] - said['acc_few']):.2f} points less" in body
    assert head["license"] == "apache-2.0"
    for fact in ("| seed | 3 |", "64 images", "13.0 s", "torch 2.13.0", "commit abababababab", "cpu"):
        assert fact in body
    assert "BS" in body
    assert "https://arxiv.org/abs/2007.10740" in body  # the paper of bs.yaml


@pytest.mark.parametrize("tested", ["last", "best", ""])
@pytest.mark.parametrize("lacking", [(), ("config.yaml", "per_class.csv", "per_image.csv")])
def test_nothing_is_left_to_fill_in(tested, lacking, tmp_path):
    run = make_run(tmp_path / "flowers", tested=tested)
    for name in lacking:
        (run / name).unlink(missing_ok=True)
    head, body = parts_of(card(read_run(run)))
    assert re.search(PLACEHOLDERS, body) is None
    assert "license" not in head
    assert "no licence was stated" in body
    assert ("It was not measured on test images" in body) == (not tested)
    assert "Citation" not in body
    assert body.count("```") == 2
    assert "another seed changes was not measured" in body


def test_figures_that_are_no_numbers_are_left_out(tmp_path):
    run = make_run(tmp_path / "a")
    said = json.loads((run / "summary.json").read_text())["test"]
    nan = {"ece": float("nan"), "nll": float("nan"), "acc_few": float("nan")}
    edit(run / "summary.json", test=said | {"last": said["last"] | nan})
    text = card(read_run(run))
    assert "nan" not in text
    assert "### Calibration\n\nIt was not measured." in text


def test_what_was_selected_on_test_is_said(tmp_path):
    run = make_run(tmp_path / "a", tested="best")
    assert "Selected on test" not in card(read_run(run))
    summary = json.loads((run / "summary.json").read_text())
    edit(run / "summary.json", test=summary["test"] | {"selected_on": "test"})
    assert "Selected on test" in card(read_run(run))


def test_a_method_that_was_changed_is_not_the_shipped_one(tmp_path):
    run = with_environment(make_run(tmp_path / "a", loss="CrossEntropy"))
    assert "2007.10740" not in card(read_run(run))
    run = with_environment(make_run(tmp_path / "b", loss="BalancedSoftmax"), configs=["own.yaml"])
    assert "2007.10740" not in card(read_run(run))
    earlier = [{"configs": ["bs.yaml"]}]
    run = with_environment(make_run(tmp_path / "c", loss="BalancedSoftmax"), configs=[], earlier=earlier)
    assert "2007.10740" in card(read_run(run))


def test_names_of_classes_format_nothing(tmp_path):
    run = make_run(tmp_path / "a")
    table = (run / "per_class.csv").read_text().replace("class 2", '"a|b <script> [x](y)"').replace("1.0", "nan")
    (run / "per_class.csv").write_text(table)
    text = card(read_run(run))
    assert "a\\|b \\<script\\> \\[x\\](y)" in text
    assert "their accuracy was not measured" in text
    assert "nan" not in text


def test_the_extremes_of_many_classes(tmp_path):
    run = make_run(tmp_path / "a")
    rows = [f"test,{c},name {c},{100 - c},many,{c / 100}\n" for c in range(40)]
    (run / "per_class.csv").write_text("split,class,name,train_images,group,acc\n" + "".join(rows))
    text = card(read_run(run))
    assert "The 5 classes it knows best and the 5 it knows worst" in text
    ranked = re.findall(r"^\| name (\d+) ", text, re.MULTILINE)
    assert ranked == [str(c) for c in (39, 38, 37, 36, 35, 4, 3, 2, 1, 0)]
    assert "and 20 more" in text


def test_the_command_writes_where_it_is_told(tmp_path, capsys):
    run = make_run(tmp_path / "a")
    main(["card", str(run)])
    main(["card", str(run), "-o", str(tmp_path / "README.md")])
    assert (run / "card.md").read_text() == (tmp_path / "README.md").read_text() == card(read_run(run))
    assert "cannot be written" in refusal(["card", str(run), "-o", str(tmp_path / "none" / "x.md")], capsys)[0]
    edit(run / "summary.json", val={}, test={})
    assert "neither figures of test nor of validation" in refusal(["card", str(run)], capsys)[0]
