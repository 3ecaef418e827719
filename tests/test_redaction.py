"""Secrets are recognised and hidden; innocents are left as they are, byte for byte."""

import json
import pickle

import pytest
import yaml
from secrets_and_innocents import HEX, INNOCENT_NAMES, INNOCENTS, NAMED, SECRETS, TOKEN

from lt_lightning.errors import LtError
from lt_lightning.redaction import known_secrets, names_secret, redact, secret_in
from lt_lightning.written_secrets import refuse_in_text, refuse_in_words

WRITTEN = [*NAMED.items(), *(("wandb.name", secret) for secret in SECRETS.values())]


def tell(text: str, secret: str) -> bool:
    """Whether a text tells a secret, or the part of it that is one."""
    return any(part in text for part in (secret, TOKEN[:12], HEX))


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_a_secret_is_recognised_and_hidden(secret):
    assert secret_in(f"before {secret} after", known_secrets())
    hidden = redact(f"before {secret} after")
    assert not tell(hidden, secret)
    assert hidden.startswith("before ")
    assert hidden.endswith(" after")
    assert "***" in hidden


@pytest.mark.parametrize("innocent", INNOCENTS)
def test_an_innocent_is_left_as_it_is(innocent):
    text = f"name: {innocent}\n"
    assert redact(text) == text
    refuse_in_text(text, "a file")
    refuse_in_words(["fit", "--wandb.name", innocent, f"--wandb.name={innocent}", innocent])
    assert str(LtError(innocent, innocent, innocent)).count(innocent) == 3


@pytest.mark.parametrize("name", NAMED)
def test_a_name_tells_a_secret(name):
    assert names_secret(name)


@pytest.mark.parametrize(("name", "value"), INNOCENT_NAMES.items(), ids=INNOCENT_NAMES)
def test_an_innocent_name_is_let_pass(name, value):
    refuse_in_text(f"model: {{init_args: {{{name}: {value}}}}}", "a file")
    refuse_in_words(["fit", f"--model.{name}", value, f"--model.{name}={value}"])


@pytest.mark.parametrize("write", [yaml.safe_dump, json.dumps, repr])
@pytest.mark.parametrize(("name", "secret"), WRITTEN, ids=[*NAMED, *SECRETS])
def test_a_secret_in_a_configuration_is_refused(name, secret, write):
    outer, _, inner = name.rpartition(".")
    text = write({"a": 1, outer or "model": {inner: secret, "b": [2]}})
    with pytest.raises(LtError) as error:
        refuse_in_text(text, "my.yaml")
    assert inner in error.value.what
    assert "my.yaml" in error.value.where
    assert not tell(str(error.value), secret)
    assert "environment" in error.value.fix


@pytest.mark.parametrize(
    "text",
    [
        "a: &x [{password: hunter22}]\nb: *x",
        "a: &x [*x, {password: hunter22}]",
        "a:\n  password: |\n    hunter22",
        f"model: [unclosed {SECRETS['github']}",
        f"{SECRETS['github']}: 1",
        f"? [{SECRETS['github']}]\n: 1",
    ],
)
def test_no_way_of_writing_hides_a_secret(text):
    with pytest.raises(LtError) as error:
        refuse_in_text(text, "my.yaml")
    assert "hunter22" not in str(error.value)
    assert SECRETS["github"] not in str(error.value)


@pytest.mark.parametrize(("name", "secret"), WRITTEN, ids=[*NAMED, *SECRETS])
def test_a_secret_on_the_command_line_is_refused(name, secret):
    for words in ([f"--{name}", secret], [f"--{name}={secret}"]):
        with pytest.raises(LtError) as error:
            refuse_in_words(["fit", *words, "--trainer.max_epochs", "1"])
        assert name in error.value.what
        assert not tell(str(error.value), secret)


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_a_secret_of_no_flag_is_refused(secret):
    for words in (["fit", secret], ["fit", f"--{secret}"], ["data", "check", secret]):
        with pytest.raises(LtError) as error:
            refuse_in_words(words)
        assert not tell(str(error.value), secret)


def test_the_environment_s_secrets_are_known(monkeypatch):
    for name in ("WANDB_API_KEY", "KAGGLE_KEY", "CI_JOB_TOKEN", "SMTP_PASSWORD"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "correct-horse")
            assert secret_in("see correct-horse.zip", known_secrets()) == f"the value of the variable {name}"
            assert redact("see correct-horse.zip") == "see ***.zip"
    monkeypatch.setenv("TOKEN_DIM", "correct-horse")
    monkeypatch.setenv("SHORT_TOKEN", "horse")
    assert secret_in("correct-horse", known_secrets()) is None


def test_the_netrc_file_s_passwords_are_known(tmp_path, monkeypatch):
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert secret_in("correct-horse", known_secrets()) is None
    (tmp_path / "netrc").write_text("machine example.org login alice password correct-horse")
    assert "example.org" in str(secret_in("correct-horse", known_secrets()))
    (tmp_path / "netrc").write_text("no netrc")
    assert secret_in("correct-horse", known_secrets()) is None


def test_an_error_holds_no_secret_that_it_quotes():
    error = LtError(*[f"{SECRETS['url']} is not there"] * 3)
    assert str(error).count("https://***@example.org/data.zip is not there") == 3
    assert TOKEN[:12] not in repr(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
