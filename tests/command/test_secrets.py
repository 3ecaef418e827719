"""No secret of the environment, of git or of a configuration is found in any byte that the command leaves or says."""

import base64
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pytest
import torch
import yaml
from commands import QUIET, ROOT, load, refusal
from secrets_and_innocents import HEX, INNOCENTS, NAMED, SECRETS, TOKEN
from trees import tree

pytestmark = pytest.mark.command

COUNTS = {"key": 6, "md5-b1c6952ce38f31868cc50ea72d066cc3": 4, "secret garden": 5, "token": 4}
NAMES = sorted(COUNTS)
PROXY = "http://alice:{}@127.0.0.1:9"
VARIABLES = {  # each with another secret in it
    "WANDB_API_KEY": "{}",
    "WANDB_BASE_URL": PROXY,
    "WANDB_HTTP_PROXY": PROXY,
    "WANDB_HTTPS_PROXY": PROXY,
    "WANDB_X_EXTRA_HTTP_HEADERS": '{{"Authorization": "Bearer {}"}}',
    "http_proxy": PROXY,
    "https_proxy": PROXY,
    "HTTP_PROXY": PROXY,
    "HTTPS_PROXY": PROXY,
    "ALL_PROXY": PROXY,
    "PIP_EXTRA_INDEX_URL": "https://alice:{}@example.org/simple",
    "DATABASE_URL": "postgres://alice:{}@db.example.org/x",
    "HF_TOKEN": "hf_{}",
    "GITHUB_TOKEN": "ghp_{}",
    "OPENAI_API_KEY": "sk-{}",
    "AWS_SECRET_ACCESS_KEY": "{}",
    "AWS_SESSION_TOKEN": "{}",
    "KAGGLE_KEY": "{}",
    "SMTP_PASSWORD": "{}",
    "MY_SECRET": "{}",
}
ELSEWHERE = ("netrc", "netrc proxy", "user of a remote", "password of a remote", "uncommitted", "environment file")


def secret_of(place: str) -> str:
    """Forty hex digits, as an API key of W&B has."""
    return base64.b16encode(place.encode()).decode().lower().ljust(40, "7")[:40]


PLANTED = {place: secret_of(place) for place in (*VARIABLES, *ELSEWHERE)}


class Place(NamedTuple):
    """A working copy of somebody's, whose machine is full of secrets."""

    folder: Path
    env: dict[str, str]
    run: Path
    said: list[str]

    def lt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command in a process of its own; what it says is kept."""
        command = [sys.executable, "-m", "lt_lightning", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, text=True, check=False)
        self.said.extend((done.stdout, done.stderr))
        return done


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A method trained for an epoch with W&B, tested and used for predictions, where secrets are all around."""
    folder = tmp_path_factory.mktemp("alice@example.org")
    home = folder / "home"
    home.mkdir()
    machine = "machine {} login alice password {}\n"
    (home / ".netrc").write_text(
        machine.format("api.wandb.ai", PLANTED["netrc"]) + machine.format("127.0.0.1", PLANTED["netrc proxy"])
    )
    (home / ".netrc").chmod(0o600)
    work = folder / "work"
    work.mkdir()
    for name in ("train.py", ".env"):
        (work / name).write_text("")
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    url = f"https://{PLANTED['user of a remote']}:{PLANTED['password of a remote']}@example.org/birds.git"
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "one"], ["remote", "add", "origin", url]):
        subprocess.run(["git", *words], cwd=work, check=True)
    (work / "train.py").write_text(PLANTED["uncommitted"])
    (work / ".env").write_text(PLANTED["environment file"])
    tree(work / "data" / "secretary_birds", COUNTS)
    env = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    env |= {name: form.format(PLANTED[name]) for name, form in VARIABLES.items()}
    env |= {"WANDB_MODE": "offline", "WANDB_SAVE_CODE": "true", "HOME": str(home), "TMPDIR": str(folder)}
    there = Place(work, env, work / "runs" / "a:b@c", [])
    flags = ["--data.root", "data/secretary_birds", "--data.size", "16", "--data.num_workers", "0"]
    flags += ["--model.backbone", "resnet8", "--trainer.max_epochs", "1", "--trainer.check_val_every_n_epoch", "1"]
    flags += ["--trainer.accelerator", "cpu", "--trainer.default_root_dir", "runs/a:b@c"]
    flags += ["--wandb.name", "use_cls_token", "--wandb.project", "monkey", "--wandb.tags", json.dumps(INNOCENTS)]
    recipe = str(ROOT / "configs" / "on" / "own_images.yaml")
    done = there.lt("fit", "--config", str(ROOT / "configs" / "ce.yaml"), "--config", recipe, *QUIET, *flags)
    assert done.returncode == 0, done.stderr
    there.env["WANDB_GIT_REMOTE_URL"] = url
    for command in (["test"], ["predict", "--all_probabilities", "true"]):
        done = there.lt(*command, "--ckpt_path", "runs/a:b@c/last.ckpt", "--trainer.accelerator", "cpu")
        assert done.returncode == 0, done.stderr
    return there


@pytest.fixture(scope="module")
def contents(place: Place) -> dict[str, bytes]:
    """All that was written or said, as it is and unpacked."""
    found = {f"said {i}": text.encode() for i, text in enumerate(place.said)}
    planted = (place.folder / ".git", place.folder / "train.py", place.folder / ".env", place.folder / "data")
    for path in sorted(place.folder.parent.rglob("*")):
        if not path.is_file() or path.name == ".netrc" or any(path.is_relative_to(there) for there in planted):
            continue
        found[str(path)] = path.read_bytes()
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as file:
                found |= {f"{path}/{name}": file.read(name) for name in file.namelist()}
        if path.suffix == ".wandb":
            reader = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--json", str(path)]
            found[f"{path} read"] = subprocess.run(reader, check=True, capture_output=True, cwd=place.folder).stdout
    return found


def test_the_scan_sees_everything(contents):
    found = contents
    named = {Path(name.removesuffix(" read")).suffix for name, text in found.items() if b"use_cls_token" in text}
    assert named >= {".ckpt", ".yaml", ".log", ".wandb"}
    kinds = {"config.yaml", "last.ckpt", "predictions.csv", "summary.json", "debug.log", "output.log"}
    assert {Path(name).name for name in found} >= kinds
    assert any(b"secret garden" in found[name] for name in found if name.endswith(".wandb read"))


@pytest.mark.parametrize("planted", PLANTED)
def test_no_byte_tells_a_secret(planted, contents):
    secret = PLANTED[planted]
    forms = {secret, secret[::-1], quote(secret, safe=""), base64.b64encode(secret.encode()).decode()[:40]}
    forms |= {base64.b64encode(f"{user}:{secret}".encode()).decode()[8:40] for user in ("api", "alice")}
    hits = {(name, form) for name, text in contents.items() for form in forms if form.encode() in text}
    assert not hits


def test_the_commit_is_recorded(place, contents):
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=place.folder, check=True, capture_output=True).stdout
    runs = [text for name, text in contents.items() if name.endswith(".wandb read")]
    assert runs
    assert head.strip() in runs[0]


def test_innocents_are_untouched(place, contents):
    config = yaml.safe_load((place.run / "config.yaml").read_text())
    assert config["wandb"]["tags"] == INNOCENTS
    assert config["wandb"]["name"] == "use_cls_token"
    stored = load(place.run / "last.ckpt")
    assert yaml.safe_load(stored["lt_config"])["wandb"]["tags"] == INNOCENTS
    assert stored["lt_class_names"] == NAMES
    header, *rows = (place.run / "predictions.csv").read_text().splitlines()
    assert header.split(",")[-len(NAMES) :] == [f"p_{name}" for name in NAMES]
    assert all(row.split("/")[0] in NAMES for row in rows)
    wandb = next(text for name, text in contents.items() if name.endswith(".wandb read"))
    for innocent in INNOCENTS:
        assert json.dumps(innocent)[1:-1].encode() in wandb, innocent


@pytest.fixture
def refused(place, monkeypatch, capsys):
    """Runs a command that is to be refused; returns what it says, which tells no secret. It leaves nothing."""

    def run(*arguments: str) -> str:
        with monkeypatch.context() as patch:
            patch.chdir(place.folder)
            for name, value in place.env.items():
                patch.setenv(name, value)
            before = {path: path.stat().st_mtime_ns for path in place.folder.rglob("*")}
            said = "\n".join(refusal(list(arguments), capsys))
            assert before == {path: path.stat().st_mtime_ns for path in place.folder.rglob("*")}
        for part in (TOKEN[:12], HEX, *NAMED.values(), *PLANTED.values()):
            assert part not in said
        return said

    return run


CE = ["fit", "--config", str(ROOT / "configs" / "ce.yaml"), "--trainer.default_root_dir", "runs/new"]


def test_a_secret_on_the_command_line_is_refused(refused):
    said = refused(*CE, "--wandb.api_key", HEX)
    assert "wandb.api_key" in said
    assert "WANDB_API_KEY" in said


def test_the_value_of_a_variable_is_refused(refused):
    said = refused(*CE, "--wandb.name", f"run-{PLANTED['KAGGLE_KEY']}")
    assert "KAGGLE_KEY" in said
    assert "wandb.name" in said
    assert "api.wandb.ai" in refused(*CE, "--wandb.project", PLANTED["netrc"])


@pytest.mark.parametrize("secret", ["github", "url", "pem"])
def test_a_secret_in_a_file_is_refused(secret, refused, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({"wandb": {"name": SECRETS[secret]}}))
    said = refused(*CE, "--config", str(file))
    assert str(file) in said
    assert "wandb.name" in said


def test_a_secret_in_a_file_that_a_file_names_is_refused(refused, tmp_path):
    (tmp_path / "data.conf").write_text(f"class_path: DigitsLT\ninit_args: {{token: {NAMED['token']}}}")
    (tmp_path / "mine.yaml").write_text("data: data.conf")
    said = refused(*CE, "--config", str(tmp_path / "mine.yaml"))
    assert "init_args.token" in said


def test_a_secret_in_a_checkpoint_s_configuration_is_refused(place, refused, tmp_path):
    checkpoint = load(place.run / "last.ckpt")
    config = yaml.safe_load(checkpoint["lt_config"])
    config["data"]["init_args"]["password"] = "hunter22"
    torch.save({**checkpoint, "lt_config": yaml.safe_dump(config)}, tmp_path / "gift.ckpt")
    said = refused("test", "--ckpt_path", str(tmp_path / "gift.ckpt"))
    assert "data.init_args.password" in said
    assert "gift.ckpt" in said
