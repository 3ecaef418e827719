"""A run of the command and steps by hand, in turn."""

from pathlib import Path

import pytest


@pytest.mark.parametrize("kind", ["fit", "bare"])
def test_steps_of_a_run_and_by_hand_take_turns(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from noise import InTurn
    from speed import looping

    from lt_lightning.modules import Teacher

    order: list[str] = []
    step = Teacher.training_step

    def ours(self: Teacher, *args: object) -> object:
        order.append("ours")
        return step(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Teacher, "training_step", ours)
    monkeypatch.setattr(InTurn, "by_hand", staticmethod(lambda: order.append("by hand")), raising=False)
    monkeypatch.setattr(InTurn, "block", 2, raising=False)
    looping.KINDS[kind](looping.Job(6, 8, 4, "resnet8", 2), str(tmp_path))
    assert order == ["by hand", "by hand", "ours", "ours"] * 3
    seconds, by_hand = InTurn.seconds
    assert 0 < by_hand < seconds  # nothing is done by hand here


def test_by_hand_are_as_many_steps() -> None:
    from speed import looping

    losses = [*looping.steps_by_hand(looping.Job(3, 8, 4, "resnet8", 1))]
    assert len(losses) == 3
    assert all(loss.isfinite() for loss in losses)
