"""A summary of a stranger's is looked through before it is used."""

import json
from pathlib import Path

import pytest

from lt_lightning.errors import LtError
from lt_lightning.summary import read_described

SOUND = {
    "model": "Teacher",
    "losses": ["CrossEntropy"],
    "data": "X",
    "seed": 0,
    "train_images": 5,
    "params": 1,
    "macs": 2,
}
SOUND |= {"groups": {"many": 1}, "thresholds": {"many": 100, "few": 20}}
SOUND |= {"val": {"last": {"acc": 0.5, "epoch": 1}, "best": {"acc": float("nan")}, "train_seconds": 3.5}}


def test_what_a_run_writes_is_taken(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(json.dumps(SOUND))
    assert read_described(tmp_path)["val"]["last"] == {"acc": 0.5, "epoch": 1}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"train_images": "5"}, "train_images"),
        ({"losses": []}, "losses"),
        ({"losses": ["a", 1]}, "losses"),
        ({"groups": {"many": "1"}}, "groups"),
        ({"thresholds": {"many": None}}, "thresholds"),
        ({"test": 3}, "test"),
        ({"test": {"last": {"acc": "0.5"}}}, "test/last"),
        ({"val": {"last": {}, "best": [1]}}, "val/best"),
        ({"val": {"train_seconds": "x"}}, "val"),
        ({"test": {"checkpoint": 3}}, "test/checkpoint"),
        ({"params": 10**400}, "a number of 401 digits"),
    ],
)
def test_what_no_run_writes_is_refused_by_its_name(tmp_path: Path, change: dict[str, object], said: str) -> None:
    (tmp_path / "summary.json").write_text(json.dumps(SOUND | change))
    with pytest.raises(LtError, match=f"damaged.*{said}"):
        read_described(tmp_path)
