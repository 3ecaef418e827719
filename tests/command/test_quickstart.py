import json

import pytest
from commands import QUIET, fit

from lt_lightning import quickstart
from lt_lightning.commands import main

ONE = ["--trainer.max_epochs", "1", "--trainer.check_val_every_n_epoch", "1"]


def test_it_trains_tests_and_compares_once(tmp_path, monkeypatch, capsys):
    """In one epoch, after a teacher that is there."""
    monkeypatch.setattr(quickstart, "QUICK", [])
    monkeypatch.setattr(quickstart, "QUIET", quickstart.QUIET[:2] + QUIET)
    monkeypatch.setattr(quickstart, "METHODS", {m: [*flags, *ONE] for m, flags in quickstart.METHODS.items()})
    fit(tmp_path / "mcsm" / "teacher", *ONE, config="bs")
    did, run = [], quickstart.run

    def run_and_note(words):
        did.append(words[0])
        run(words)

    monkeypatch.setattr(quickstart, "run", run_and_note)
    main(["quickstart", str(tmp_path)])
    said = capsys.readouterr().out
    assert did == ["fit", "test", "fit", "test", "card", "compare"]
    assert f"$ lt test --ckpt_path {tmp_path / 'ce' / 'last.ckpt'}" in said
    assert said.index("Δ all") < said.index("Next:")
    assert "| mcsm | 1 |" in (tmp_path / "compare.md").read_text()
    assert (tmp_path / "mcsm" / "card.md").is_file()
    did.clear()
    main(["quickstart", str(tmp_path)])
    said = capsys.readouterr().out
    assert did == ["card", "compare"]  # what is there is kept, and shown again
    assert f"{tmp_path / 'mcsm'} was trained before" in said
    assert "Δ all" in said


@pytest.mark.soak
def test_the_better_method_is_better_where_images_are_few(tmp_path):
    main(["quickstart", str(tmp_path)])
    figures = [json.loads((tmp_path / m / "summary.json").read_text())["test"]["last"] for m in ("ce", "mcsm")]
    assert figures[1]["acc_few"] > figures[0]["acc_few"] + 0.1
    assert figures[1]["acc"] > figures[0]["acc"]
    assert len(list((tmp_path / "mcsm" / "plots").glob("*.png"))) >= 8
