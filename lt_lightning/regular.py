"""Files in the plain sense."""

from pathlib import Path

from lt_lightning.errors import LtError


def check_regular(path: Path) -> None:
    """Refuse what would be waited for, or read without an end; what is not there, or a folder, opening it refuses.

    Raises:
        LtError: It is a pipe, a socket or a device.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise LtError("expected a file, this is a pipe, a socket or a device", str(path), "name or put a file there")
