"""What a secret looks like, and text without it."""

import netrc
import os
import re
from functools import lru_cache
from pathlib import Path

URL_USER = r"(?<=://)[^\s/?#:@]*:[^\s/?#]*(?=@)|(?:(?<=http://)|(?<=https://))[^\s/?#]+(?=@)"
FORMATS = {
    "a password in a URL": URL_USER,
    "a GitHub token": r"\bgh[oprsu]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{20,}",
    "a GitLab token": r"\bglpat-[\w-]{20,}",
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{30,}",
    "a W&B key": r"\bwandb_v\d_\w{40,}|\blocal-[0-9a-f]{40}\b",  # an older one, 40 hex digits, looks like any sha1
    "an API key": r"\bsk-(?:(?:proj|svcacct|admin|ant-\w+)-[\w-]{20,}|[A-Za-z0-9]{32,})",
    "an AWS key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a Google key": r"\bAIza[\w-]{35}",
    "a Slack token": r"\bxox[abeoprs]-[\w-]{10,}",
    "a signed token": r"(?<![\w-])eyJ[\w-]{8,4096}\.eyJ[\w-]{8,}\.[\w-]+",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
}
"""Secrets that are known by their form: what they are, and a regular expression."""

QUERY = re.compile(r"(?<=[?&])([\w.-]+)=([^\s&#'\"]+)")
ALONE = {"apikey", "credential", "credentials", "passphrase", "passwd", "password", "passwords", "secret", "secrets"}
OF_KEY = {"access", "account", "api", "auth", "encryption", "kaggle", "private", "secret", "signing", "ssh", "wandb"}
OF_TOKEN = {
    "access",
    "api",
    "auth",
    "bearer",
    "bot",
    "github",
    "gitlab",
    "hf",
    "hub",
    "huggingface",
    "refresh",
    "wandb",
}
"""Words that name a secret at the end of a name; those that do so before ``key``; before ``token``."""

SHORTEST = 8
"""Characters of a variable's value, below which it may well stand in a text by chance."""


@lru_cache(4096)
def names_secret(name: str) -> bool:
    """Whether a key, flag or variable has the name of a secret: ``api_key``, ``auth.token``, not ``use_cls_token``."""
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    before, last = ["", "", *words][-2:]
    return (
        last in ALONE
        or (last == "key" and before in OF_KEY)
        or (last in ("token", "tokens") and before in OF_TOKEN)
        or re.split(r"\W", name)[-1].lower() in ("auth", "token")
    )


def known_secrets() -> dict[str, str]:
    """Secrets of this process, by where they stand: variables named as such, and passwords of the netrc file."""
    file = _netrc_file()
    try:
        stat = file.stat()
        stamp = stat.st_mtime_ns, stat.st_size, stat.st_ino
    except OSError:
        stamp = None
    return _known_secrets(tuple(os.environ.items()), file, stamp)


@lru_cache(1)  # of each value of a configuration it is asked
def _known_secrets(variables: tuple[tuple[str, str], ...], file: Path, stamp: tuple[int, ...] | None) -> dict[str, str]:
    named = {n: value for n, value in variables if names_secret(n) or n.upper().endswith("_TOKEN")}
    entries = read_netrc()
    stored = {host: entry[2] for host, entry in (entries.hosts if entries else {}).items()}
    known = {f"the value of the variable {name}": value for name, value in named.items()}
    known |= {f"the password of {host} in the netrc file": value or "" for host, value in stored.items()}
    return {place: value for place, value in known.items() if len(value) >= SHORTEST}


def read_netrc() -> netrc.netrc | None:
    """The user's netrc file, as W&B finds it; None where there is none that can be read."""
    try:
        return netrc.netrc(_netrc_file())
    except (OSError, UnicodeError, netrc.NetrcParseError):
        return None


def _netrc_file() -> Path:
    return Path(os.environ.get("NETRC") or Path.home() / ".netrc")


def secret_in(text: str, known: dict[str, str]) -> str | None:
    """What secret a text holds, in words that do not tell it; None where it holds none.

    Args:
        text: Any text.
        known: What :func:`known_secrets` knows.
    """
    for kind, form in FORMATS.items():
        if re.search(form, text):
            return kind
    if any(names_secret(found[1]) for found in QUERY.finditer(text)):
        return "a password in a URL"
    return next((place for place, value in known.items() if value in text), None)


def redact(text: str) -> str:
    """A text with ``***`` for each secret in it; any other text as it is."""
    for form in FORMATS.values():
        text = re.sub(form, "***", text)
    text = QUERY.sub(lambda found: f"{found[1]}=***" if names_secret(found[1]) else found[0], text)
    for value in known_secrets().values():
        text = text.replace(value, "***")
    return text
