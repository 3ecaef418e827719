"""A user's mistake gets one clear error of three lines with the nearest name, exit status 2, and loses nothing."""

import pytest
from commands import ROOT, fit, refusal

from lt_lightning.cli import main
from lt_lightning.errors import LtError

CE = ["fit", "--config", str(ROOT / "configs" / "ce.yaml")]


@pytest.mark.parametrize(
    ("flags", "wrong", "meant"),
    [
        (["--trainer.max_epoch", "3"], "trainer.max_epoch", "trainer.max_epochs"),
        (["--optimizr", "SGD"], "optimizr", "optimizer"),
        (["--model.lossess", "[CrossEntropy]"], "lossess", "losses"),
        (["--model", "Teechr"], "Teechr", "Teacher"),
        (["--data", "CIFAR10TL"], "CIFAR10TL", "CIFAR10LT"),
        (["--model.backbone", "resnet33"], "resnet33", "resnet32"),
        (["--model.losses", '["CrossEntropi"]'], "CrossEntropi", "CrossEntropy"),
        (["--data.imbalance_facto", "10"], "imbalance_facto", "imbalance_factor"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(flags, wrong, meant, capsys):
    what, _, fix = refusal([*CE, *flags], capsys)
    assert wrong in what
    assert fix.endswith(f"did you mean {meant!r}?")


@pytest.mark.parametrize(
    ("yaml", "wrong", "meant"),
    [
        ("trainer: {max_epoch: 3}", "max_epoch", "max_epochs"),
        ("trainr: {max_epochs: 3}", "trainr", "trainer"),
        ("model: {init_args: {backbon: resnet8}}", "backbon", "backbone"),
        ("model: {init_args: {losses: [{class_path: InverseSoftmax, init_args: {taw: 2}}]}}", "taw", "tau"),
        ("lr_scheduler: {class_path: WarmupCosin}", "WarmupCosin", "WarmupCosine"),
    ],
)
def test_an_unknown_key_in_a_file_is_refused_with_the_nearest(yaml, wrong, meant, tmp_path, capsys):
    (tmp_path / "bad.yaml").write_text(yaml)
    what, _, fix = refusal([*CE, "--config", str(tmp_path / "bad.yaml")], capsys)
    assert wrong in what
    assert meant in fix


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--trainer.max_epochs", "many"], "many"),
        (["--data.imbalance_factor", "0.5"], "imbalance_factor must lie in [1, 100]"),
        (["--data.imbalance_factor", "nan"], "nan"),
        (["--data.few", "200"], "few (200)"),
        (["--model.shared_stages", "9"], "shared_stages must be between 0 and 3"),
        (["--model.losses", "[]"], "num_experts must be at least 1"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
        (["--data.batch_size", "0"], "sizes of batches must be positive"),
        (["--data.eval_batch_size", "0"], "sizes of batches must be positive"),
        (["--data.num_workers", "-1"], "workers and views not negative"),
        (["--trainer.accelerator", "mps"], "MPS"),
        (["--data", "CIFAR100LT", "--data.root", "nowhere", "--data.imbalance_factor", "1000"], "[1, 500]"),
    ],
)
def test_a_bad_value_is_refused(flags, said, tmp_path, capsys):
    assert said in refusal([*CE, *flags, "--trainer.default_root_dir", str(tmp_path)], capsys)[0]


@pytest.mark.parametrize("arguments", [["fut"], ["test"], [], ["fit"]])
def test_a_command_without_its_parts_is_refused(arguments, capsys):
    refusal(arguments, capsys)


def test_an_error_has_three_lines_whatever_it_quotes():
    text = str(LtError("first\nsecond", "here\n", "do\n\nthis"))
    assert text.splitlines() == ["first second", "  where: here", "  fix: do this"]


def test_a_broken_file_is_refused(tmp_path, capsys):
    (tmp_path / "bad.yaml").write_text("model: [unclosed")
    assert "line 1" in refusal([*CE, "--config", str(tmp_path / "bad.yaml")], capsys)[0]


@pytest.mark.parametrize(
    ("text", "twin", "line"),
    [
        ("trainer: {max_epochs: 3}\nmodel: {}\ntrainer: {max_epochs: 1}", "trainer", 3),
        ("trainer:\n  max_epochs: 3\n  precision: 32\n  max_epochs: 4", "max_epochs", 4),
        ("model: {init_args: {losses: [{class_path: CrossEntropy, class_path: Focal}]}}", "class_path", 1),
    ],
)
def test_a_key_that_stands_twice_is_refused(text, twin, line, tmp_path, capsys):
    (tmp_path / "bad.yaml").write_text(text)
    what, where, _ = refusal([*CE, "--config", str(tmp_path / "bad.yaml")], capsys)
    assert f"'{twin}' stands twice" in what
    assert f"line {line}" in where


def test_a_finished_run_is_not_overwritten(tmp_path, capsys):
    short = ["--trainer.max_epochs", "1", "--trainer.check_val_every_n_epoch", "1"]
    before = {path: path.read_bytes() for path in fit(tmp_path, *short).iterdir() if path.is_file()}
    what, where, _ = refusal([*CE, *short, "--trainer.default_root_dir", str(tmp_path)], capsys)
    assert "holds another run, or a finished one" in what
    assert str(tmp_path) in where
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}


@pytest.mark.parametrize(("arguments", "most"), [([], 25), (["fit"], 60), (["test"], 60)])
def test_help_fits_a_screen(arguments, most, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert len(text.splitlines()) <= most
    assert "--config" in text
