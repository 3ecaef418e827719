"""What a run says on the screen: with a terminal and without, and how seldom the device is asked for it."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from lightning.pytorch.callbacks import RichProgressBar
from rich.console import Console

from lt_lightning.callbacks import Progress, Report, TrainingLog, progress
from lt_lightning.callbacks.progress import has_bar
from lt_lightning.callbacks.screen import ClassFigure, show_report, validation_line

sys.path.append(str(Path(__file__).parents[1] / "command"))
from commands import fit

LAST = {"epoch": 11, "acc": 0.482, "acc_many": 0.671, "acc_medium": 0.46, "acc_few": 0.289, "bal_acc": 0.4671}
LAST |= {"ece": 0.0321, "nll": 2.0, "macro_f1": 0.4, "auprc": 0.5}
WITH_BAR = ["--trainer.max_epochs", "2", "--trainer.check_val_every_n_epoch", "1"]
WITH_BAR += ["--trainer.enable_progress_bar", "true"]
FIGURES = r"all \d+\.\d  many \d+\.\d  med \d+\.\d  few \d+\.\d  bal \d+\.\d  ECE \d+\.\d  best \d+\.\d @ \d"


def test_the_line_of_a_validation():
    best = {**LAST, "epoch": 10, "acc": 0.489}
    line = "epoch 12/50  all 48.2  many 67.1  med 46.0  few 28.9  bal 46.7  ECE 3.2  best 48.9 @ 11"
    assert validation_line(LAST, best, 50, {}) == line
    assert validation_line(LAST, best, -1, {"loss": "2.5"}).startswith("epoch 12  loss 2.5  all 48.2")
    assert "few" not in validation_line({k: v for k, v in LAST.items() if k != "acc_few"}, best, 50, {})


def test_without_a_terminal_there_is_a_line_a_validation_and_no_bar(tmp_path, capsys):
    fit(tmp_path, *WITH_BAR)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ")]
    assert len(lines) == 2
    for number, line in enumerate(lines, start=1):
        assert re.fullmatch(rf"epoch {number}/2  loss \d+\.\d+  lr \S+  img/s [\d,]+  {FIGURES}", line), line


def test_with_a_terminal_the_line_stands_above_the_bar(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Console, "is_terminal", property(lambda _: True))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(progress, "EVERY", 0.0)
    fit(tmp_path, *WITH_BAR, "--trainer.num_sanity_val_steps", "1")
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().out)
    assert len(re.findall(rf"epoch \d/2  {FIGURES}", text)) == 2
    bars = [line for line in re.split(r"[\r\n]+", text) if line.startswith("epoch 2/2") and "━" in line]
    assert any(re.search(r"4/4 loss: \d+\.\d+ lr: \S+ img/s: [\d,]+ left: \d+:\d\d:\d\d", line) for line in bars), bars


def test_nothing_is_said_where_bars_are_turned_off(tmp_path, capsys):
    fit(tmp_path, *WITH_BAR[:-1], "false")
    assert not [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ")]


def test_the_device_is_asked_twice_a_second_however_many_steps_there_are(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    log, asked = TrainingLog(), []
    log.add("loss", torch.tensor(1.5))
    plain = log.means
    monkeypatch.setattr(log, "means", lambda: asked.append(now[0]) or plain())
    log.on_train_epoch_start(None, None)
    bar = Progress(log, Report())
    bar._began, bar._first, bar._steps = 100.0, 0, 2000
    optimizer = SimpleNamespace(param_groups=[{"lr": 0.1}])
    for step in range(1000):
        now[0] = 100.0 + 0.001 * step
        trainer = SimpleNamespace(global_step=step, optimizers=[optimizer], world_size=1, sanity_checking=False)
        shown = bar.get_metrics(trainer, None)
    assert len(asked) <= 3
    assert shown["left"] == "0:00:01"


def test_a_bar_that_the_user_names_is_used():
    assert has_bar([RichProgressBar()])
    assert has_bar(RichProgressBar())
    assert not has_bar([Report()])
    assert not has_bar([])


def test_the_report_fits_80_columns_and_says_what_is_worst_and_what_to_do_next(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    experts = {f"expert{m}/{name}": value for m in (1, 2, 3) for name, value in LAST.items() if name != "epoch"}
    summary = {
        "losses": ["CrossEntropy", "BalancedSoftmax", "InverseSoftmax"],
        "groups": {"many": 2, "medium": 3, "few": 5},
        "params": 10**6,
        "macs": 10**7,
        "val": {"last": LAST | experts, "best": LAST | experts, "selected_on": "validation"},
    }
    names = ["[bold]x", "a\x1b[31mb", "very long name of a species of moth"]
    classes = [ClassFigure(f"class {c}", 50 - c, c / 20) for c in range(4, 20)]
    classes += [ClassFigure(name, 3, 0.01 * n) for n, name in enumerate(names)] + [ClassFigure("none", 9, float("nan"))]
    run = tmp_path / "my run"
    show_report(run, summary, "val", classes)
    text = capsys.readouterr().out
    rows = [line for line in text.splitlines() if line.startswith((" expert", " ensemble"))]
    assert len(rows) == 4
    assert all(len(row) <= 80 for row in rows)
    for row in rows:
        assert row.split()[-9:] == ["48.2", "67.1", "46.0", "28.9", "46.7", "40.0", "50.0", "2.000", "3.2"]
    certain = {name: 1.0 if name.endswith("acc_many") else value for name, value in (LAST | experts).items()}
    show_report(run, summary | {"test": {"last": certain, "selected_on": "validation"}}, "test", classes)
    assert (
        sum("  100.0  " in line for line in capsys.readouterr().out.splitlines()) == 4
    )  # names are cut, figures are not
    said = " ".join(text.split())
    assert "classes: 2 many, 3 medium, 5 few" in said
    worst = (
        "[bold]x 0.0 (3), a\\x1b[31mb 1.0 (3), very long name of a spe… 2.0 (3), class 4 20.0 (46), class 5 25.0 (45)"
    )
    assert worst in said
    assert "none" not in said
    assert f"lt test --ckpt_path '{run}'/last.ckpt" in text
    show_report(run, summary | {"test": summary["val"]}, "test", classes)
    assert "next:" not in capsys.readouterr().out
