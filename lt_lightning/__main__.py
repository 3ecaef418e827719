"""The command ``lt``, which is also ``python -m lt_lightning``; Ctrl-C ends it quietly from its first second on."""

import sys


def main() -> None:
    """Import the command and run it."""
    try:
        from lt_lightning.commands import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
