"""Pages of figures have none that was typed."""

import re

import pytest
from commands import ROOT

FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
TABLE = re.compile(r"<!-- table: .*?<!-- end -->", re.DOTALL)
QUANTITY = re.compile(r"\d\.\d|\d ?(?:%|ms|MiB|GB|s\b|times\b|x as)")


@pytest.mark.parametrize("page", ["speed", "results"])
def test_no_figure_was_typed(page: str) -> None:
    """`make tables` fills the tables; tests/docs sees that it would change nothing."""
    text = (ROOT / "docs" / f"{page}.md").read_text()
    assert not QUANTITY.findall(FENCED.sub("", TABLE.sub("", text)))
    assert QUANTITY.search(text)


def test_what_counts_as_typed() -> None:
    assert QUANTITY.search("is 1.5 as fast")
    assert QUANTITY.search("costs 3 % more")
    assert QUANTITY.search("31 times as fast")
    assert not QUANTITY.search("15 epochs, one 3 x 3 convolution of 64 channels, 3 seeds")
