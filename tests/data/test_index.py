from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lt_lightning.data import index as module
from lt_lightning.data.index import ImageIndex
from lt_lightning.errors import LtError

LINES = st.lists(
    st.tuples(st.text("abc/ é.", min_size=1, max_size=12).map(str.strip).filter(bool), st.integers(0, 99_999_999)),
    min_size=1,
    max_size=40,
)


def parsed(text: bytes) -> ImageIndex:
    return ImageIndex.parse(np.frombuffer(text, np.uint8), "list.txt")


def pairs(index: ImageIndex) -> list[tuple[str, int]]:
    return [(index.path(i), int(index.target[i])) for i in range(len(index))]


@settings(max_examples=200, deadline=None)
@given(LINES, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.sampled_from([1, 7, 64, 2**20]))
def test_a_list_reads_as_python_would_read_it(lines, newline, ends, chunk):
    text = newline.join(f"{path} {target}" for path, target in lines) + newline * ends
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", chunk)
        found = pairs(parsed(text.encode()))  # a chunk in which no line ends is the whole rest
    assert found == lines


def test_blank_lines_are_passed_over_and_tabs_part_as_well():
    assert pairs(parsed(b"\na b.jpg 3\n\n\nc.jpg\t0\n\n")) == [("a b.jpg", 3), ("c.jpg", 0)]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"a 1\nb\nc 2\n", 2),
        (b"a 1\n\nb x\n", 3),
        (b"a 1\nb -1", 2),
        (b" 1\n", 1),
        (b"a 1\nb 1 \n", 2),
        (b"a 999999999\n", 1),
        (b"a 1.5\n", 1),
        (b"\0\xff\n", 1),
    ],
)
@pytest.mark.parametrize("chunk", [2, 2**20])
def test_a_wrong_line_is_named(text, line, chunk, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", chunk)
    with pytest.raises(LtError, match=f"line {line} should be"):
        parsed(text)


@pytest.mark.parametrize("text", [b"", b"\n\n"])
def test_an_empty_list_is_refused(text):
    with pytest.raises(LtError, match="names no image"):
        parsed(text)


def test_a_list_that_is_not_there(tmp_path):
    with pytest.raises(LtError, match="No such file"):
        ImageIndex.read(tmp_path / "none.txt")


def test_paths_of_any_bytes_come_back(tmp_path):
    paths = ["a b/ü.png", "日本/1.jpg", "x" * 300, Path("raw\udcff.jpg").name]
    assert pairs(ImageIndex.of(paths, [3, 1, 0, 2])) == list(zip(paths, [3, 1, 0, 2], strict=True))
    (tmp_path / "list.txt").write_bytes(b"".join(b"%s 1\n" % p.encode(errors="surrogateescape") for p in paths))
    assert [path for path, _ in pairs(ImageIndex.read(tmp_path / "list.txt"))] == paths


def test_a_selection_shares_the_text():
    index = ImageIndex.of("abcdef", range(6))
    for chosen in (np.array([4, 1]), np.array([False, True, False, False, True, False])):
        part = index.select(chosen)
        assert part.text is index.text
        assert sorted(pairs(part)) == [("b", 1), ("e", 4)]
    assert len(ImageIndex.of([], [])) == 0
