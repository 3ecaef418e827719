"""Predictions for a known prior, and by a measured temperature."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import QUIET, fit, load

from lt_lightning.calibration import Temperatures, beside, measured_temperatures, read_out, target_log_prior
from lt_lightning.checkpoints import load_module
from lt_lightning.commands import main
from lt_lightning.errors import LtError
from lt_lightning.losses import BalancedSoftmax, CrossEntropy, InverseSoftmax, LogitAdjustment
from lt_lightning.modules import Teacher

COUNTS = [500, 150, 60, 20, 5, 1]
NUMBERS = [str(c) for c in range(10)]
NAMES = ["a", "b", "c d", "é", "e", "f,g"]


def bayes(losses: list[str], prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits ``(E, N, C)`` of experts that have learned what their losses ask for, and the posterior under a prior."""
    rng = np.random.default_rng(0)
    log_likelihood = 2 * rng.standard_normal((40, len(COUNTS)))
    train = np.log(np.array(COUNTS) / sum(COUNTS))
    carried = {"CE": train, "BS": 0 * train, "inverse": 2 * train[::-1], "LA": -0.5 * train}  # what the raw logits keep
    shift = rng.standard_normal((len(losses), 40, 1))  # that softmax does not see
    joint = np.exp(log_likelihood) * prior
    return np.stack([log_likelihood + carried[name] for name in losses]) + shift, joint / joint.sum(1, keepdims=True)


@pytest.mark.parametrize("losses", [["CE"], ["BS"], ["LA"], ["CE", "BS", "inverse"], ["inverse", "LA"]])
@pytest.mark.parametrize("given", ["uniform", "train", "file"])
def test_experts_that_learned_their_task_give_the_true_posterior(losses: list[str], given: str, tmp_path: Path) -> None:
    """Bayes' rule, in float64: what is corrected from is what the experts' mean carries, whatever they are."""
    weights = {"uniform": [1.0] * 6, "train": COUNTS, "file": [3.0, 1, 4, 1, 5, 9]}[given]
    if given == "file":
        given = str(tmp_path / "prior.json")
        Path(given).write_text(json.dumps(dict(zip(reversed(NAMES), reversed(weights), strict=True))))
    logits, posterior = bayes(losses, np.array(weights) / sum(weights))
    kinds = {"CE": CrossEntropy, "BS": BalancedSoftmax, "inverse": InverseSoftmax}
    kinds["LA"] = lambda counts: LogitAdjustment(counts, tau=1.5)
    module = Teacher(COUNTS, [kinds[name] for name in losses], backbone="resnet8")
    predict = read_out(module, Temperatures(), target_log_prior(given, NAMES, COUNTS))
    np.testing.assert_allclose(predict(torch.from_numpy(logits)).softmax(-1).numpy(), posterior, atol=2e-5)


def test_temperatures_divide_what_they_were_measured_of() -> None:
    module = Teacher(COUNTS, [CrossEntropy, BalancedSoftmax], backbone="resnet8")
    logits, prior = torch.randn(2, 5, 6), torch.randn(6)
    temperatures = Temperatures(2.0, 3.0)
    torch.testing.assert_close(read_out(module, temperatures, None)(logits), module.combine(logits) / 2)
    torch.testing.assert_close(read_out(module, temperatures, prior)(logits), module.balance(logits) / 3 + prior)
    assert torch.equal(read_out(module, Temperatures(), None)(logits), module.combine(logits))  # to the last bit


@pytest.mark.parametrize("ending", [".csv", ".json"])
def test_a_prior_is_read_by_names_whatever_their_order(ending: str, tmp_path: Path) -> None:
    file, rows = tmp_path / f"prior{ending}", [("f,g", 1), ("é", 2), ("a", 3), ("c d", 4), ("b", 5), ("e", 5)]
    lines = "".join(f'"{name}",{weight}\n' for name, weight in rows)
    file.write_text(json.dumps(dict(rows)) if ending == ".json" else f"\ufeffclass,prior\n{lines}", encoding="utf-8")
    prior = target_log_prior(str(file), NAMES, COUNTS).exp()
    torch.testing.assert_close(prior, torch.tensor([3, 5, 4, 2, 5, 1]) / 20)


def test_a_prior_may_have_any_scale(tmp_path: Path) -> None:
    """The sum of its numbers may be more than a float can say."""
    file = tmp_path / "prior.json"
    file.write_text(json.dumps(dict.fromkeys(NAMES, 1e308)))
    torch.testing.assert_close(target_log_prior(str(file), NAMES, COUNTS).exp(), torch.full((6,), 1 / 6))


WRONG = {
    "no such file": (None, "no such file"),
    "a class is missing": ("class,prior\na,1\nb,1\n", "lacks 4 of the 6 classes, such as 'c d'"),
    "a class is unknown": ('class,prior\na,1\nb,1\nc d,1\né,1\ne,1\n"f,g",1\nz,1\n', "knows 1 of 7 not, such as 'z'"),
    "a class stands twice": ("class,prior\na,1\na,2\n", "'a' stands twice"),
    "zero": ('class,prior\na,1\nb,0\nc d,1\né,1\ne,1\n"f,g",1\n', "the prior of 'b' is 0.0"),
    "NaN": ('class,prior\na,1\nb,nan\nc d,1\né,1\ne,1\n"f,g",1\n', "the prior of 'b' is nan"),
    "infinite": ('class,prior\na,1\nb,inf\nc d,1\né,1\ne,1\n"f,g",1\n', "the prior of 'b' is inf"),
    "no number": ("class,prior\na,many\n", "cannot be read"),
    "no columns": ("a,1\nb,1\n", "cannot be read"),
    "a row is short": ("class,prior\na\n", "cannot be read"),
    "a list": ("[1, 2]", "cannot be read"),
    "twice in JSON": ('{"a": 1, "a": 2}', "'a' stands twice"),
    "no text": (b"\xff\xfe\x00", "cannot be read"),
    "more than a float": (f'{{"a": 1{"0" * 400}}}', "cannot be read"),
    "bottomless": ("[" * 100_000, "cannot be read"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_prior_that_is_none_is_refused(what: str, tmp_path: Path) -> None:
    text, says = WRONG[what]
    file = tmp_path / ("prior.json" if str(text).startswith(("[", "{")) else "prior.csv")
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(LtError) as refused:
        target_log_prior(str(file), NAMES, COUNTS)
    assert says in refused.value.what
    assert refused.value.where == str(file)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three epochs, each of which is validated."""
    folder = tmp_path_factory.mktemp("calibrated") / "run"
    return fit(
        folder,
        "--trainer.max_epochs",
        "3",
        "--trainer.check_val_every_n_epoch",
        "1",
        "--plots.pictures",
        "false",
        config="students",
    )


def test_checkpoints_carry_the_temperature_of_their_own_validation(run: Path) -> None:
    with (run / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["val/temperature"]]
    logged = {int(row["step"]) + 1: float(row["val/temperature"]) for row in rows}
    assert len(set(logged.values())) == 3
    for name in ("best", "last"):
        path = run / f"{name}.ckpt"
        assert measured_temperatures(str(path)).combined == pytest.approx(logged[load(path)["global_step"]], rel=1e-6)
        assert measured_temperatures(str(path)).measured_on == "validation"


def change(change_it: Callable[[dict], object]) -> Callable[[Path, Path], None]:
    def write(source: Path, path: Path) -> None:
        checkpoint = load(source)
        change_it(checkpoint)
        torch.save(checkpoint, path)

    return write


NONE = {
    "an old checkpoint": change(lambda c: c["callbacks"].pop("Calibration")),
    "one that trained on": change(lambda c: c.update(global_step=c["global_step"] + 1)),
    "one without callbacks": change(lambda c: c.pop("callbacks")),
}


@pytest.mark.parametrize("kind", NONE)
def test_what_was_not_measured_is_asked_for(kind: str, run: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.ckpt"
    NONE[kind](run / "last.ckpt", path)
    with pytest.raises(LtError, match="no temperature was measured") as refused:
        measured_temperatures(str(path))
    assert f"lt validate --ckpt_path {path}" in refused.value.fix


def test_validating_an_old_checkpoint_measures_what_it_lacks(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "old.ckpt"
    NONE["an old checkpoint"](run / "last.ckpt", path)
    main(["validate", "--ckpt_path", str(path), "--trainer.accelerator", "cpu", *QUIET])
    of_run, of_file = measured_temperatures(str(run / "last.ckpt")), measured_temperatures(str(path))
    assert of_file.combined == pytest.approx(of_run.combined, rel=1e-5)
    assert of_file.balanced == pytest.approx(of_run.balanced, rel=1e-5)
    for text in ("{", "[" * 100_000):
        (tmp_path / beside(str(path))).write_text(text)
        with pytest.raises(LtError, match="damaged"):
            measured_temperatures(str(path))


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), "2", None, True])
def test_a_temperature_of_a_stranger_is_looked_at(value: object, run: Path, tmp_path: Path) -> None:
    change(lambda c: c["callbacks"]["Calibration"].update(temperature=value))(run / "last.ckpt", tmp_path / "x.ckpt")
    with pytest.raises(LtError, match="no positive numbers"):
        measured_temperatures(str(tmp_path / "x.ckpt"))


def test_the_module_of_a_checkpoint_can_be_read_out(run: Path) -> None:
    path = str(run / "last.ckpt")
    module = load_module(path, NUMBERS).eval()
    predict = read_out(
        module,
        measured_temperatures(path),
        target_log_prior("train", NUMBERS, module.class_counts),
    )
    with torch.no_grad():
        probability = predict(module.net(torch.randn(4, 3, 8, 8))).softmax(-1)
    torch.testing.assert_close(probability.sum(-1), torch.ones(4))
