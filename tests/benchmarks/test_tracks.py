"""The harness that reproduces the field's figures: its commands are understood, its page says what was run."""

import hashlib
import json
from pathlib import Path

import pytest

from lt_lightning.commands import main

KEYS = ["ce", "bs", "ldam_drw", "bs_aa200", "proco", "bs_aa400", "mcsm_plus", "ride", "sade", "mcsm", "mcem"]
KEYS += ["balpoe", "mdcs", "mcem_plus"]
LEFT = ("csv", "json")
LONG = {"bs_aa400", "balpoe", "mdcs", "mcem_plus", "mcsm_plus"}


def test_these_are_all() -> None:
    import tracks

    assert [*tracks.everything()] == KEYS


@pytest.mark.parametrize("key", KEYS)
def test_its_command_is_understood(key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the full budget; what the short one adds is tested with the configurations."""
    import tracks
    import trained

    places = tracks.places(key, 3, str(tmp_path), tmp_path)
    if "--model.teacher" in places:
        places["--model.teacher"] = "bs.yaml"  # it need not be there to be understood
    with pytest.raises(SystemExit) as stop:
        main(["fit", *tracks.words(key, 3, "full"), *trained.flags(places), "--print_config"])
    printed = capsys.readouterr().out
    assert stop.value.code == 0
    assert "CIFAR100LT" in printed
    assert f"max_epochs: {400 if key in LONG else 200}" in printed
    assert "seed_everything: 3" in printed


def test_a_row_is_run_once_and_its_teacher_first(
    tmp_path: Path, fake_cifar: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tracks
    import trained

    monkeypatch.setattr(tracks, "RESULTS", tmp_path / "results")
    step = "--trainer.max_epochs 1 --trainer.limit_train_batches 1 --trainer.check_val_every_n_epoch 1"
    data = "--data.imbalance_factor 2 --data.many 4 --data.few 4 --data.batch_size 4"  # all groups have classes
    quick = f"{data} {step} --trainer.accelerator cpu --plots.pictures false"
    monkeypatch.setitem(tracks.BUDGETS, "short", (quick, 1))
    where = str(fake_cifar), tmp_path / "work"
    more = "--trainer.precision bf16-mixed"
    tracks.run("mcsm_plus", 0, "short", *where, more)  # taught by mcem_plus
    kept = sorted((tmp_path / "results" / "short").iterdir())
    assert [file.name for file in kept] == [f"{key}-0.{kind}" for key in ("mcem_plus", "mcsm_plus") for kind in LEFT]
    assert str(tmp_path) not in "".join(file.read_text() for file in kept)
    monkeypatch.setattr(trained, "main", pytest.fail)
    tracks.run("mcsm_plus", 0, "short", *where, more)
    lines = tracks.table("short").splitlines()
    assert sum("not run" in line for line in lines) == len(KEYS) - 2
    row = next(line for line in lines if line.startswith("| MCSM+ "))
    assert " | - | at least 55.5 " in row  # validated once: no epoch was chosen
    measured = json.loads(kept[3].read_text())
    assert f"| {100 * measured['last']['acc']:.1f} |" in row
    assert f"\n{measured['command']}\n" in "\n".join(lines)
    assert measured["command"].startswith("lt fit --config configs/mcsm.yaml --config configs/on/cifar100_lt_mcsm_plus")
    assert measured["command"].endswith(" --trainer.precision bf16-mixed --seed_everything 0")
    (tmp_path / "results" / "short" / "mcsm_plus-0.json").unlink()
    with pytest.raises(SystemExit, match="was trained by"):  # its command would be said of a run of another one
        tracks.run("mcsm_plus", 0, "short", *where)
    checkpoint = (tmp_path / "work" / "mcsm_plus-0" / "last.ckpt").read_bytes()
    assert measured["last.ckpt"] == f"sha256:{hashlib.sha256(checkpoint).hexdigest()}"
    assert "at least 55.5 (our hypothesis) | - | 0.47 | 69 | bf16-mixed | 1 |" in row


def test_what_counts_as_reproduced(monkeypatch: pytest.MonkeyPatch) -> None:
    import tracks

    def verdict(*accuracies: float) -> str:
        last = {f"acc{group}": 0.5 for group in ("_many", "_medium", "_few")}
        runs = [
            {
                "last": {**last, "acc": a},
                "best": 0.6,
                "validations": 40,
                "params": 1e6,
                "macs": 1e6,
                "precision": "32-true",
                "env": {"commit": "abcdef123"},
            }
            for a in accuracies
        ]
        cells = tracks.cells(tracks.everything()["ce"], runs, "full")
        assert cells[4].startswith("60.0")  # the best epoch of forty
        return cells[6]  # of 38.3 to 40.3

    assert [verdict(0.379), verdict(0.407), verdict(0.37), verdict(0.42)] == ["yes", "yes", "no", "above"]
    assert verdict(0.37, 0.39) == "yes"
