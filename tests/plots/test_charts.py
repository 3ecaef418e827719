"""Charts against slow counting; what is drawn is what the table says; all that is written can be read."""

import csv
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import runs
from legible import clipped, drawn, overlapping
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image
from runs import write_run

from lt_lightning.errors import LtError
from lt_lightning.plots.chart import COLOURS, Chart, as_csv, picture, save_chart, style
from lt_lightning.plots.confusion import PARTS, confused_pairs, confusion
from lt_lightning.plots.curves import curves
from lt_lightning.plots.frequency import acc_vs_frequency, members
from lt_lightning.plots.groups import shot_bars
from lt_lightning.plots.reliability import ece, reliability
from lt_lightning.plots.run import charts, split_charts
from lt_lightning.plots.style import shown, tendency
from lt_lightning.plots.tables import Bin, ClassFigures, Pair
from lt_lightning.plots.top_losses import read_strip, write_strip
from lt_lightning.summary import read_described

ALL = {
    *("class_distribution", "curves", "diversity", "agreement", "training", "shot_bars_test", "acc_vs_frequency_test"),
    *("members_test", "per_class_test", "reliability_test", "confusion_test", "confused_pairs_test", "top_losses_test"),
}
MORE = [(classes, experts) for classes in (3, 50, 51, 100, 1000, 8142) for experts in (2, 3, 8)]
ONLY_OF_MEMBERS = {"diversity", "agreement", "members_test"}


def figure_of(chart: Chart) -> Figure:
    with style():
        return picture(chart)


def classes(*counts: int, acc: float | None = 0.5) -> list[ClassFigures]:
    groups = ["many" if n > 100 else "few" if n < 20 else "medium" for n in counts]
    return [
        ClassFigures(f"c{i}", n, g, 4, (acc, 0.25, 1.0)) for i, (n, g) in enumerate(zip(counts, groups, strict=True))
    ]


@pytest.mark.parametrize(
    ("number", "experts"),
    [
        (3, 1),
        (10, 3),
        *(pytest.param(*case, marks=pytest.mark.soak) for case in MORE),
    ],
)
def test_all_can_be_read(tmp_path: Path, number: int, experts: int) -> None:
    made = charts(write_run(tmp_path / "run", number, experts))
    assert {chart.name for chart in made} == ALL - (ONLY_OF_MEMBERS if experts == 1 else set())
    for chart in made:
        figure, texts = drawn(chart)
        assert texts, chart.name
        assert not clipped(figure, texts), chart.name
        assert not overlapping(texts), chart.name


def test_long_names_and_wide_letters_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["hydromedusae_narco_dark_or_so", "山猫" * 20, "x" * 80, "hydromedusae_other_than_these"]
    monkeypatch.setattr(runs, "NAMES", [*names * 12, *names[:3]])
    made = {chart.name: chart for chart in charts(write_run(tmp_path / "run", 51, 1))}
    for name in ("per_class_test", "confused_pairs_test", "top_losses_test"):
        figure, texts = drawn(made[name])
        assert not clipped(figure, texts), name
        assert not overlapping(texts), name


def test_odd_runs_can_be_read() -> None:
    names, empty = ["ensemble", "expert 1: A", "expert 2: B"], classes(0, 0, 0)
    made = [*acc_vs_frequency(empty, names, "test"), *members(empty, names, "test"), *curves({7: {"train/loss": -3.0}})]
    for chart in made:
        figure, texts = drawn(chart)
        assert not clipped(figure, texts), chart.name
        assert not overlapping(texts), chart.name


def test_a_chart_is_saved_as_its_table_and_its_picture(tmp_path: Path) -> None:
    made = split_charts(write_run(tmp_path / "run", 9), "test")
    chart = next(c for c in made if c.name == "per_class_test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("matplotlib").rcParams, "font.size", 40)  # of a user who likes it large
        save_chart(chart, tmp_path / "plots")
    with (tmp_path / "plots" / "per_class_test.csv").open(errors="surrogateescape", newline="") as file:
        table = [tuple(row) for row in csv.reader(file)]
    assert table == [chart.columns, *(tuple(map(str, row)) for row in chart.rows)]
    with Image.open(tmp_path / "plots" / "per_class_test.png") as image:
        assert image.size == (1200, 465)
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {"per_class_test.csv", "per_class_test.png"}


def test_gathered_tables_are_those_of_their_charts(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 9)
    for chart in split_charts(run, "test"):
        if chart.name in ("reliability_test", "top_losses_test"):
            file = run / "plots" / f"{chart.name}.csv"
            assert as_csv(chart.columns, chart.rows).encode("utf-8", "surrogateescape") == file.read_bytes()


def test_bars_are_the_figures_of_the_summary(tmp_path: Path) -> None:
    summary = read_described(write_run(tmp_path / "run", 20))
    last = summary["test"]["last"]
    chart = shot_bars(last, ["ensemble", "expert 1", "expert 2", "expert 3"], "test", 200)[0]
    bars = figure_of(chart).axes[0].patches
    kinds = ["acc", "acc_many", "acc_medium", "acc_few", "bal_acc"]
    expected = [last[f"{prefix}{kind}"] for kind in kinds for prefix in ("", "expert1/", "expert2/", "expert3/")]
    assert [bar.get_height() / 100 for bar in bars] == pytest.approx(expected)
    assert chart.rows[2] == ("expert 2", *(last[f"expert2/{kind}"] for kind in kinds))
    assert [to_hex(bar.get_facecolor()) for bar in bars[::4]] == [c.lower() for c in COLOURS.values()]


def test_the_tendency_is_a_mean_of_neighbours() -> None:
    rng = np.random.default_rng(0)
    counts, values = sorted(rng.integers(1, 40, 200).tolist(), reverse=True), rng.random(200).tolist()
    near = [np.mean(values[max(0, i - 6) : i + 7]) for i in range(200)]
    alike = [np.mean([near[j] for j in range(200) if counts[j] == counts[i]]) for i in range(200)]
    assert tendency(counts, values) == pytest.approx(alike)
    assert tendency([9, 5, 5], [1.0, 0.0, 1.0]) == [1.0, 0.5, 0.5]


def test_classes_are_dots_at_their_accuracy() -> None:
    some = [*classes(500, 50, 0), *classes(7, acc=None)]  # the last has no image
    chart = acc_vs_frequency(some, ["ensemble", "expert 1", "expert 2"], "test")[0]
    assert [row[:2] for row in chart.rows] == [("c0", 500), ("c1", 50), ("c2", 0)]
    axes = figure_of(chart).axes[0]
    dots = np.concatenate([dots.get_offsets() for dots in axes.collections])
    assert dots.tolist() == [[500, 50], [50, 50], [0.5, 50]]
    low, high = axes.get_xlim()
    assert low < 0.5
    assert high > 500


def test_classes_that_are_alike_share_a_dot() -> None:
    some = classes(*[500] * 200, *[5] * 200)
    axes = figure_of(acc_vs_frequency(some, ["ensemble", "expert 1", "expert 2"], "test")[0]).axes[0]
    assert [len(dots.get_offsets()) for dots in axes.collections] == [1, 1]


def test_members_are_held_against_their_ensemble() -> None:
    some = classes(500, 300, 50, 5)
    chart = members(some, ["ensemble", "expert 1: A", "expert 2: B"], "test")[0]
    assert [row[3:] for row in chart.rows] == [(-25.0, 50.0)] * 4
    first, second = figure_of(chart).axes
    assert [text.get_text() for text in first.texts] == ["few -25.0", "medium -25.0", "many -25.0"]
    assert [text.get_text() for text in second.texts] == ["few +50.0", "medium +50.0", "many +50.0"]
    assert members(some, ["CrossEntropy"], "test") == []


def test_reliability_is_that_of_the_bins() -> None:
    bins = [Bin("all", 0, 0.5, 3, 0.4, 1 / 3), Bin("all", 0.5, 1, 1, 0.9, 1.0), Bin("few", 0, 0.5, 0, None, None)]
    chart = reliability(bins, "test")[0]
    upper, lower = figure_of(chart).axes  # a group without images has no panel
    assert [bar.get_height() for bar in upper.patches] == pytest.approx([100 / 3, 100])
    assert [bar.get_height() for bar in lower.patches] == [3, 1]
    assert ece(bins[:2]) == pytest.approx(3 / 4 * (0.4 - 1 / 3) + 1 / 4 * 0.1)
    assert "4 images\nECE 7.5 %" in upper.get_title()


def test_confusion_is_counted_as_one_would() -> None:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 6, (200, 2)).tolist()
    some = classes(5, 500, 50, 40, 300, 7)
    pairs = [Pair(a, b, n) for (a, b), n in sorted(Counter(map(tuple, images)).items())]
    chart = confusion(some, pairs, "test")[0]
    order = [1, 4, 2, 3, 5, 0]
    of = Counter(a for a, _ in images)
    expected = [[100 * sum(x == [a, b] for x in images) / of[a] for b in order] for a in order]
    assert np.asarray(figure_of(chart).axes[0].images[0].get_array()) == pytest.approx(np.array(expected))
    assert sum(int(row[2] or 0) for row in chart.rows) == 200
    top = confused_pairs(some, pairs, "test")[0]
    wrong = sorted((n for (a, b), n in Counter(map(tuple, images)).items() if a != b), reverse=True)[:25]
    assert [row[3] for row in top.rows] == wrong
    assert [bar.get_width() for bar in figure_of(top).axes[0].patches] == wrong


def test_many_classes_are_put_together_by_rank() -> None:
    some = classes(*range(1, 1001))
    pairs = [Pair(c, 999, 2) for c in range(1000)]  # all are taken for the class of the most images
    chart = confusion(some, pairs, "test")[0]
    assert len(chart.rows) == PARTS
    assert all(row[1] == "1: 1,000 to 951" and row[2:] == (100, 1.0) for row in chart.rows)


def test_epochs_are_counted_from_one_and_gaps_are_left_out() -> None:
    epochs = {1: {"train/loss": 2.0}, 2: {"train/loss": 1.0, "val/acc": 0.5, "val/acc_few": 0.25}}
    chart = curves(epochs)[0]
    assert chart.columns == ("epoch", "train/loss", "val/acc", "val/acc_few")
    assert chart.rows == [(1, 2.0, None, None), (2, 1.0, 0.5, 0.25)]
    loss, accuracy = figure_of(chart).axes
    assert loss.lines[0].get_xydata().tolist() == [[1, 2], [2, 1]]
    assert [line.get_xydata().tolist() for line in accuracy.lines] == [[[2, 50]], [[2, 25]]]


def test_names_are_cut_and_spelt_out() -> None:
    assert shown("a" * 30) == "a" * 23 + "…"
    assert shown("山猫") == "山猫"
    assert shown("山猫" * 20) == "山猫" * 5 + "山…"  # as wide as 23 letters of Latin
    assert shown("a\nb") == "a\\nb"
    assert shown("") == "(no name)"


def test_images_come_back_as_they_were_written(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    write_strip(tmp_path / "a.ppm", pixels)
    assert np.array_equal(read_strip(tmp_path / "a.ppm", 5), pixels)
    with Image.open(tmp_path / "a.ppm") as image:
        assert np.array_equal(np.asarray(image), pixels.reshape(40, 8, 3))
    assert read_strip(tmp_path / "b.ppm", 5) is None
    for damage in (b"", b"P6 8 40 255\n" + bytes(10), b"P6 99999999999 99999999999 255\n", b"P6 x y 255\n"):
        (tmp_path / "a.ppm").write_bytes(damage)
        with pytest.raises(LtError, match="damaged"):
            read_strip(tmp_path / "a.ppm", 5)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("metrics.csv", "epoch,val/acc\nx,0.5\n"),
        ("metrics.csv", "step\n1\n"),
        ("per_class.csv", "split,class\ntest,0\n"),
        ("per_class.csv", '"' + "x" * 200_000),
        ("plots/pairs_test.csv", "target,predicted,images\n0,1\n"),
        ("plots/pairs_test.csv", "target,predicted,images\n0,77,1\n"),
        ("plots/pairs_test.csv", "target,predicted,images\n-1,0,1\n"),
        ("plots/reliability_test.csv", "group,low,high,images,confidence,accuracy\nhuge,0,1,3,0.5,0.5\n"),
        ("per_class.csv", "split,class,name,train_images,group,images,acc\ntest,0,a,5,<b>,3,0.5\n"),
        ("summary.json", "[]"),
        ("summary.json", '{"test": {"last": {}}}'),
        ("summary.json", "{"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, file: str, text: str) -> None:
    run = write_run(tmp_path / "run", 3)
    (run / file).write_text(text)
    with pytest.raises(LtError) as refused:
        charts(run)
    assert Path(refused.value.where).name == Path(file).name


def test_what_is_no_number_is_left_out(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 3)
    (run / "metrics.csv").write_text("epoch,train/loss,val/acc\n0,nan,0.5\n1,inf,\n")
    made = {chart.name: chart for chart in charts(run)}
    assert made["curves"].rows == [(1, 0.5), (2, None)]
    assert not math.isnan(sum(row[1] or 0 for row in made["curves"].rows))  # type: ignore[misc]
