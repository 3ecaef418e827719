"""Fixtures of all attacks."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "command"))  # `commands`, as the tests beside it

from attack import canary, web

__all__ = ["canary", "web"]
