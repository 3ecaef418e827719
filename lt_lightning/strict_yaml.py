"""The one place where YAML is read: plain values, of a small local file, and nothing that stands twice."""

import os
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import get_loader

from lt_lightning.errors import LtError
from lt_lightning.written_secrets import LOADER, MAX_BYTES, refuse_in_text, refuse_in_yaml

MAX_NODES = 100_000
"""Values of a configuration, each as often as aliases repeat it."""

CONSTRUCT = get_loader("yaml")
"""How jsonargparse reads YAML: no tags, and ``1e2`` is a number."""

WHERE = "a configuration"


def read_yaml(text: str) -> Any:
    """Read YAML as jsonargparse does, but refuse secrets, and a key that stands twice: YAML would drop the first.

    Raises:
        LtError: There is one, or the text is too large, too deep, or repeats itself without end.
        yaml.YAMLError: It is no YAML, or names what to build, as ``!!python/object`` does.
    """
    if len(text) > MAX_BYTES:
        raise LtError(f"more than {MAX_BYTES} characters", WHERE, "a configuration is a short text; name another file")
    try:
        root = yaml.compose(text, Loader=LOADER)
        refuse_in_yaml(root, WHERE)
        _check(root)
        return CONSTRUCT(text)
    except RecursionError as error:
        refuse_in_text(text, WHERE)
        raise LtError("lists or mappings are nested too deeply", WHERE, "nest them less") from error
    except yaml.YAMLError:
        refuse_in_text(text, WHERE)  # as what it says may quote them
        raise


def read_text(path: os.PathLike[str]) -> str:
    """Read a file that a configuration or a flag names as another configuration.

    Raises:
        LtError: It is a folder, a pipe or a device, too large, or not text in UTF-8.
    """
    file = Path(path)
    if not file.is_file():
        raise LtError("expected a file", str(path), "name a .yaml file")
    if file.stat().st_size > MAX_BYTES:
        raise LtError(f"more than {MAX_BYTES} bytes", str(file), "a configuration is a short text; name another file")
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise LtError(f"no text in UTF-8 ({error.reason})", str(file), "name a .yaml file") from error


def _check(root: yaml.Node | None) -> None:
    """Refuse twins, and aliases that grow without bounds."""
    nodes = [] if root is None else [root]
    seen = len(nodes)
    while nodes:
        node = nodes.pop()
        inner: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            _refuse_twins([key for key, _ in node.value if isinstance(key, yaml.ScalarNode)])
            inner = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            inner = node.value
        seen += len(inner)
        if seen > MAX_NODES:
            raise LtError(f"more than {MAX_NODES} values, as aliases repeat them", WHERE, "write it without aliases")
        nodes += inner


def _refuse_twins(keys: list[yaml.ScalarNode]) -> None:
    names: set[str] = set()
    for key in keys:
        if key.value in names:
            where = f"line {key.start_mark.line + 1} of {WHERE}"
            raise LtError(f"the key {key.value!r} stands twice in one place", where, "remove one of them")
        names.add(key.value)
