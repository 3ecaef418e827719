"""``python -m lt_lightning`` is ``lt``."""

from lt_lightning.cli import main

main()
