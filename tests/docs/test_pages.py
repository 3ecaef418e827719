"""Every code block of README and docs is understood: the quick form of ``test_pages_run.py``."""

import ast
import re
import subprocess
import tomllib
from importlib import import_module
from itertools import pairwise

import pytest
import yaml
from commands import ROOT, fit
from pages import FENCED, LANGUAGES, NAMED, NOT_RUN, PAGES, blocks, commands, write_named

from lt_lightning import cli
from lt_lightning.checkpoints import stored_config
from lt_lightning.commands import SMALL, TRAINER, main

PACKAGE = ROOT / "lt_lightning"
BLOCKS = [(page, block) for page in PAGES for block in blocks(page.read_text())]
LINES = [(page, words) for page, block in BLOCKS if block.language == "bash" for words in commands(block)]
ANY = ("--trainer.default_root_dir", "--ckpt_path", "--seed_everything", "--resume")
"""Flags whose value may be anything of its kind."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """What a checkpoint says of its run."""
    short = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1"]
    return stored_config(str(fit(tmp_path_factory.mktemp("run") / "run", *short) / "last.ckpt"))


@pytest.fixture(scope="module")
def understood():
    """What was understood on earlier pages."""
    return set()


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
def test_every_command_is_understood(page, stored, understood, alone, monkeypatch, capsys):
    monkeypatch.setattr(cli, "stored_config", lambda path: stored)
    for block in blocks(page.read_text()):
        write_named(block, alone)
    for words in (words for other, words in LINES if other == page):
        if words[0] in ("srun", "torchrun"):
            words = ["lt", *words[words.index("lt_lightning") + 1 :]]
        if words[0] != "lt":
            continue
        if words[1] not in ("fit", "validate", "test"):
            assert {words[1], " ".join(words[1:3])} & {*TRAINER, *SMALL, "--help"}, words
        elif (parts := frozenset(word for flag, word in pairwise(words) if flag not in ANY)) not in understood:
            understood.add(parts)
            with pytest.raises(SystemExit) as stop:
                main([*words[1:], "--print_config"])
            assert stop.value.code == 0, (words, capsys.readouterr().err)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_targets_and_files_exist(page):
    text = FENCED.sub("", page.read_text())
    for path in re.findall(r"`((?:lt_lightning|configs|benchmarks|tests)/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / path).exists(), path
    for target in re.findall(
        r"\bmake ([a-z][\w-]+)\b", "\n".join(re.findall(r"`[^`]+`|^make .*$", page.read_text(), re.MULTILINE))
    ):
        subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)


def test_tables_are_those_that_were_measured(monkeypatch):
    """`make tables` would change nothing."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import tables

    for page in tables.PAGES:
        assert tables.filled(page.read_text()) == page.read_text(), page


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation.keys() >= {"cff-version", "message", "title", "authors"}
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert len(project["dependencies"]) <= 12


@pytest.mark.parametrize(
    "package", sorted(path.parent for path in PACKAGE.rglob("__init__.py")), ids=lambda path: path.name
)
def test_every_public_name_is_on_the_api_page(package):
    """Sphinx's automodule shows what ``__all__`` names."""
    name = ".".join(package.relative_to(ROOT).parts)
    if hasattr(import_module(name), "__all__"):
        assert f".. automodule:: {name}\n" in (ROOT / "docs" / "api.md").read_text()


def test_the_readme_is_short():
    lines = (ROOT / "README.md").read_text().splitlines()
    screen = "\n".join(lines[:60])
    assert all(part in screen for part in ("pip install", "lt fit", "<!-- end -->", "docs/images/"))
    assert len(lines) <= 250


def test_what_is_not_run_is_there():
    lines = [" ".join(words) for _, words in LINES]
    unused = [part for part in NOT_RUN if not any(f" {part}" in f" {line}" for line in lines)]
    assert not unused


@pytest.mark.parametrize("script", sorted((ROOT / "docs").glob("*.sh")), ids=lambda script: script.name)
def test_scripts_are_bash(script):
    subprocess.run(["bash", "-n", script], check=True)
