"""What is made of times, with calls that say how long they take."""

import pytest


def pair(goal: object, ours: float, reference: float) -> object:
    from speed.measure import Pair

    return Pair("ours", "theirs", lambda: ours, lambda: reference, 10, "image", goal)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "limit", "ours", "reference", "figure", "verdict"),
    [
        ("Faster", 2.0, 1.0, 3.0, 3.0, "met"),
        ("Faster", 2.0, 1.0, 1.9, 1.9, "missed by 5 %"),
        ("Faster", 2.0, 1.0, 1.7, 1.7, "missed by 15 %"),
        ("Costs", 1.5, 1.4, 1.0, 1.4, "met"),
        ("Costs", 1.5, 1.6, 1.0, 1.6, "missed by 6.7 %"),
        ("Costs", 1.5, 1.7, 1.0, 1.7, "missed by 13 %"),
        ("Adds", 20.0, 1.1, 1.0, 10.0, "met"),
        ("Adds", 20.0, 1.3, 1.0, 30.0, "missed by 50 %"),
        ("Adds", 20.0, 1.45, 1.0, 45.0, "missed by 120 %"),
        ("Takes", 100.0, 0.9, 5.0, 90.0, "met"),
        ("Takes", 100.0, 1.3, 5.0, 130.0, "missed by 30 %"),
    ],
)
def test_figures_and_verdicts(
    kind: str, limit: float, ours: float, reference: float, figure: float, verdict: str
) -> None:
    from speed import measure

    goal = getattr(measure, kind)(limit)
    (row,) = measure.measure([pair(goal, ours, reference)], rounds=3)  # type: ignore[list-item]
    assert row["figure"] == pytest.approx(figure)
    assert measure.verdict(row) == verdict
    assert row["ours"]["median"] == pytest.approx(100 * ours)  # ms a unit, of 10 units


def test_rounds_interleave_and_the_first_warms_up() -> None:
    from speed import measure

    called: list[str] = []

    def call(name: str, seconds: list[float]) -> measure.Call:
        def run() -> float:
            called.append(name)
            return seconds.pop(0)

        return run

    one = measure.Faster(1.0)
    times = [100.0, 1.0, 2.0, 6.0], [100.0, 4.0, 4.0, 4.0]
    pairs = [
        measure.Pair(name, "", call(name, [*times[0]]), call(name.upper(), [*times[1]]), 1, "step", one)
        for name in "ab"
    ]
    row, _ = measure.measure(pairs, rounds=3)
    assert called == ["a", "A", "b", "B"] * 4
    assert (row["figure"], row["lowest"], row["highest"]) == (2.0, pytest.approx(2 / 3), 4.0)
    assert row["ours"] == {"median": 2000.0, "lowest": 1000.0, "highest": 6000.0}


def test_where_nothing_is_asked_nothing_is_missed() -> None:
    import run
    from speed import measure

    (row,) = measure.measure([pair(measure.Costs(None), 3.0, 1.0)], rounds=2)  # type: ignore[list-item]
    assert row["figure"] == 3
    assert measure.shortfall(row) == 0
    assert run.cells(row)[4:] == ["3.00 x the cost (3.00-3.00)", "-", "-"]


def test_where_there_is_nothing_to_compare_with_nothing_is_shown() -> None:
    import run
    from speed import measure

    pair = measure.Pair("ours", "nothing", lambda: 0.002, None, 1, "step", measure.Takes(3))
    (row,) = measure.measure([pair], rounds=2)
    assert (row["figure"], row["reference"]) == (2, None)
    assert run.cells(row)[2:4] == ["2 / step", "-"]


def test_the_time_is_that_of_the_processor() -> None:
    import time

    from speed import measure

    seconds, wall = measure.timed(lambda: time.sleep(0.2))
    assert wall > 0.19
    assert seconds < 0.1
