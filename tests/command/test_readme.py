"""The README tells the truth: its commands are parsed, its targets exist."""

import re
import shlex
import subprocess

import pytest
from commands import ROOT

from lt_lightning.commands import main

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
COMMANDS = {line.split(" #")[0].strip() for block in BLOCKS for line in block.splitlines()}
FILES = set(re.findall(r"`((?:lt_lightning|configs|benchmarks|tests)/[\w/.]+)`", README))


@pytest.mark.parametrize("line", sorted(line for line in COMMANDS if line.startswith("lt fit --config")))
def test_each_fit_is_understood(line, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as stop:
        main([*shlex.split(line)[1:], "--print_config"])
    assert stop.value.code == 0
    assert "class_path" in capsys.readouterr().out


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake (\w+)\b", README))))
def test_each_make_target_exists(target):
    subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:lt_lightning|configs|benchmarks|tests)/[\w/.]+)`", README)))
)
def test_each_file_exists(path):
    assert (ROOT / path).exists()


def test_tables_are_those_that_were_measured(monkeypatch):
    """`make tables` would change nothing."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import tables

    for page in tables.PAGES:
        assert tables.filled(page.read_text()) == page.read_text(), page
