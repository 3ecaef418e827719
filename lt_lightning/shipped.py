"""What comes with the package: configurations, and the figures that were measured with them."""

from pathlib import Path

PACKAGE = Path(__file__).parent
ROOTS = (PACKAGE, PACKAGE.parent)
"""Where ``configs`` and measured figures lie: in an installed package, in a clone."""


def shipped(arg: str) -> str:
    """A configuration that is not in the working directory is taken from the package: ``configs/mcsm.yaml``.

    Args:
        arg: A word of the command line.
    """
    flag, equals, value = arg.rpartition("=") if arg.startswith("--") else ("", "", arg)
    if value.startswith("configs/") and not Path(value).exists():
        for root in ROOTS:
            if (root / value).is_file():
                return f"{flag}{equals}{root / value}"
    return arg


def shipped_configs() -> set[str]:
    """What there is to name by ``--config``: ``configs/mcsm.yaml``."""
    root = shipped_root()
    return {path.relative_to(root).as_posix() for path in root.glob("configs/**/*.yaml")}


def shipped_root() -> Path:
    """The folder that holds ``configs``."""
    return next(root for root in ROOTS if (root / "configs").is_dir())
