"""A teacher given as a recipe is trained first."""

from pathlib import Path
from typing import Any


def trained_teacher(config: Any, run: Path) -> str:
    return config.model.init_args.teacher
