import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import pytest
import torch
import yaml
from commands import refusal
from made import make_run

from lt_lightning.commands import main
from lt_lightning.finished.card import card
from lt_lightning.finished.run import read_run


@pytest.fixture
def run(tmp_path):
    folder = make_run(tmp_path / "flowers")
    config = yaml.safe_dump({"model": {}, "data": {}, "trainer": {}})
    for name in ("best.ckpt", "last.ckpt"):
        torch.save({"state_dict": {"w": torch.zeros(10)}, "lt_config": config}, folder / name)
    (folder / "splits.csv").write_text("path\n/home/grace/1.png\n")
    return folder


@pytest.fixture
def hub(monkeypatch):
    """What a hub that takes everything was sent."""
    module, sent = ModuleType("huggingface_hub"), []
    module.__spec__ = ModuleSpec("huggingface_hub", None)

    class Api:
        def create_repo(self, repository, private, exist_ok):
            sent.append((repository, private, exist_ok))

        def create_commit(self, repository, operations, commit_message):
            sent.extend(operations)
            return SimpleNamespace(commit_url="https://hub/commit/1")

    module.HfApi, module.get_token = Api, lambda: "a token"
    module.CommitOperationAdd = lambda path_in_repo, path_or_fileobj: (path_in_repo, path_or_fileobj)
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    module.sent = sent
    return module


def test_a_dry_run_lists_and_sends_nothing(run, hub, capsys):
    hub.get_token = lambda: None
    main(["push", str(run), "--repo", "grace/flowers", "--dry_run"])
    said = capsys.readouterr().out
    for name in ("README.md", "best.ckpt", "last.ckpt", "config.yaml", "summary.json", "per_class.csv"):
        assert name in said
    assert "splits.csv" not in said
    assert "in all, to grace/flowers" in said
    assert hub.sent == []


def test_a_run_is_sent(run, hub, capsys):
    main(["push", str(run), "--repo", "grace/flowers"])
    (repository, private, exist_ok), *files = hub.sent
    assert (repository, private, exist_ok) == ("grace/flowers", True, True)
    content = dict(files)
    assert content.pop("README.md").decode() == card(read_run(run))
    assert content == {name: str(run / name) for name in content}
    assert {"best.ckpt", "last.ckpt", "config.yaml", "summary.json", "per_class.csv"} == content.keys()
    assert "https://hub/commit/1" in capsys.readouterr().out
    main(["push", str(run), "--repo", "grace/flowers", "--public"])
    assert ("grace/flowers", False, True) in hub.sent


def test_without_a_token_or_with_a_hub_that_refuses(run, hub, capsys, monkeypatch):
    command = ["push", str(run), "--repo", "grace/flowers"]
    hub.get_token = lambda: None
    assert "no token" in refusal(command, capsys)[0]

    def refuse(*_, **__):
        raise RuntimeError("403 Forbidden for hf_" + "x" * 34)

    hub.get_token, hub.HfApi.create_repo = lambda: "a token", refuse
    what, _, fix = refusal(command, capsys)
    assert "403" in what
    assert "hf_x" not in what
    assert "may write" in fix
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "[hub]" in refusal(command, capsys)[2]


@pytest.mark.parametrize("place", ["config.yaml", "per_class.csv", "last.ckpt"])
def test_a_secret_is_never_sent(place, run, hub, capsys):
    token = "hf_" + "a1" * 17
    if place == "last.ckpt":
        config = yaml.safe_dump({"model": {}, "data": {}, "trainer": {}, "name": token})
        torch.save({"state_dict": {"w": torch.zeros(10)}, "lt_config": config}, run / place)
    elif place == "config.yaml":
        (run / place).write_text((run / place).read_text() + f"tags: [{token}]\n")
    else:
        (run / place).write_text((run / place).read_text().replace("class 1", token))
    lines = refusal(["push", str(run), "--repo", "grace/flowers", "--dry_run"], capsys)
    assert token not in "".join(lines)
    assert hub.sent == []


def test_what_cannot_be_pushed(run, capsys):
    assert "expected OWNER/NAME" in refusal(["push", str(run), "--repo", "flowers"], capsys)[0]
    for name in ("best.ckpt", "last.ckpt"):
        (run / name).unlink()
    assert "no checkpoint" in refusal(["push", str(run), "--repo", "grace/flowers", "--dry_run"], capsys)[0]
