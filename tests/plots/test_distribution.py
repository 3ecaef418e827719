"""The picture of a long tail: what is in it, and that all of it can be read."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from PIL import Image

from lt_lightning.plots.chart import COLOURS, picture, save_picture, style
from lt_lightning.plots.distribution import FLOOR, class_distribution

SIZES = [1, 3, 4, 30, 31, 100, 1000, 8142]


def counts(classes: int, largest: int = 1000, name: str = "class of a very long name") -> dict[str, int]:
    values = (largest * (1 / largest) ** (c / max(classes - 1, 1)) for c in range(classes))
    return {f"{c} {name}": round(value) for c, value in enumerate(values)}


def drawing(names: dict[str, int], many: int, few: int) -> Figure:
    with style():
        return picture(class_distribution(names.items(), many, few))


def drawn(figure: Figure) -> FigureCanvasAgg:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas


@pytest.mark.parametrize(("classes", "largest"), [(3, 1), (31, 1), *((size, 98765) for size in SIZES)])
def test_nothing_is_clipped(classes: int, largest: int) -> None:
    figure = drawing(counts(classes, largest, "W" * 40), 100, 20)
    canvas = drawn(figure)
    box = figure.get_tightbbox(canvas.get_renderer())
    width, height = figure.get_size_inches()
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= width
    assert box.y1 <= height


@pytest.mark.parametrize("classes", [c for c in SIZES if c > 30])
def test_numbers_on_the_axes_do_not_overlap(classes: int) -> None:
    figure = drawing(counts(classes), 100, 20)
    renderer = drawn(figure).get_renderer()
    for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis):
        boxes = [label.get_window_extent(renderer) for label in axis.get_ticklabels() if label.get_text()]
        assert len(boxes) > 2
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize("name", ["", "W" * 12, "W" * 40])
def test_names_of_few_classes_do_not_overlap(name: str) -> None:
    figure = drawing(counts(3, name=name), 100, 20)
    renderer = drawn(figure).get_renderer()
    labels = figure.axes[0].get_xticklabels()
    boxes = [label.get_window_extent(renderer) for label in labels]
    assert all(label.get_rotation() for label in labels) or boxes[0].x1 < boxes[1].x0 < boxes[1].x1 < boxes[2].x0


def test_bars_have_the_counts_and_the_colours_of_their_groups() -> None:
    figure = drawing({"b": 100, "a": 500, "c": 19, "d": 0}, 100, 20)
    bars = {bar.get_x() + bar.get_width() / 2: bar for bar in figure.axes[0].patches}
    tops = [bars[rank].get_y() + bars[rank].get_height() for rank in (1, 2, 3, 4)]
    assert tops == [500, 100, 19, FLOOR]
    groups = ["many", "medium", "few", "few"]
    assert [to_hex(bars[rank].get_facecolor()) for rank in (1, 2, 3, 4)] == [COLOURS[x].lower() for x in groups]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["a", "b", "c", "d"]


def test_outlines_of_many_classes_have_their_counts() -> None:
    figure = drawing(counts(1000), 100, 20)
    outlines = [patch.get_data() for patch in figure.axes[0].patches if isinstance(patch, StepPatch)]
    assert np.concatenate([outline.values for outline in outlines]).tolist() == list(counts(1000).values())
    assert [outline.edges[0] for outline in outlines][1:] == [outline.edges[-1] for outline in outlines][:-1]


def test_title_thresholds_and_groups_are_said() -> None:
    figure = drawing({"a": 500, "b": 50, "c": 5}, 100, 20)
    axes = figure.axes[0]
    assert axes.get_title() == "555 training images of 3 classes: imbalance 100.0, Gini 0.595"
    assert [line.get_ydata()[0] for line in axes.lines] == [100, 20]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "1 many-shot, more than 100 images",
        "1 medium-shot, 20 to 100 images",
        "1 few-shot, fewer than 20 images",
    ]
    assert axes.get_yscale() == "log"


@pytest.mark.parametrize("names", [{}, {"$a$": 1, "山猫": 0, "caf\udce9": 3, "": 2}, {"x": 0}])
@pytest.mark.filterwarnings("error")
def test_odd_sets_are_drawn(names: dict[str, int], tmp_path: Path) -> None:
    save_picture(class_distribution(names.items(), 1, 0), tmp_path / "counts.png")
    with Image.open(tmp_path / "counts.png") as image:
        assert image.size == (1500, 750)
