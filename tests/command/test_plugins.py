"""Classes of the user's own come by ``--plugins FILE.py``, and by nothing else."""

import re
import shlex
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from commands import QUIET, ROOT, fit, load, refusal
from safetensors import safe_open

from lt_lightning import child, plugins
from lt_lightning.checkpoints import load_module
from lt_lightning.commands import main
from lt_lightning.errors import LtError

CE = ["fit", "--config", str(ROOT / "configs" / "ce.yaml")]
SHORT = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1", "--trainer.limit_val_batches", "1"]
PAGE = (ROOT / "docs" / "plugins.md").read_text()
OWN = """
from lt_lightning.data import DigitsLT
from lt_lightning.losses import CrossEntropy
from lt_lightning.modules import Teacher
import os
class {0}Digits(DigitsLT): pass
class {0}Loss(CrossEntropy): pass
class {0}Teacher(Teacher): pass
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Write a plugin; its classes begin with its name."""
    monkeypatch.setattr("sys.path", [*plugins.sys.path])

    def write(name: str) -> str:
        (tmp_path / f"{name}.py").write_text(OWN.format(name.title()))
        return str(tmp_path / f"{name}.py")

    yield write
    plugins.import_plugins([])
    for name, module in [*sys.modules.items()]:
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def test_the_documented_examples_together(tmp_path, monkeypatch, own):
    """A loss, a backbone, a set and a method of one's own, by name from YAML."""
    monkeypatch.chdir(tmp_path)
    for name, text in re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL):
        Path(name).write_text(text)
        assert text.count("\n") <= 30
    line = next(line for line in PAGE.splitlines() if "own.yaml --plugins" in line)
    main([*shlex.split(line)[1:], *SHORT, *QUIET])
    config = load(Path("runs/own/last.ckpt"))["lt_config"]
    assert all(name in config for name in ("smooth.Smooth", "plain.Plain", "colours.Colours", "joint.Joint"))
    files = [word for flag, word in pairwise(shlex.split(line)) if flag == "--plugins" for word in (flag, word)]
    main(["export", "--ckpt_path", "runs/own/last.ckpt", "--format", "safetensors", *files])
    with safe_open("runs/own/export/last.safetensors", "pt") as opened:
        assert "plain.Plain" in opened.metadata()["method"]


def test_a_checkpoint_needs_the_plugin_of_its_classes(tmp_path, own, capsys):
    file = own("alpha")
    names = ["--data", "AlphaDigits", "--model", "AlphaTeacher", "--model.losses", '["alpha.AlphaLoss"]']
    run = fit(tmp_path / "run", *SHORT, "--plugins", file, *names)
    last = str(run / "last.ckpt")
    other = str(fit(tmp_path / "other", *SHORT, f"--plugins={file}", *names, "--seed_everything", "1") / "last.ckpt")
    for command in (["validate", "--ckpt_path", last], ["predict", "--ckpt_path", last], ["seeds", last, other]):
        main(["--plugins", file, *command, *([] if command[0] == "seeds" else QUIET)])
        what, _, fix = refusal(command, capsys)
        assert "alpha.Alpha" in what
        assert "--plugins" in fix
    refusal(["fit", "--resume", str(run)], capsys)
    with pytest.raises(LtError, match="--plugins"):
        load_module(last, load(run / "last.ckpt")["lt_class_names"])
    plugins.import_plugins(["--plugins", file])
    load_module(last, load(run / "last.ckpt")["lt_class_names"])


def test_what_is_trained_first_gets_the_plugins(tmp_path, own, monkeypatch):
    seen = []

    def run(command, env):
        seen.append((command, env))
        return 1

    monkeypatch.setattr(child, "run", run)
    first, second = own("beta"), own("gamma")
    students = [
        "fit",
        "--config",
        str(ROOT / "configs" / "mcsm.yaml"),
        "--trainer.default_root_dir",
        str(tmp_path / "run"),
    ]
    with pytest.raises(SystemExit):
        main([*students, "--plugins", first, "--data", "BetaDigits", "--plugins", second])
    command, env = seen[0]
    assert [word for flag, word in pairwise(command) if flag == "--plugins"] == [first, second]
    assert env["PYTHONSAFEPATH"] == "1"


def test_what_a_plugin_imports_is_not_its_own(own, capsys):
    names = ["--plugins", own("delta"), "--model.losses", '["delta.os.system"]']
    assert "system is none of the classes" in refusal([*CE, *names], capsys)[0]


@pytest.mark.parametrize("name", ["yaml", "json", "lt_lightning", "torch", "sys"])
def test_a_plugin_hides_no_module(name, own, capsys):
    what, where, _ = refusal([*CE, "--plugins", own(name)], capsys)
    assert name in what
    assert f"{name}.py" in where


@pytest.mark.parametrize("file", ["nowhere.py", "folder.py", "data.yaml", "no-name.py", ""])
def test_what_is_no_plugin_is_refused(file, tmp_path, monkeypatch, own, capsys):
    monkeypatch.chdir(tmp_path)
    Path("folder.py").mkdir()
    Path("data.yaml").touch()
    Path("no-name.py").touch()
    refusal([*CE, "--plugins", file], capsys)
    refusal([*CE, f"--plugins={file}"], capsys)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n\nraise ValueError('why')", "ValueError: why"),
        ("x = 1\n\nimport nosuch", "nosuch"),
        ("\n\nx = (", "Syntax"),
    ],
)
def test_an_error_of_a_plugin_is_its_own(text, said, tmp_path, own, capsys):
    file = tmp_path / "broken.py"
    file.write_text(text)
    what, where, _ = refusal([*CE, "--plugins", str(file)], capsys)
    assert said in what
    assert f"{file}, line 3" in where
    refusal([*CE, "--plugins", str(file)], capsys)


def test_help_names_the_flag(capsys):
    with pytest.raises(SystemExit):
        main(["fit", "--help"])
    assert "--plugins" in capsys.readouterr().out
