"""A validation is timed with all that a run's validation measures."""

import pytest


@pytest.mark.parametrize("experts", [1, 3])
def test_all_figures_of_a_validation_are_made(experts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from speed import validating

    monkeypatch.setattr(validating, "BATCHES", 1)
    monkeypatch.setattr(validating, "BATCH", 8)
    found, logged = validating.Validation(experts, 100), dict[str, object]()
    found.module.log_dict = logged.update
    assert found.whole() > 0
    assert {"val/acc", "val/auprc", "val/ece", "val/nll", "val/temperature"} <= logged.keys()
    assert ("val/theory/div_kl" in logged, "val/expert3/acc" in logged) == (experts == 3, experts == 3)
    assert found.callbacks[-1].gathered is not None


def test_what_is_done_once_is_shared_by_the_set(monkeypatch: pytest.MonkeyPatch) -> None:
    from speed import validating

    found = validating.Validation(1, 100)
    seconds = {"on_validation_batch_end": 1.28, "on_validation_epoch_start": 40.0, "on_validation_epoch_end": 60.0}
    asked = list[str]()
    monkeypatch.setattr(found, "_each", lambda hook, *_: asked.append(hook))
    monkeypatch.setattr(validating, "timed", lambda call: (spent(call, asked, seconds), 0.0))
    assert found.figures() == pytest.approx(1.28 / 128 + 100 / 10_000)


def spent(call, asked: list[str], seconds: dict[str, float]) -> float:  # type: ignore[no-untyped-def]
    """What the hooks that a call asks for would take."""
    before = len(asked)
    call()
    return sum(seconds[hook] for hook in asked[before:])
