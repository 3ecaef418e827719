"""What is dangerous has one owner: the one module that may do it, and does it safely."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "lt_lightning"
OWNERS = {  # what is dangerous, by its full name or that of its module: who may use it, and why
    "torch.load": {"checkpoints.py"},  # unpickles: always with weights_only
    "torch.jit.load": set(),
    "torch.hub": set(),
    "pickle": set(),  # CIFAR's files are unpickled by torchvision, after their md5 was compared
    "marshal": set(),
    "shelve": set(),
    "joblib": set(),
    "cloudpickle": set(),
    "dill": set(),
    "yaml.load": set(),
    "yaml.unsafe_load": set(),
    "yaml.full_load": set(),
    "yaml.safe_load": set(),
    "yaml.compose": {"strict_yaml.py", "written_secrets.py"},  # reads, and builds nothing
    "numpy.load": {"data/digits.py", "callbacks/target_cache.py"},  # our own files, with allow_pickle=False
    "PIL.Image.open": {"data/images.py"},  # formats and sizes are bounded there
    "tarfile": {"data/archives.py"},
    "zipfile": {"data/archives.py", "checkpoints.py"},  # the latter looks at the table of contents
    "shutil.unpack_archive": set(),
    "urllib.request": {"data/downloads.py"},  # of addresses in our own code, compared with a hash
    "requests": set(),
    "httpx": set(),
    "huggingface_hub": {"finished/push.py"},  # sends a run, when it is told to
    "socket": set(),
    "fsspec": set(),
    "subprocess": {"signals.py", "callbacks/watchdog.py"},  # our own command, and processes to watch; never a shell
    "os.system": set(),
    "os.popen": set(),
    "pty": set(),
    "ctypes": {"allocator.py", "data/workers.py"},  # two thresholds of the allocator; what a loader is told at the end
    "hashlib.md5": set(),
    "hashlib.sha1": {"prepare.py"},  # as git names a file; where its authors publish nothing better
    "hashlib.new": {"data/downloads.py", "prepare.py"},  # the algorithm in which the authors publish a hash
    "tempfile.mktemp": set(),
    "importlib.import_module": {
        "commands.py",
        "plugins.py",
    },  # our own modules; what the user names on the command line
    "netrc": {"redaction.py"},
    "eval": set(),
    "exec": set(),
    "compile": set(),
    "__import__": set(),
}
BARE = {"eval", "exec", "compile", "__import__"}
ANYONE_S = {"extractall": set(), "extract": set()}
"""Methods that are dangerous whatever they are called on."""


def used(source: str) -> Iterator[str]:
    """Full names of all that a module imports or takes from what it imports, and the built-in functions it calls."""
    tree = ast.parse(source)
    meant: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                meant[name.asname or name.name.split(".")[0]] = name.name if name.asname else name.name.split(".")[0]
                yield name.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for name in node.names:
                meant[name.asname or name.name] = f"{node.module}.{name.name}"
                yield f"{node.module}.{name.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in BARE:
            yield node.id
        if isinstance(node, ast.Attribute):
            if node.attr in ANYONE_S:
                yield node.attr
            if (name := dotted(node)) and name.split(".")[0] in meant:
                first, _, rest = name.partition(".")
                yield f"{meant[first]}.{rest}"


def dotted(node: ast.expr) -> str | None:
    """``a.b.c`` of an expression that is nothing else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (name := dotted(node.value)):
        return f"{name}.{node.attr}"
    return None


def dangers(source: str) -> set[str]:
    """Which of the dangers a module uses."""
    names = set(used(source))
    return {d for d in (*OWNERS, *ANYONE_S) if any(name == d or name.startswith(f"{d}.") for name in names)}


def test_each_danger_stands_with_its_owner():
    found = {
        (d, path.relative_to(PACKAGE).as_posix()) for path in PACKAGE.rglob("*.py") for d in dangers(path.read_text())
    }
    expected = {(danger, owner) for danger, owners in (OWNERS | ANYONE_S).items() for owner in owners}
    assert found == expected  # more: a danger strays; fewer: the table is out of date


PLANTED = {
    "torch.load": ["import torch\ntorch.load('x')", "from torch import load as get", "import torch as t\nt.load"],
    "pickle": ["import pickle", "from pickle import loads", "def f():\n    import pickle as p"],
    "yaml.load": ["import yaml\nyaml.load(x, y)", "from yaml import load"],
    "yaml.safe_load": ["import yaml as y\ny.safe_load(x)"],
    "numpy.load": ["import numpy as np\nnp.load(f)", "from numpy import load"],
    "PIL.Image.open": ["from PIL import Image\nImage.open(f)", "import PIL.Image\nPIL.Image.open(f)"],
    "tarfile": ["import tarfile", "from tarfile import TarFile"],
    "extractall": ["x.extractall()", "open_it().extractall(path=p)"],
    "urllib.request": ["from urllib.request import urlopen", "import urllib.request", "from urllib import request"],
    "subprocess": ["import subprocess", "from subprocess import run"],
    "os.system": ["import os\nos.system('x')", "from os import system"],
    "hashlib.md5": ["import hashlib\nhashlib.md5(b'')", "from hashlib import md5"],
    "eval": ["eval('1')", "f = eval"],
    "exec": ["exec('1')"],
}


@pytest.mark.parametrize(("danger", "source"), [(danger, s) for danger, sources in PLANTED.items() for s in sources])
def test_a_stray_one_is_found(danger, source):
    assert danger in dangers(source)


@pytest.mark.parametrize(
    "source",
    ["model.eval()", "net.load(x)", "import torch\ntorch.loading", "re.compile('x')", "import json\njson.load(f)"],
)
def test_others_are_let_pass(source):
    assert not dangers(source)
