"""A run is trained and tested once, goes on where it was interrupted, and is told apart from one of another command."""

import json
import shlex
from collections.abc import Iterable
from pathlib import Path

import pytest

QUICK = shlex.split(
    "--config configs/ce.yaml --trainer.max_epochs 1 --trainer.limit_train_batches 1 --trainer.accelerator cpu"
    " --plots.pictures false --seed_everything 0"
)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Commands that were given."""
    import trained

    found, command = list[str](), trained.main

    def main(words: list[str]) -> None:
        found.append(words[0])
        command(words)

    monkeypatch.setattr(trained, "main", main)
    return found


def test_what_is_done_is_not_done_again(tmp_path: Path, given: list[str]) -> None:
    import trained

    first = trained.trained_and_tested(QUICK, tmp_path / "run")
    assert given == ["fit", "test"]
    assert 0 < first["test"]["last"]["acc"] < 1
    assert trained.trained_and_tested(QUICK, tmp_path / "run") == first
    assert given == ["fit", "test"]


def test_a_run_that_stopped_before_its_test_is_tested(
    tmp_path: Path, given: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import trained

    with monkeypatch.context() as stopped:
        working = trained.main
        stopped.setattr(trained, "main", lambda words: working(words) if words[0] == "fit" else pytest.exit("stopped"))
        with pytest.raises(pytest.exit.Exception):
            trained.trained_and_tested(QUICK, tmp_path / "run")
    assert "acc" in trained.trained_and_tested(QUICK, tmp_path / "run")["test"]["last"]
    assert given == ["fit", "test"]


def test_of_a_run_its_own_command_and_commit_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import trained

    trained.begin(QUICK, tmp_path)
    (tmp_path / "last.ckpt").touch()
    (tmp_path / "summary.json").write_text('{"val": {}}')
    (tmp_path / "env.json").write_text('{"commit": "0123456789"}')
    monkeypatch.setattr(trained, "cpu", lambda: "another")
    trained.begin(QUICK, tmp_path)
    made = trained.made(tmp_path)
    assert (made["command"], made["commit"]) == (shlex.join(["lt", "fit", *QUICK]), "0123456789")
    assert made["cpu"] != "another"


def test_a_run_of_another_command_is_refused(tmp_path: Path) -> None:
    import trained

    trained.begin(QUICK, tmp_path / "run")
    with pytest.raises(SystemExit, match=r"lt fit --config configs/ce.yaml.*\n.*\n.* 1\n"):
        trained.begin([*QUICK, "--trainer.max_epochs", "1"], tmp_path / "run")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "last.ckpt").touch()
    with pytest.raises(SystemExit, match="did not keep"):
        trained.begin(QUICK, tmp_path / "old")


@pytest.mark.parametrize(
    ("runs", "line"),
    [
        ([{}, {}], ""),
        ([{"made": {"commit": "b" * 40, "cpu": "X"}}, {"made": {"commit": "a" * 40, "cpu": "X"}}],
         "\n\nMade at commit aaaaaaa, bbbbbbb on X."),
        ([{"made": {"commit": "a" * 40, "cpu": "X"}}, {}],
         "\n\nMade at commit aaaaaaa on X; 1 of 2 runs, the others did not keep it."),
    ],
)  # fmt: skip
def test_old_figures_say_nothing_of_where_they_come_from(runs: Iterable[dict[str, dict[str, str]]], line: str) -> None:
    import trained

    assert trained.origin([*runs]) == line


def test_digits_keep_figures_and_origin(tmp_path: Path, given: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import digits

    quick = QUICK[2:-2]
    monkeypatch.setattr(digits, "BASELINES", {digits.SIX: [*digits.learns("CrossEntropy", "BalancedSoftmax"), *quick]})
    ((name, (teacher, flags)), *_) = digits.DISTILLED.items()
    monkeypatch.setattr(digits, "DISTILLED", {name: (teacher, [*flags, *quick])})
    results = {name: {str(seed): run} for name, seed, run in digits.study([3], [], tmp_path)}
    assert given == ["fit", "test"] * 2
    assert results[name]["3"]["made"]["command"].startswith("lt fit --config configs/mcsm.yaml --model.distillation")
    assert str(tmp_path) not in json.dumps(results)
    table = digits.table(results)
    measured = results[name]["3"]["test"]
    assert f"| {measured['theory/nll_avg']:.3f} - {measured['theory/div_kl']:.3f} = {measured['nll']:.3f} |" in table
    assert "Made at commit " in table


def test_cifar_keeps_its_command_without_places(
    tmp_path: Path, fake_cifar: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cifar

    quick = [*QUICK[2:-2], *shlex.split("--data.imbalance_factor 2 --data.many 4 --data.few 4 --data.batch_size 4")]
    monkeypatch.setattr(cifar, "RUNS", {"CE": ("ce", cifar.SINGLE, quick, "")})
    monkeypatch.setattr(cifar, "RESULTS", tmp_path / "results")
    cifar.study(str(fake_cifar), tmp_path / "work")
    kept = cifar.measured()["CE"]
    assert str(tmp_path) not in json.dumps(kept)
    assert kept["made"]["command"].startswith("lt fit --config configs/ce.yaml --config configs/on/cifar100_lt.yaml ")
