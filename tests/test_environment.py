import json

import pytest

from lt_lightning.environment import commit, environment, keep_environment

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def clone(tmp_path):
    git = tmp_path / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    return git


def test_the_commit_of_a_branch_of_a_packed_one_and_of_none(clone):
    assert commit(clone) is None  # before the first commit
    (clone / "packed-refs").write_text(f"# pack-refs\n{SHA[::-1]} refs/heads/other\n{SHA} refs/heads/main\n")
    assert commit(clone) == SHA
    (clone / "refs" / "heads" / "main").write_text(f"{SHA[::-1]}\n")
    assert commit(clone) == SHA[::-1]
    (clone / "HEAD").write_text(f"{SHA}\n")
    assert commit(clone) == SHA


def test_the_commit_of_a_further_work_tree(clone, tmp_path):
    (clone / "refs" / "heads" / "branch").write_text(f"{SHA}\n")
    tree = clone / "worktrees" / "w"
    tree.mkdir(parents=True)
    (tree / "HEAD").write_text("ref: refs/heads/branch\n")
    (tree / "commondir").write_text("../..\n")
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / ".git").write_text(f"gitdir: {tree}\n")
    assert commit(tmp_path / "w" / ".git") == SHA


def test_no_clone_no_commit(tmp_path):
    assert commit(tmp_path / ".git") is None
    (tmp_path / ".git").write_bytes(b"\xff\xfe")
    assert commit(tmp_path / ".git") is None


def test_what_a_run_was_begun_with_stays(tmp_path):
    for accelerator in ("cpu", "cpu", "cuda", "cuda"):
        keep_environment(tmp_path, {"accelerator": accelerator})
    written = json.loads((tmp_path / "env.json").read_text())
    assert written["accelerator"] == "cuda"
    assert [before["accelerator"] for before in written["earlier"]] == ["cpu"]


def test_nothing_personal_is_in_it(tmp_path, monkeypatch):
    monkeypatch.setenv("USER", "grace-hopper")
    text = json.dumps(environment())
    assert all(word not in text for word in ("grace-hopper", str(tmp_path), "/home", "/root", "/tmp"))
    assert {"python", "torch", "lightning", "lt-lightning"} <= environment()["versions"].keys()
