"""The command's parser: a mistake is one clear error."""

from typing import Any, NoReturn

from lightning.pytorch.cli import LightningArgumentParser

from lt_lightning.errors import LtError


class Parser(LightningArgumentParser):
    """Lightning's parser, whose errors are :class:`LtError`."""
