"""A user's mistake gets one error of three lines, a bug its traceback; what is malformed, see ``tests/attacks``."""

import errno
import os
import signal
import subprocess
import sys

import pytest
import torch
from commands import ROOT, fit, refusal

from lt_lightning import commands, mistakes
from lt_lightning.commands import main
from lt_lightning.errors import LtError
from lt_lightning.mistakes import as_mistake
from lt_lightning.recipes import trained_first

CE = ["fit", "--config", str(ROOT / "configs" / "ce.yaml")]


def test_an_error_has_three_lines_whatever_it_quotes():
    text = str(LtError("first\nsecond", "here\n", "do\n\nthis"))
    assert text.splitlines() == ["first second", "  where: here", "  fix: do this"]


def test_a_finished_run_is_not_overwritten(tmp_path, capsys):
    short = ["--trainer.max_epochs", "1", "--trainer.check_val_every_n_epoch", "1"]
    before = {path: path.read_bytes() for path in fit(tmp_path, *short).iterdir() if path.is_file()}
    what, where, _ = refusal([*CE, *short, "--trainer.default_root_dir", str(tmp_path)], capsys)
    assert "holds another run, or a finished one" in what
    assert str(tmp_path) in where
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}


@pytest.mark.parametrize("command", ["fit", "test", "predict"])
def test_help_fits_a_screen(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert len(text.splitlines()) <= 60
    assert "--ckpt_path" in text
    assert text.startswith(
        f"usage: lt {command} " + ("--config FILE" if command == "fit" else "[PATH ...] --ckpt_path")
    )


@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict"])
def test_a_command_alone_says_what_it_begins_with(command, capsys):
    what, _, fix = refusal([command], capsys)
    assert what.startswith("lt: error: expected a model and data")
    begins = "--config configs/mcsm.yaml" if command == "fit" else "--ckpt_path runs/mcsm/last.ckpt"
    assert fix.endswith(f"lt {command} {begins}")


@pytest.mark.parametrize("words", [[], ["--help"], ["--version"], ["predict", "--help"], ["data"], ["fti"]])
def test_what_needs_no_torch_does_not_wait_for_it(words):
    code = f"import sys\nfrom lt_lightning.commands import main\ntry: main({words})\n"
    code += "finally: assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2 * (words == ["fti"])
    assert "AssertionError" not in done.stderr
    assert 1 <= len((done.stdout + done.stderr).splitlines()) <= 25


@pytest.mark.parametrize("name", commands.SMALL)
def test_each_command_is_where_the_table_says_and_says_what_it_does(name, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*name.split(), "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert len(text.splitlines()) <= 60
    assert "%%" not in text


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        (["--config", "mcsm"], "did you mean 'configs/mcsm.yaml'?"),
        (["--config", "configs/mcsm"], "did you mean 'configs/mcsm.yaml'?"),
        (["photos"], "--config configs/on/own_images.yaml --data.root DIR"),
        (["--data", "photos"], "--config configs/on/own_images.yaml --data.root DIR"),
        (["--data.root", "nowhere"], "--config configs/on/own_images.yaml --data.root DIR"),
        (["--config", "configs/on/own_images.yaml"], "name it by --data.root"),
        (["--model", "resnet50"], "name a network by --model.backbone resnet50"),
        (["--epochs", "3"], "did you mean 'trainer.max_epochs'?"),
        (["--trainer.epochs", "3"], "did you mean 'trainer.max_epochs'?"),
    ],
)
def test_what_newcomers_type_is_answered_with_what_they_mean(words, fix, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    assert refusal([*CE, *words], capsys)[2].endswith(fix)


def test_a_folder_is_no_checkpoint(tmp_path, capsys):
    fix = refusal(["test", "--ckpt_path", str(tmp_path)], capsys)[2]
    assert fix.endswith(f"such as {tmp_path / 'last.ckpt'}")


def test_a_number_in_words_is_no_name(capsys):
    assert refusal([*CE, "--optimizer.lr", "high"], capsys)[0].endswith("expected a number, got high")


def test_a_word_that_begins_several_commands_names_them(capsys):
    main(["data", "--help"])
    assert [line[:7] for line in capsys.readouterr().out.splitlines()] == ["lt data"] * 2
    assert refusal(["data", "chek", "x"], capsys)[2].endswith("did you mean lt data check?")


@pytest.mark.parametrize(
    ("words", "raised"),
    [
        (["--debug", *CE, "--optimizr", "SGD"], "LtError: unknown name 'optimizr'"),
        (["methods", "--debug", "all"], "LtError: unrecognized arguments: all"),
        (["data", "check", "nowhere", "--debug"], "LtError: no such file"),
        (["seeds", "a.ckpt", "--debug"], "LtError: expected two or more"),
    ],
)
def test_debug_shows_the_traceback_before_the_three_lines(words, raised, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    trace, _, lines = capsys.readouterr().err.rpartition("lt: error: ")
    assert trace.startswith("Traceback (most recent call last):")
    assert raised in trace
    assert len(lines.splitlines()) == 3


def raises(error):
    """A command that fails."""

    def run(words):
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "said", "fix"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"), "20.00 GiB", "--data.batch_size"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"), "9 bytes", "--data.batch_size"),
        (MemoryError(), "not enough memory", "--data.batch_size"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."), "pid 7", "--data.num_workers"),
        (RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"), "data.num_workers", "--shm-size"),
        (RuntimeError("unable to write to file </torch_7_8_9>"), "torch_7_8_9", "--shm-size"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left", "make room"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files", "ulimit -n"),
        (PermissionError(errno.EACCES, "Permission denied", "there"), "there", "allow it"),
        (UnicodeDecodeError("utf-8", b"# \xe4", 2, 3, "invalid byte"), "xe4", "UTF-8"),
    ],
)
def test_an_error_of_the_system_says_how_to_mend_it(error, said, fix, monkeypatch, capsys):
    monkeypatch.setattr(commands, "run", raises(error))
    lines = refusal(["methods"], capsys)
    assert said in " ".join(lines)
    assert fix in lines[2]


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError("mat1 and mat2 shapes cannot be multiplied")])
def test_a_bug_keeps_its_traceback_and_ends_with_a_line_that_says_so(error, monkeypatch):
    monkeypatch.setattr(commands, "run", raises(error))
    with pytest.raises(type(error)) as caught:
        main(["methods"])
    assert caught.value.__notes__ == [f"lt: {mistakes.BUG}"]
    assert as_mistake(error) is None


def test_recipes_that_name_one_another_come_to_an_end(tmp_path):
    (tmp_path / "own.yaml").write_text("model: {init_args: {teacher: own.yaml}}")
    inherited = {"data": {"class_path": "DigitsLT", "init_args": {}}}
    with pytest.raises(LtError, match="in a circle"):
        trained_first(str(tmp_path / "own.yaml"), [], inherited, tmp_path.joinpath(*["teacher"] * 4))


@pytest.mark.command
@pytest.mark.parametrize("module", ["jsonargparse", "torch", "lightning"])
def test_an_interruption_is_quiet_while_the_command_is_still_being_imported(module, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.abc, os, signal, sys\n"
        "class Interrupt(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a test in the background has it ignored
    command = [sys.executable, "-m", "lt_lightning", "fit", "--help"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.removeprefix("lt: interrupted\n"), done.stdout) == (130, "", "")


@pytest.mark.command
def test_a_terminal_that_knows_ascii_alone():
    odd = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "OMP_NUM_THREADS": "nonsense"}
    command = [sys.executable, "-m", "lt_lightning", "methods"]
    done = subprocess.run(command, env=os.environ | odd, capture_output=True, text=True, check=True)
    assert "mean ? standard deviation" in done.stdout
