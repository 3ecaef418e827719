import pytest
from lightning.pytorch.callbacks import timer

from lt_lightning.callbacks import TrainingTime


def test_time_of_all_parts_of_a_run_is_summed(monkeypatch):
    clock = iter([100.0, 107.0, 1000.0, 1003.0])
    monkeypatch.setattr(timer.time, "monotonic", lambda: next(clock))
    first, second = TrainingTime(), TrainingTime()
    first.on_train_start(None, None)
    state = first.state_dict()  # after 7 seconds
    second.load_state_dict(state)
    second.on_train_start(None, None)
    second.on_train_end(None, None)
    assert second.time_elapsed() == 10


def test_time_that_is_no_number_is_refused():
    with pytest.raises((TypeError, ValueError)):
        TrainingTime().load_state_dict({"time_elapsed": {"train": [1]}})
