"""What is read from JPEG files, and how much of them is decoded."""

from pathlib import Path

import pytest


def test_rows_say_how_much_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import loading

    monkeypatch.setattr(loading, "BATCH", 4)
    loading.make(tmp_path, loading.BATCH + 8, 1000, 900)
    full = loading.compare(loading.InFull, tmp_path, False, 0, 1)
    by_default = loading.compare(loading.FolderLT, tmp_path, False, 0, 1)
    assert (full["ours decodes"], by_default["ours decodes"]) == ("in full", "at 1/2")
    assert full["name"] == by_default["name"] == "1 view"
