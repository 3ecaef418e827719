"""`lt export`: files that other programs run, without the package and without data."""

import csv
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from commands import QUIET, ROOT, refusal
from PIL import ExifTags, Image
from safetensors import safe_open
from synthetic import COUNTS, DIGITS, FOLDER, checkpoint, loss
from trees import tree

from lt_lightning.commands import main
from lt_lightning.data import DigitsLT, FolderLT
from lt_lightning.export import command, formats
from lt_lightning.export.facts import figures
from lt_lightning.models.backbones import BACKBONES

CE, BS = loss("CrossEntropy"), loss("BalancedSoftmax")
WITHOUT = "import sys; sys.modules['lt_lightning'] = None\n"
TORCHVISION_WITHOUT_OPERATORS = """
import torch
library = torch.library.Library("torchvision", "FRAGMENT")
for name in "nms", "qnms":
    library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""
"""For a torchvision that was compiled for another build of torch."""
DEPTH = {"class_path": "lt_lightning.models.DepthExperts"}
QUICK: dict[str, dict[str, Any]] = {  # by the format that each is exported to
    "onnx": {
        "kind": "Teacher",
        "data": FOLDER,
        "losses": [CE, BS],
        "backbone": "resnet8",
        "shared_stages": 2,
        "classifier": "cosine",
        "network": DEPTH,
        "combination": loss("PriorCorrected"),
    },
    "pt2": {
        "kind": "WeightScaling",
        "first_stage": "/nowhere.ckpt",
        "losses": [CE, BS],
        "backbone": "resnet8",
        "combination": loss("MeanProbabilities"),
    },
    "safetensors": {
        "kind": "Teacher",
        "data": FOLDER,
        "losses": [CE, BS],
        "backbone": "resnet18",
        "shared_stages": 2,
    },
}


def pixels(size: int) -> torch.Tensor:
    return torch.randint(256, (5, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def logits(module: torch.nn.Module, data: dict[str, Any], image: torch.Tensor) -> np.ndarray:
    """What the package computes."""
    opened = DigitsLT() if data is DIGITS else FolderLT("/nowhere")
    with torch.no_grad():
        return module(opened.normalise(image)).numpy()


def export(folder: Path, name: str, form: str, kind: str, data: dict[str, Any] = DIGITS, **arguments: Any) -> Any:
    """Export a model, lay pixels beside it, and return the logits of the package."""
    module = checkpoint(folder / f"{name}.ckpt", kind, data, **arguments)
    main(
        ["export", "--ckpt_path", str(folder / f"{name}.ckpt"), "--format", form, "-o", str(folder / f"{name}.{form}")]
    )
    image = pixels(data["init_args"].get("size", 8))
    np.save(folder / f"{name}.npy", image.numpy())
    return logits(module, data, image)


def python(*words: str | Path, folder: Path | None = None) -> str:
    """Run Python without anything of this process's environment; returns what it prints."""
    done = subprocess.run([sys.executable, *words], env={}, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_elsewhere(folder: Path) -> None:
    python(Path(__file__).with_name("without_the_package.py"), folder)


def agree(file: Path, expected: np.ndarray) -> None:
    """See that what another process computed, of one image and of five, is what the package did."""
    found = np.load(f"{file}.npz")
    assert np.abs(found["one"] - expected[:1]).max() <= 1e-4
    assert np.abs(found["five"] - expected).max() <= 1e-4
    np.testing.assert_allclose(found["probabilities"], torch.tensor(expected).softmax(-1).numpy(), atol=1e-5)
    assert json.loads(Path(f"{file}.json").read_text())["labels"] == [str(c) for c in range(len(COUNTS))]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """Three small models, each in a format of its own, run by a process without the package."""
    folder = tmp_path_factory.mktemp("exported")
    expected = {form: export(folder, form, form, **arguments) for form, arguments in QUICK.items()}
    run_elsewhere(folder)
    return folder, expected


@pytest.mark.parametrize("form", QUICK)
def test_it_runs_without_the_package(form, exported):
    folder, expected = exported
    agree(folder / f"{form}.{form}", expected[form])


def test_one_file_of_onnx_says_all_and_tells_nothing_of_this_machine(exported):
    file = exported[0] / "onnx.onnx"
    model = onnx.load(file)
    onnx.checker.check_model(model)
    assert [entry.version for entry in model.opset_import if not entry.domain] == [formats.OPSET]
    assert model.ir_version == 8  # the newest that onnxruntime 1.14 reads
    assert [(dim.dim_param or dim.dim_value) for dim in model.graph.input[0].type.tensor_type.shape.dim] == [
        "batch",
        *(40, 40, 3),
    ]
    facts = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert facts["class_counts"] == COUNTS
    assert facts["preprocessing"]["inside"]["mean"] == [0.485, 0.456, 0.406]
    assert facts["method"]["network"] == "DepthExperts"
    assert facts["origin"]["checkpoint"] == "onnx.ckpt"
    assert not [path for path in exported[0].iterdir() if path.suffix == ".data"]
    for form in QUICK:
        content = (exported[0] / f"{form}.{form}").read_bytes()
        assert b"lt_lightning/" not in content  # sources of which the exporters know
        assert str(Path(__file__).parents[2]).encode() not in content


def page(language: str) -> list[str]:
    text = (ROOT / "docs" / "export.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def photograph(file: Path) -> Path:
    """A JPEG, large enough to be decoded at a part of its size, and lying on its side."""
    noise = np.random.default_rng(0).integers(256, size=(6, 8, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(noise).resize((800, 600), Image.Resampling.BICUBIC).save(file, exif=exif)
    return file


def test_the_program_of_the_page_says_what_lt_predict_says(exported, tmp_path):
    image, table = photograph(tmp_path / "a.jpg"), tmp_path / "predictions.csv"
    program = page("python")[0].replace("runs/lakes/export/best.onnx", str(exported[0] / "onnx.onnx"))
    printed = python("-c", WITHOUT + program, image).splitlines()
    main(["predict", str(image), "--ckpt_path", str(exported[0] / "onnx.ckpt"), "-o", str(table)])
    (row,) = csv.DictReader(table.open(newline=""))
    assert len(printed) == 5
    for place, line in enumerate(printed):
        suffix = f"_{place + 1}" if place else ""
        probability, label = line.split(maxsplit=1)
        assert label == row[f"label{suffix}"]
        assert float(probability) == pytest.approx(float(row[f"probability{suffix}"]), abs=2e-6)


def test_heads_of_training_stay_behind(tmp_path, capsys):
    module = checkpoint(tmp_path / "a.ckpt", "ContrastiveExperts", losses=[CE, BS], backbone="resnet8")
    main(["export", "--ckpt_path", str(tmp_path / "a.ckpt"), "--format", "safetensors"])
    heads = sum(tensor.numel() for tensor in module.contrast.state_dict().values())
    assert f"left out  contrast ({heads:,} numbers)\n" in capsys.readouterr().out
    with safe_open(tmp_path / "export" / "a.safetensors", "pt") as opened:
        names = set(opened.keys())
    assert names == {f"net.{name}" for name in module.net.state_dict()} | {"mean", "std", "read_out.offset"}


def test_a_known_prior_is_inside(tmp_path):
    module = checkpoint(tmp_path / "a.ckpt", "Teacher", losses=[CE, BS], backbone="resnet8")
    main(["export", "--ckpt_path", str(tmp_path / "a.ckpt"), "--format", "pt2", "--target_prior", "uniform"])
    facts = {"calibration": ""}
    run = torch.export.load(tmp_path / "export" / "a.pt2", extra_files=facts).module()
    image = pixels(8)
    with torch.no_grad():
        expected = module.balance(module.net(DigitsLT().normalise(image)))
    torch.testing.assert_close(run(image)["probabilities"], expected.softmax(-1))
    assert json.loads(facts["calibration"])["target_prior"] == "uniform"
    assert not torch.allclose(expected.softmax(-1), module(DigitsLT().normalise(image)).softmax(-1))


def test_figures_are_those_of_this_checkpoint(tmp_path):
    checkpoint(tmp_path / "best.ckpt", "Teacher", losses=[CE], backbone="resnet8")
    best = {"epoch": 3, "acc": 0.5, "expert1/acc": 0.5}
    summary = {
        "val": {"last": {"epoch": 3, "acc": 0.25}, "best": best, "selected_on": "validation"},
        "test": {"checkpoint": "/home/someone/last.ckpt", "step": 40, "selected_on": None, "last": {"acc": 0.75}},
        "validate": {"checkpoint": "/home/someone/best.ckpt", "step": 40, "last": {"acc": 1.0, "ece": float("nan")}},
    }
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    main(["export", "--ckpt_path", str(tmp_path / "best.ckpt"), "--format", "safetensors"])
    with safe_open(tmp_path / "export" / "best.safetensors", "pt") as opened:
        said = json.loads(opened.metadata()["figures"])
    assert said == {"val": {"epoch": 3, "acc": 0.5}, "validate": {"acc": 1.0}}
    summary["val"]["best"]["epoch"] = 2  # best.ckpt was chosen by another figure
    summary["validate"]["step"] = 20  # and is of a later step than what was measured
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    assert figures(str(tmp_path / "best.ckpt")) == {}


@pytest.fixture
def small(tmp_path: Path) -> str:
    checkpoint(tmp_path / "a.ckpt", "Teacher", losses=[CE], backbone="resnet8")
    return str(tmp_path / "a.ckpt")


def test_the_formats_have_the_names_that_the_command_knows():
    assert formats.FORMATS.keys() == command.FORMATS.keys()


@pytest.mark.parametrize(("word", "fix"), [("onx", "did you mean onnx?"), ("xyz", "onnx, pt2, safetensors")])
def test_an_unknown_format(word, fix, small, capsys):
    lines = refusal(["export", "--ckpt_path", small, "--format", word], capsys)
    assert f"unknown format '{word}'" in lines[0]
    assert fix in lines[2]


def test_packages_that_are_missing(small, capsys, monkeypatch):
    monkeypatch.setattr("lt_lightning.export.command.find_spec", lambda name: None)
    lines = refusal(["export", "--ckpt_path", small, "--format", "onnx"], capsys)
    assert "onnx, onnxscript, onnxruntime" in lines[0]
    assert lines[2].endswith("pip install 'lt-lightning[export]'")


def test_a_file_that_computes_something_else_is_not_left_behind(small, capsys, monkeypatch, tmp_path):
    old = tmp_path / "export" / "a.pt2"
    old.parent.mkdir()
    old.write_bytes(b"of yesterday")
    monkeypatch.setattr(
        formats.Pt2, "open", lambda self, file, classifier: lambda image: torch.full((len(image), 10), 9.0)
    )
    lines = refusal(["export", "--ckpt_path", small, "--format", "pt2"], capsys)
    assert "computes something else" in lines[0]
    assert [path.read_bytes() for path in old.parent.iterdir()] == [b"of yesterday"]


def test_weights_that_are_not_finite(small, capsys, tmp_path):
    content = torch.load(small, weights_only=True)
    content["state_dict"]["net.classifiers.0.bias"][3] = torch.nan
    torch.save(content, small)
    assert "nan" in refusal(["export", "--ckpt_path", small, "--format", "safetensors"], capsys)[0]
    assert list((tmp_path / "export").iterdir()) == []


def test_the_checkpoint_is_not_overwritten(small, capsys):
    assert "itself" in refusal(["export", "--ckpt_path", small, "--format", "pt2", "-o", small], capsys)[0]


def test_no_folder_to_write_into(small, capsys):
    assert "/nowhere/a" in refusal(["export", "--ckpt_path", small, "--format", "pt2", "-o", "/nowhere/a"], capsys)[1]


def test_too_large_for_onnx(small, capsys, monkeypatch):
    monkeypatch.setattr(formats, "MAX_BYTES", 1000)
    lines = refusal(["export", "--ckpt_path", small, "--format", "onnx"], capsys)
    assert lines[2].endswith("use --format pt2")


def test_other_names_than_the_model_has_classes(capsys, tmp_path):
    checkpoint(tmp_path / "a.ckpt", "Teacher", losses=[CE], backbone="resnet8", names=["one", "two"])
    lines = refusal(["export", "--ckpt_path", str(tmp_path / "a.ckpt"), "--format", "pt2"], capsys)
    assert "names 2 classes" in lines[0]


@pytest.mark.soak
def test_the_whole_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tree(tmp_path / "lakes")
    fast = ["--trainer.max_epochs", "1", "--data.size", "64", "--data.batch_size", "8", "--data.num_workers", "0"]
    words = ["fit", "--config", str(ROOT / "configs" / "ce.yaml"), "--config", str(ROOT / "configs/on/own_images.yaml")]
    main([*words, "--data.root", "lakes", "--trainer.default_root_dir", "runs/lakes", *QUIET, *fast])
    lines = [line for block in page("bash") for line in block.splitlines() if line.startswith("lt ")]
    assert len(lines) == 4
    for line in lines:
        main(shlex.split(line)[1:])
    for form in ("pt2", "safetensors"):
        main(["export", "--ckpt_path", "runs/lakes/best.ckpt", "--format", form])
    image = photograph(tmp_path / "a.jpg")
    for program in page("python"):
        python("-c", WITHOUT + TORCHVISION_WITHOUT_OPERATORS + program, image, folder=tmp_path)


COMBINATIONS = [loss("MeanLogits"), loss("MeanProbabilities"), loss("PriorCorrected", test_prior=[1.0, *[2.0] * 9])]
THREE = [CE, BS, loss("InverseSoftmax")]
CIFAR = "resnet8", "resnet20", "resnet32", "resnet32_reduced", "resnet56"
SOAK: dict[str, dict[str, Any]] = {
    **{
        f"{backbone} {classifier}": {
            "kind": "Teacher",
            "data": DIGITS
            if backbone in ("resnet8", "resnet20", "resnet32", "resnet32_reduced", "resnet56")
            else FOLDER,
            "losses": [CE, BS],
            "backbone": backbone,
            "shared_stages": shared,
            "classifier": classifier,
        }
        for backbone in BACKBONES
        for classifier, shared in (("linear", 0), ("cosine", 2))
    },
    **{
        f"depth {backbone}": {
            "kind": "Teacher",
            "data": FOLDER,
            "losses": THREE,
            "backbone": backbone,
            "shared_stages": 2,
            "network": DEPTH,
        }
        for backbone in ("resnet32", "resnet18", "resnext50_reduced")
    },
    **{
        combination["class_path"].rpartition(".")[2]: {
            "kind": "Teacher",
            "losses": THREE,
            "backbone": "resnet8",
            "combination": combination,
        }
        for combination in COMBINATIONS
    },
    **{
        f"{kind} {classifier}": {
            "kind": kind,
            "first_stage": "/nowhere.ckpt",
            "losses": THREE,
            "backbone": "resnet8",
            "shared_stages": 1,
            "classifier": classifier,
        }
        for kind in ("ClassifierRetraining", "WeightScaling", "TauNormalisation", "ShiftedRetraining")
        for classifier in ("linear", "cosine")
        if (kind, classifier) != ("TauNormalisation", "cosine")
    },
    "StudentEnsemble": {"kind": "StudentEnsemble", "teacher": "/nowhere.ckpt", "losses": THREE, "backbone": "resnet8"},
    "ContrastiveExperts": {"kind": "ContrastiveExperts", "losses": THREE},
    "SelfDistillation": {"kind": "SelfDistillation", "losses": THREE},
    "ProCo": {"kind": "ContrastiveExperts", "losses": THREE, "contrast": loss("ProbabilisticContrast")},
    "NCL": {"kind": "Teacher", "losses": THREE, "terms": [loss("NestedCollaboration")], "backbone": "resnet8"},
}


TORCHVISION = "resnet18 linear", "resnet50 linear", "resnet152 linear"
"""Of which torchvision has the networks, by the same name."""


@pytest.mark.soak
@pytest.mark.parametrize("name", SOAK)
def test_every_architecture_in_every_format(name, tmp_path):
    for form in command.FORMATS:
        expected = export(tmp_path, "x", form, **SOAK[name])
    if name not in TORCHVISION:
        (tmp_path / "x.safetensors").unlink()
    run_elsewhere(tmp_path)
    for form in command.FORMATS:
        if (tmp_path / f"x.{form}").exists():
            agree(tmp_path / f"x.{form}", expected)
