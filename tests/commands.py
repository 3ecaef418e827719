"""The real command, in this process, quiet and quick."""

from pathlib import Path
from typing import Any

import pytest
import torch

from lt_lightning.commands import main

ROOT = Path(__file__).parents[1]
QUIET = ["--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]
QUIET += ["--plots.pictures", "false"]  # they take seconds


def fit(run: Path, *flags: str, config: str = "ce") -> Path:
    """Train a shipped method on DigitsLT, on the CPU; returns the run's folder."""
    cpu = ["--trainer.accelerator", "cpu", "--trainer.default_root_dir", str(run)]
    main(["fit", "--config", str(ROOT / "configs" / f"{config}.yaml"), *QUIET, *cpu, *flags])
    return run


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The three lines that the command prints when it refuses: what, where, fix."""
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    text = capsys.readouterr().err
    assert "Traceback" not in text
    lines = text[text.index("lt: error: ") :].splitlines()
    assert len(lines) == 3
    return lines


def load(checkpoint: Path) -> dict[str, Any]:
    """What a checkpoint holds."""
    return torch.load(checkpoint, weights_only=True)
