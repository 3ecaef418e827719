"""``metrics.csv`` of a run that was interrupted reads as that of one that was not."""

import csv
from pathlib import Path

import pytest

from lt_lightning.loggers import ContinuedWriter


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def log(writer: ContinuedWriter, **row: float) -> None:
    writer.log_metrics({k: v for k, v in row.items() if k != "step"}, int(row["step"]))
    writer.save()


def test_steps_that_are_taken_again_replace_those_before(tmp_path):
    first = ContinuedWriter(str(tmp_path))
    for epoch, step in enumerate((3, 7, 11)):
        log(first, step=step, epoch=epoch, acc=0.1 * epoch)
        log(first, step=step, epoch=epoch, loss=1.0)
    second = ContinuedWriter(str(tmp_path))  # goes on from the end of the first epoch
    assert len(rows(tmp_path)) == 6
    log(second, step=7, epoch=1, acc=0.5)
    assert [row["step"] for row in rows(tmp_path)] == ["3", "3", "7", "7"]
    log(second, step=7, epoch=1, loss=2.0, speed=9.0)  # the speed is not known where a run goes on at an epoch's end
    log(second, step=7, epoch=1, loss=2.0)
    log(second, step=11, epoch=2, acc=0.6)
    written = rows(tmp_path)
    assert [row["step"] for row in written] == ["3", "3", "7", "7", "11"]
    assert [(row["acc"], row["loss"]) for row in written[2:]] == [("0.5", ""), ("", "2.0"), ("0.6", "")]


def test_a_run_that_logged_nothing_has_no_file(tmp_path):
    ContinuedWriter(str(tmp_path)).save()
    assert list(tmp_path.iterdir()) == []


def test_a_new_column_keeps_what_was_logged(tmp_path):
    writer = ContinuedWriter(str(tmp_path))
    log(writer, step=1, epoch=0, loss=2.0)
    log(writer, step=1, epoch=0, acc=0.3)
    assert rows(tmp_path) == [
        {"acc": "", "epoch": "0", "loss": "2.0", "step": "1"},
        {"acc": "0.3", "epoch": "0", "loss": "", "step": "1"},
    ]


def test_a_write_that_fails_leaves_the_file_before(tmp_path, monkeypatch):
    writer = ContinuedWriter(str(tmp_path))
    log(writer, step=1, epoch=0, loss=2.0)
    before = (tmp_path / "metrics.csv").read_bytes()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(OSError, match="No space"):
        log(writer, step=2, epoch=1, loss=1.0)
    assert (tmp_path / "metrics.csv").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"]
