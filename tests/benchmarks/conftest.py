from pathlib import Path

import pytest

from lt_lightning.callbacks import Plots

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def beside_the_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts import each other by name."""
    monkeypatch.syspath_prepend(BENCHMARKS)


@pytest.fixture(autouse=True)
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take seconds."""
    monkeypatch.setattr(Plots, "teardown", lambda *_, **__: None)
