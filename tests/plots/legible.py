"""Whether all that is written in a picture can be read."""

from matplotlib.axis import Axis, Tick
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from lt_lightning.plots.chart import Chart, picture, style


def drawn(chart: Chart) -> tuple[Figure, list[tuple[str, Bbox]]]:
    """A chart's picture, and each of its texts with the place it takes, in dots."""
    with style():
        figure = picture(chart)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        shown_axes = [axes for axes in figure.axes if axes.axison]
        ticks = {id(label) for axes in shown_axes for axis in (axes.xaxis, axes.yaxis) for label in _labels(axis)}
        others = {id(label) for tick in figure.findobj(Tick) for label in (tick.label1, tick.label2)} - ticks
        texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
        shown = [text for text in texts if id(text) not in others and _is_on(text)]
        upright = [text for text in shown if text.get_rotation() % 90 == 0]  # boxes of others are larger than they are
        return figure, [(text.get_text(), text.get_window_extent(renderer)) for text in upright]


def _labels(axis: Axis) -> list[Text]:
    """Of the ticks that are drawn: an axis has others, beyond its ends."""
    return [label for tick in axis._update_ticks() for label in (tick.label1, tick.label2)]  # type: ignore[attr-defined]


def _is_on(text: Text) -> bool:
    """Axes that are off, as those of images, show the texts that were put into them, but neither ticks nor labels."""
    axes = text.axes
    return axes is None or (axes.get_visible() and (axes.axison or text in axes.texts))


def clipped(figure: Figure, texts: list[tuple[str, Bbox]]) -> list[str]:
    """Texts that leave the picture."""
    width, height = figure.canvas.get_width_height()
    return [text for text, b in texts if b.x0 < 0 or b.y0 < 0 or b.x1 > width or b.y1 > height]


def overlapping(texts: list[tuple[str, Bbox]]) -> list[tuple[str, str]]:
    """Pairs of texts of which one hides a part of the other; two dots are left for what letters do not fill."""
    boxes = [(text, Bbox.from_extents(b.x0 + 1, b.y0 + 1, b.x1 - 1, b.y1 - 1)) for text, b in texts]
    return [(a, b) for i, (a, here) in enumerate(boxes) for b, there in boxes[:i] if here.overlaps(there)]
