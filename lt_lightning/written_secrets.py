"""A secret that is written down, in a configuration or on the command line, is refused before anything is done.

What a run is configured by goes into its folder, its checkpoints and to W&B. So nothing takes a key as an argument: W&B
and others find theirs in the environment or in the netrc file.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import zip_longest
from pathlib import Path

import yaml

from lt_lightning.errors import LtError
from lt_lightning.redaction import SHORTEST, known_secrets, names_secret, secret_in

FLAG = re.compile(r"--([\w.+-]+)(?:=(.*))?", re.DOTALL)
INNOCENT = {f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "float")}
FIX = "put it into the environment (such as WANDB_API_KEY) or the netrc file, and renew it: it stood on disk or screen"
CONFIGS = (".yaml", ".yml")
LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""What YAML is looked through by: by what jsonargparse then builds of it, or the two might see different things."""
MAX_BYTES = 2**20
"""Size of a configuration; a larger one is refused."""


def refuse_in_words(words: Sequence[str]) -> None:
    """Look for secrets on a command line, and in the configurations that it names.

    Raises:
        LtError: There is one.
    """
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        name, value = "", word
        if flag := FLAG.fullmatch(word):
            name, value = flag[1], flag[2] or ("" if FLAG.fullmatch(following) else following)
            refuse_in_text(name, "the command line")
        if value.endswith(CONFIGS) and Path(value).is_file() and Path(value).stat().st_size <= MAX_BYTES:
            refuse_in_text(Path(value).read_text(encoding="utf-8", errors="replace"), value)
        refuse_in_text(value, "the command line", name)


def refuse_in_text(text: str, where: str, name: str = "") -> None:
    """Look for secrets in a configuration or a part of one.

    Args:
        text: YAML.
        where: The file it stands in.
        name: The key it is the value of.

    Raises:
        LtError: There is one.
    """
    if len(text) > MAX_BYTES:
        return  # refused later, for its size
    try:
        refuse_in_yaml(yaml.compose(text, Loader=LOADER), where, name)
    except (yaml.YAMLError, RecursionError):  # refused later, for what it is, in words that may quote it
        refuse_in_yaml(yaml.ScalarNode("", text), where, name)


def refuse_in_yaml(root: yaml.Node | None, where: str, name: str = "") -> None:
    """Look for secrets in a configuration that is read already, but not yet built: :func:`refuse_in_text`.

    Args:
        root: What the YAML says; None for nothing.
        where: The file it stands in.
        name: The key it is the value of.

    Raises:
        LtError: There is one.
        RecursionError: It is nested too deeply to be looked through.
    """
    known = cache(known_secrets)  # most values are too short to be any
    for key, node in _scalars(root, name, set()):
        named = names_secret(key) and node.value and node.tag not in INNOCENT
        found = len(node.value) >= SHORTEST and secret_in(node.value, known())
        if kind := "a secret, as its name says" if named else found:
            raise LtError(f"{key or 'a value'} holds {kind}", where, FIX)


def _scalars(node: yaml.Node | None, key: str, seen: set[int]) -> Iterator[tuple[str, yaml.ScalarNode]]:
    """Keys and values, each once, whatever aliases a configuration has, with the dotted names of their places."""
    if isinstance(node, yaml.ScalarNode):
        yield key, node
    elif node is not None and id(node) not in seen:
        seen.add(id(node))
        for part in node.value:
            if isinstance(node, yaml.MappingNode):
                yield from _scalars(part[0], "", seen)
                inner = part[0].value if isinstance(part[0], yaml.ScalarNode) else ""
                yield from _scalars(part[1], f"{key}.{inner}".lstrip("."), seen)
            else:
                yield from _scalars(part, key, seen)
