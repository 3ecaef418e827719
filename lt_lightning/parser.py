"""The command's parser: a mistake in a flag or a configuration is one clear error, with the nearest name."""

import argparse
import inspect
import pathlib
import re
import sys
from collections.abc import Iterator
from difflib import SequenceMatcher, get_close_matches
from typing import Any, NoReturn

import yaml
from jsonargparse import Path, set_loader  # type: ignore[attr-defined]
from lightning.pytorch import LightningDataModule
from lightning.pytorch.cli import LightningArgumentParser
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lt_lightning.commands import TRAINER
from lt_lightning.errors import LtError
from lt_lightning.help import KNOBS, short_help
from lt_lightning.models.backbones import BACKBONES
from lt_lightning.on_images import OWN
from lt_lightning.shipped import shipped_configs
from lt_lightning.strict_yaml import read_text, read_yaml
from lt_lightning.trust import refused_name, trust_only_known

UNKNOWN_NAME = (  # what jsonargparse says of a name that it does not know; the first group is the name
    r"[Oo]ption '([^']+)' is not accepted",
    r"does not accept option '([^']+)'",
    r"unrecognized arguments: -*([^\s=]+)",
    r"Expected a dot import path string: (\S+)",
    r"invalid choice: '([^']+)'",
)
BAD_VALUE = r"Expected (?:an|a|one of)?\s*(?!<class 'NoneType'>|dot import)(.+?)\. Got value: (.+)"

NO_FILE = r"File does not exist: '([^']+)'"

NO_NUMBER = r"Expected a <class '(?:float|int)'>\s+- Expected a dot import path string: (\S+)"
LACKING = r"Problem with given class_path '[\w.]*?(\w+)':\s+(?:- )?the following arguments are required: (\w+)"
MISSING = r"arguments are required: (\w+)\.(?:data|model)"
BEGINNING = {"fit": "--config configs/mcsm.yaml"} | dict.fromkeys(
    ("validate", "test", "predict"), "--ckpt_path runs/mcsm/last.ckpt"
)
"""What brings model and data to each command."""

FULL = {part: key for key in (flag.split()[0][2:] for flag in KNOBS) for part in (key, key.rpartition(".")[2])}
"""Keys that matter, by their names and the last parts of these."""
UNCLEAR = "the command line or a configuration file"
OF_IMAGES = "for images of your own add --config configs/on/own_images.yaml --data.root DIR"


set_loader("yaml", read_yaml, exceptions=(yaml.YAMLError, ValueError))
setattr(Path, "read_text", read_text)  # noqa: B010 - mypy; jsonargparse's own waits for pipes, and for endless files


class Parser(LightningArgumentParser):
    """Lightning's parser, whose errors are :class:`~lt_lightning.errors.LtError`, and which trusts no configuration."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        trust_only_known()
        super().__init__(*args, allow_abbrev=False, **kwargs)
        hidden: dict[str, Any] = {"dest": argparse.SUPPRESS, "default": argparse.SUPPRESS}
        self.add_argument("--help_all", action=_HelpAll, nargs=0, help="Show every option and exit.", **hidden)

    def print_help(self, file: Any = None) -> None:
        """Show the options that matter; all of them after ``--help_all``."""
        command = self.prog.split()[-1]
        if command in TRAINER:
            print(short_help(command), file=file or sys.stdout)
        else:  # the help of a class, by --model.help and the like
            super().print_help(file)

    def dump(self, *args: Any, **kwargs: Any) -> str:
        """Write a configuration as text; it is not checked again, as it was when it was parsed."""
        text: str = super().dump(*args, **{"skip_validation": True, **kwargs})
        return text

    def parse_path(self, path: Any, *args: Any, **kwargs: Any) -> Any:
        """Read a configuration; whatever is wrong in it is said with its name.

        Raises:
            LtError: It cannot be read, or something in it is wrong.
        """
        try:
            return super().parse_path(path, *args, **kwargs)
        except UnicodeDecodeError as error:
            raise LtError(f"this is no text in UTF-8 ({error.reason})", str(path), "save it as UTF-8") from error
        except LtError as error:
            where = str(path) if error.where == UNCLEAR else f"{error.where} in {path}"
            raise LtError(error.what, where, error.fix) from error

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Say what is wrong, where, and which name was probably meant.

        Raises:
            LtError: Always.
        """
        if not self.exit_on_error:  # a parser within the parser, whose error becomes part of the message
            super().error(message, ex)
        where = ".".join(re.findall(r'Parser key "([^"]+)"', message)) or UNCLEAR
        help_text = f"`{self.prog.replace(' [options]', '')} --help` lists what there is"
        if refused := refused_name(message, where):
            raise refused
        if found := re.search(NO_NUMBER, message):
            raise LtError(f"expected a number, got {found[1]}", where, help_text)
        for pattern in UNKNOWN_NAME:
            if found := re.search(pattern, message):
                raise LtError(f"unknown name {found[1]!r}", where, self._meant(found[1], where) or help_text)
        if found := re.search(BAD_VALUE, message):
            value = found[2].splitlines()[0]
            choices = re.findall(r"'([^']+)'", found[1])
            nearest = _nearest(value, set(choices) - {value})
            raise LtError(f"expected {found[1].removeprefix('typing.')}, got {value}", where, nearest or help_text)
        if found := re.search(LACKING, message):
            raise LtError(f"{found[1]} needs {found[2]!r}", where, f"name it by --{where}.{found[2]}")
        if found := re.search(MISSING, message):
            brings = BEGINNING[found[1]]
            what = f"expected a model and data, which {brings.split()[0]} brings"
            raise LtError(what, UNCLEAR, f"name one, as in lt {found[1]} {brings}")
        if found := re.search(NO_FILE, message):
            raise LtError("this file does not exist", found[1], _nearest_config(found[1]) or "name another")
        if found := re.search(r"Unexpected config: ((?s:.*))", message):
            raise LtError(f"expected keys with values, got {found[1].strip()[:50] or 'nothing'!r}", where, help_text)
        lines = [line.strip(" -") for line in message.splitlines() if line.strip(" -")]
        if found := re.search(r'Key "(\w+)\.[^"]+" not found', message):
            raise LtError(f"expected keys with values below {found[1]!r}", found[1], help_text)
        several = (line for line in lines if line.startswith("Expected") and "NoneType" not in line)
        expected = next(several, "This value does not fit" if "NoneType" in message else "")
        given = next((line for line in lines if line.startswith("Given value: ")), "")
        what = f"{expected}. {given}" if expected and given else " ".join(lines)
        raise LtError(re.sub(r'^Parser key "[^"]+": ', "", what)[:300], where, help_text)

    def _meant(self, name: str, where: str) -> str:
        """What was probably meant by a name that is not known. Empty for nothing."""
        if pathlib.Path(name).exists() or (where, name) == ("data", "root"):
            return OF_IMAGES
        if where == "model" and name in BACKBONES:
            return f"name a network by --model.backbone {name}"
        return _nearest(name, {*_known_names(self), *BACKBONES} - {name})


class _HelpAll(argparse.Action):
    def __call__(self, parser: Any, *_: Any) -> None:
        LightningArgumentParser.print_help(parser)
        parser.exit()


def _nearest(name: str, names: set[str]) -> str:
    """Which name was probably meant; of ``trainr.devices``, the first part is looked at alone. Empty for none."""
    head, dot, rest = name.partition(".")
    heads = {known.partition(".")[0] for known in names}
    if dot and head not in heads and (nearest := get_close_matches(head, heads, 1)):
        return f"did you mean {nearest[0] + dot + rest!r}?"
    near = get_close_matches(name, names, 3)
    best = max(near, key=lambda known: (SequenceMatcher(None, known, name).ratio(), known in FULL), default="")
    return f"did you mean {FULL.get(best, best)!r}?" if best else ""


def _nearest_config(file: str) -> str:
    """Which of the shipped configurations was probably meant: one of this name, or of a name like it."""
    name, shipped = "/".join(file.split("/")[-2:]), shipped_configs()
    same = {config for config in shipped if pathlib.PurePath(config).stem == pathlib.PurePath(file).stem}
    return f"did you mean {get_close_matches(name, same, 1, 0)[0]!r}?" if same else _nearest(name, shipped)


def _known_names(parser: Any) -> Iterator[str]:
    """Keys and flags of a parser and its subcommands, and the classes and arguments that they can name."""
    yield from (flag.split()[0].removeprefix("--") for flag in (*KNOBS, *OWN))
    for action in parser._actions:
        yield action.dest
        yield from action.dest.split(".")
        for name, subparser in (action.choices if isinstance(action.choices, dict) else {}).items():
            yield name
            yield from _known_names(subparser)
    for base in (nn.Module, LightningDataModule, Optimizer, LRScheduler):
        yield from _class_names(base)


def _class_names(base: type[object]) -> Iterator[str]:
    for cls in type.__subclasses__(base):
        if cls.__module__.startswith(("lt_lightning", "torch.optim")):
            yield cls.__name__
            yield from inspect.signature(cls).parameters
        yield from _class_names(cls)
