"""Arguments of the small commands, whose mistakes are the user's."""

import argparse
from typing import NoReturn

from lt_lightning.errors import LtError


class Arguments(argparse.ArgumentParser):
    """A parser that raises the one error, instead of printing and exiting.

    Raises:
        LtError: The arguments are wrong.
    """

    def error(self, message: str) -> NoReturn:
        """Refuse."""
        raise LtError(message, self.prog, f"`{self.prog} --help` shows the options")


def truth(text: str) -> bool:
    """``true`` or ``false``, of which ``bool`` would make True alike.

    Raises:
        ArgumentTypeError: It is neither.
    """
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"expected true or false, got {text}")
    return text.lower() == "true"
