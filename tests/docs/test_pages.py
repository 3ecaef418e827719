"""Every code block of README and docs is understood: the quick form of ``test_pages_run.py``."""

import ast
import subprocess
from difflib import get_close_matches

import pytest
import yaml
from commands import ROOT, fit
from pages import FENCED, LANGUAGES, NAMED, NOT_RUN, PAGES, blocks, commands

from lt_lightning import cli, plugins
from lt_lightning.checkpoints import stored_config

BLOCKS = [(page, block) for page in PAGES for block in blocks(page.read_text())]
LINES = [(page, words) for page, block in BLOCKS if block.language == "bash" for words in commands(block)]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """What a checkpoint says of its run."""
    short = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1"]
    return stored_config(str(fit(tmp_path_factory.mktemp("run") / "run", *short) / "last.ckpt"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_fence_is_a_block_of_a_known_language(page):
    text = page.read_text()
    known = {block.language for block in blocks(text)}
    assert {name for name in known if name[:1] != "{"} <= LANGUAGES
    assert text.count("```") == 2 * len(FENCED.findall(text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_and_yaml_can_be_read(page):
    for block in blocks(page.read_text()):
        if block.language == "python":
            ast.parse(block.text)
            if NAMED.match(block.text):  # a file of one's own: short
                assert block.text.count("\n") <= 31
        if block.language == "yaml":
            yaml.safe_load(block.text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_is_understood(page, stored, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*plugins.sys.path])
    monkeypatch.setattr(cli, "stored_config", lambda path: stored)
    for block in blocks(page.read_text()):
        if block.language in ("python", "yaml") and (found := NAMED.match(block.text)):
            (tmp_path / found[1]).write_text(block.text[found.end() :])
    for words in (words for other, words in LINES if other == page):
        if words[0] in ("srun", "torchrun"):
            words = words[words.index("lt") if "lt" in words else words.index("lt_lightning") :]
        if words[0] not in ("lt", "lt_lightning"):
            continue
        if words[1] in ("fit", "validate", "test"):
            with pytest.raises(SystemExit) as stop:
                cli.main([*words[1:], "--print_config"])
            assert stop.value.code == 0, (words, capsys.readouterr().err)
        else:
            known = {name.split()[0] for name in cli.SMALL} | {"predict"}
            assert words[1] in known or words[1].startswith("--"), (words, get_close_matches(words[1], known))
    plugins.import_plugins([])


def test_what_is_not_run_is_there():
    lines = [" ".join(words) for _, words in LINES]
    unused = [part for part in NOT_RUN if not any(f" {part}" in f" {line}" for line in lines)]
    assert not unused


@pytest.mark.parametrize("script", sorted((ROOT / "docs").glob("*.sh")), ids=lambda script: script.name)
def test_scripts_are_bash(script):
    subprocess.run(["bash", "-n", script], check=True)
