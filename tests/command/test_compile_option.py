"""``lt fit --compile MODE``: the same run by compiled steps."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from commands import ROOT, fit, load, refusal
from torch._dynamo.testing import CompileCounterWithBackend
from torch._dynamo.utils import counters

from lt_lightning import compiled
from lt_lightning.checkpoints import stored_config
from lt_lightning.commands import main

FEW = ["--trainer.max_epochs", "2", "--trainer.limit_train_batches", "2", "--trainer.limit_val_batches", "1"]


@pytest.fixture
def modes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Modes that were asked for; steps become programs of torch's operations that are then not made faster."""
    plain, asked = torch.compile, list[str]()

    def trace(function: Any, mode: str, **kwargs: Any) -> Any:
        asked.append(mode)
        return plain(function, backend=CompileCounterWithBackend("eager"), **kwargs)

    monkeypatch.setattr(compiled.torch, "compile", trace)
    torch.compiler.reset()
    counters.clear()
    return asked


def test_a_run_is_the_same_and_goes_on_compiled(modes: list[str], tmp_path: Path) -> None:
    plain = load(fit(tmp_path / "plain", *FEW) / "last.ckpt")
    assert not modes
    run = fit(tmp_path / "run", *FEW, "--compile", "reduce-overhead", "--trainer.max_epochs", "1")
    main(["fit", "--resume", str(run), *FEW])
    assert modes == ["reduce-overhead"] * 2
    assert counters["stats"]["unique_graphs"] >= 1  # and the steps were those
    weights = load(run / "last.ckpt")["state_dict"]
    assert all(torch.equal(weights[name], value) for name, value in plain["state_dict"].items())


def test_a_teacher_that_is_trained_first_is_compiled_too(
    modes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tmp_path / "teacher.yaml"
    few = {"max_epochs": 1, "limit_train_batches": 2, "limit_val_batches": 1}
    ce = {
        key: part for key, part in yaml.safe_load((ROOT / "configs" / "ce.yaml").read_text()).items() if key != "data"
    }
    recipe.write_text(yaml.safe_dump({**ce, "trainer": few}))
    monkeypatch.setenv("TORCHDYNAMO_DISABLE", "1")  # in the process that trains it, so as not to wait
    run = fit(tmp_path / "run", *FEW, "--compile", "default", "--model.teacher", str(recipe), config="mcsm")
    assert modes == ["default"] * 2  # the students' step, and the teacher where it teaches
    assert [stored_config(str(file))["compile"] for file in run.glob("**/last.ckpt")] == ["default"] * 2


def test_a_compiled_teacher_says_the_same(modes: list[str], tmp_path: Path) -> None:
    teacher = str(fit(tmp_path / "teacher", *FEW) / "last.ckpt")
    plain = load(fit(tmp_path / "plain", *FEW, "--model.teacher", teacher, config="mcsm") / "last.ckpt")
    run = fit(tmp_path / "run", *FEW, "--model.teacher", teacher, "--compile", "default", config="mcsm")
    assert modes == ["default"] * 2
    weights = load(run / "last.ckpt")["state_dict"]
    assert all(torch.equal(weights[name], value) for name, value in plain["state_dict"].items())


def test_a_machine_that_cannot_compile_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_compiler(*_: Any) -> Any:
        raise RuntimeError("No working C++ compiler found")

    plain = torch.compile
    monkeypatch.setattr(compiled.torch, "compile", lambda step, **_: plain(step, backend=without_compiler))
    torch.compiler.reset()
    ce = ["--config", str(ROOT / "configs" / "ce.yaml"), "--trainer.accelerator", "cpu"]
    run = ["--compile", "default", "--trainer.default_root_dir", str(tmp_path / "run")]
    what, where, fix = refusal(["fit", *ce, *run, *FEW], capsys)
    assert "No working C++ compiler found" in what
    assert where == "  where: --compile"
    assert "C++ compiler" in fix


def test_gradients_of_several_batches_are_refused_in_a_graph(
    modes: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    several = ["--trainer.accumulate_grad_batches", "2", "--trainer.accelerator", "cpu"]
    ce = ["--config", str(ROOT / "configs" / "ce.yaml"), "--trainer.default_root_dir", str(tmp_path / "run")]
    _, where, _ = refusal(["fit", *ce, *several, "--compile", "max-autotune"], capsys)
    assert "accumulate_grad_batches" in where
    fit(tmp_path / "other", *FEW, *several, "--compile", "default")
    assert modes == ["default"]


def test_another_mode_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    what, where, _ = refusal(["fit", "--config", str(ROOT / "configs" / "ce.yaml"), "--compile", "fast"], capsys)
    assert "max-autotune" in what
    assert "compile" in where
