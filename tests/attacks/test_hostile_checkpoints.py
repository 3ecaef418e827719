"""A checkpoint is tensors and plain values: no file that claims to be one runs, imports or fetches anything."""

import builtins
import contextlib
import io
import os
import pickle
import resource
import subprocess
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from attack import PLANTED, Canary
from commands import QUIET, ROOT, fit, load, refusal
from torch import nn

from lt_lightning.checkpoints import load_module, read_checkpoint, read_weights, stored_config
from lt_lightning.commands import main
from lt_lightning.errors import LtError

CE = ["fit", "--config", str(ROOT / "configs" / "ce.yaml"), "--trainer.default_root_dir", "run"]
STUDENTS = ["fit", "--config", str(ROOT / "configs" / "mcsm.yaml"), "--trainer.default_root_dir", "run"]
SHORT = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1", "--trainer.limit_val_batches", "1"]
CLASSES = [str(digit) for digit in range(10)]

ENTRANCES = {
    "test": ["test", "--ckpt_path", "evil/last.ckpt"],
    "validate": ["validate", "--ckpt_path=evil/last.ckpt"],
    "predict": ["predict", "--ckpt_path", "evil/last.ckpt"],
    "fit": [*CE, "--ckpt_path", "evil/last.ckpt"],
    "a configuration": [*CE, "--config", "ckpt.yaml"],
    "resume": ["fit", "--resume", "evil"],
    "the same again": [*CE, "--trainer.default_root_dir", "evil"],
    "teacher": [*STUDENTS, "--model.teacher", "evil/last.ckpt"],
    "first stage": [*CE, "--model", "ClassifierRetraining", "--model.first_stage", "evil/last.ckpt"],
    "weights": [*CE, "--pretrained.weights", "evil/last.ckpt"],
    "seeds": ["seeds", "evil/last.ckpt", "evil/other.ckpt"],
}


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """A checkpoint of the command's own."""
    return fit(tmp_path_factory.mktemp("honest"), *SHORT) / "last.ckpt"


@pytest.fixture
def evil(canary: Canary) -> Path:
    """Where the file lies that the command is given."""
    Path("evil").mkdir()
    Path("ckpt.yaml").write_text("ckpt_path: evil/last.ckpt")
    return Path("evil/last.ckpt")


class Reduced:
    """What is unpickled by a call."""

    def __init__(self, call: Callable[..., Any], *args: Any) -> None:
        self.call, self.args = call, args

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call, self.args


def payloads(canary: Canary) -> dict[str, Any]:
    """Objects that sing when they are unpickled."""
    return {
        "os.system": Reduced(os.system, canary.shell),
        "subprocess": Reduced(subprocess.getoutput, canary.shell),
        "eval": Reduced(builtins.eval, f"__import__('os').system({canary.shell!r})"),
        "import": Reduced(builtins.__import__, PLANTED),
    }


@pytest.mark.parametrize(
    ("payload", "entrance"),
    [*(("os.system", name) for name in ENTRANCES), ("subprocess", "test"), ("eval", "test"), ("import", "test")],
)
def test_a_pickle_that_calls_is_refused(payload, entrance, evil, canary, capsys):
    torch.save({"state_dict": {}, "x": payloads(canary)[payload]}, evil)
    torch.save({"state_dict": {}, "x": payloads(canary)[payload]}, evil.with_name("other.ckpt"))
    assert "more than tensors" in refusal(ENTRANCES[entrance], capsys)[0]


def zipped(file: Path, pickled: bytes, packed: int = zipfile.ZIP_STORED, **records: bytes) -> None:
    """Write an archive of torch's form by hand."""
    parts = {"data.pkl": pickled, "byteorder": b"little", ".format_version": b"1", ".storage_alignment": b"64"}
    with zipfile.ZipFile(file, "w", packed) as archive:
        for name, content in {**parts, "version": b"3\n", **records}.items():
            archive.writestr(f"archive/{name}", content)


def claimed(numel: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """The pickle of a tensor that says what it likes of its storage, in a checkpoint."""

    class Storage:
        pass

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing: Any) -> Any:
            return ("storage", torch.FloatStorage, "0", "cpu", numel) if isinstance(thing, Storage) else None

    tensor = Reduced(torch._utils._rebuild_tensor_v2, Storage(), 0, size, stride, False, OrderedDict())
    file = io.BytesIO()
    Pickler(file, protocol=2).dump({"state_dict": {"x": tensor}})
    return file.getvalue()


class Dict(dict):
    """A dictionary of a class of its own."""


def in_a_tar(file: Path, canary: Canary) -> None:
    """As torch before 0.2 wrote it."""
    with tarfile.open(file, "w") as archive:
        content = pickle.dumps(payloads(canary)["os.system"])
        for name in ("pickle", "tensors", "storages"):
            part = tarfile.TarInfo(name)
            part.size = len(content)
            archive.addfile(part, io.BytesIO(content))


def endless(file: Path, _: Canary) -> None:
    """A list that holds itself, as deep as one looks."""
    content: list[Any] = []
    content.append(content)
    torch.save({"state_dict": {}, "x": content, "y": torch.empty(1).expand(10**10)}, file)


FILES: dict[str, Callable[[Path, Canary], object]] = {
    "legacy": lambda f, c: torch.save(payloads(c)["os.system"], f, _use_new_zipfile_serialization=False),
    "legacy, honest": lambda f, c: torch.save({"state_dict": {}}, f, _use_new_zipfile_serialization=False),
    "bare pickle": lambda f, c: f.write_bytes(pickle.dumps(payloads(c)["os.system"])),
    "tar": in_a_tar,
    "TorchScript": lambda f, c: torch.jit.script(nn.Linear(1, 1)).save(str(f)),
    "whole module": lambda f, c: torch.save(nn.Linear(1, 1), f),
    "a class of dictionaries": lambda f, c: torch.save({"state_dict": Dict(x=Dict())}, f),
    "zip bomb": lambda f, c: zipped(f, pickle.dumps({"state_dict": {}, "x": "x" * 10**8}, 2), zipfile.ZIP_DEFLATED),
    "packed storage": lambda f, c: zipped(
        f, claimed(10**8, (1,), (1,)), zipfile.ZIP_DEFLATED, **{"data/0": bytes(10**8)}
    ),
    "storage of 10 GB": lambda f, c: zipped(f, claimed(25 * 10**8, (25 * 10**8,), (1,)), **{"data/0": bytes(4)}),
    "tensor beyond its storage": lambda f, c: zipped(f, claimed(1, (25 * 10**8,), (1,)), **{"data/0": bytes(4)}),
    "storage of less than nothing": lambda f, c: zipped(f, claimed(-8, (2,), (1,)), **{"data/0": bytes(4)}),
    "storage that is elsewhere": lambda f, c: zipped(f, claimed(1, (1,), (1,))),
    "10 GB repeated": lambda f, c: zipped(f, claimed(1, (25 * 10**8,), (0,)), **{"data/0": bytes(4)}),
    "endless": endless,
    "no archive of torch's": lambda f, c: zipfile.ZipFile(f, "w").writestr("x", "y"),
    "deep": lambda f, c: zipped(f, b"\x80\x02" + b"]" * 10**5 + b"a" * (10**5 - 1) + b"."),
    "not a dictionary": lambda f, c: torch.save([1], f),
    "no tensors": lambda f, c: torch.save({"state_dict": {"x": "y"}}, f),
    "keys that are no names": lambda f, c: torch.save({"state_dict": {1: torch.ones(1)}}, f),
    "empty": lambda f, c: f.touch(),
    "text": lambda f, c: f.write_text("model: Teacher"),
    "missing": lambda f, c: None,
    "folder": lambda f, c: f.mkdir(),
    "link to a folder": lambda f, c: f.symlink_to("."),
    "link to nothing": lambda f, c: f.symlink_to("nowhere"),
    "link to itself": lambda f, c: f.symlink_to(f.name),
    "pipe": lambda f, c: os.mkfifo(f),
    "device": lambda f, c: f.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_kind_is_refused(name, evil, canary, capsys):
    FILES[name](evil, canary)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "configuration" not in refusal(ENTRANCES["test"], capsys)[0]  # which is looked for once a file is open
    with pytest.raises(LtError):
        read_weights(str(evil))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**19  # KiB: half a GiB


def test_a_truncated_checkpoint_is_refused(honest, evil, capsys):
    evil.write_bytes(honest.read_bytes()[:-1000])
    assert "damaged" in refusal(ENTRANCES["test"], capsys)[0]


@pytest.mark.parametrize(
    ("address", "entrance"),
    [
        *(("http", name) for name in ENTRANCES if name != "the same again"),
        ("hf://a/b", "test"),
        ("registry:a/b", "test"),
        ("registry:a/b", "a configuration"),
        ("simplecache::http", "test"),
    ],
)
def test_an_address_is_not_asked(address, entrance, evil, web, capsys):
    here, asked = web
    where = address.replace("http", here)
    Path("ckpt.yaml").write_text(f"ckpt_path: {where}")
    refusal([word.replace("evil/last.ckpt", where).replace("evil", where) for word in ENTRANCES[entrance]], capsys)
    assert asked == []


def disguised(honest: Path, evil: Path, **changed: Any) -> str:
    """An honest checkpoint, in part another."""
    torch.save({**load(honest), **changed}, evil)
    torch.save({**load(honest), **changed, "other": 1}, evil.with_name("other.ckpt"))
    return str(evil)


CONFIGS = {
    "a call": ("class_path: lt_lightning.losses.CrossEntropy", "class_path: os.system"),
    "a planted model": ("class_path: lt_lightning.modules.Teacher", f"class_path: {PLANTED}.Model"),
    "a planted set": ("class_path: lt_lightning.data.DigitsLT", f"class_path: {PLANTED}.Data"),
    "a tag that calls": ("seed_everything: 0", "seed_everything: !!python/object/apply:os.system [SHELL]"),
    "a tag that imports": ("seed_everything: 0", f"seed_everything: !!python/module:{PLANTED}"),
}


@pytest.mark.parametrize(
    ("attack", "entrance"),
    [
        *((attack, entrance) for attack in CONFIGS for entrance in ("test", "resume")),
        ("a planted set", "seeds"),
        ("a tag that calls", "seeds"),
    ],
)
def test_a_configuration_that_travels_is_no_more_than_a_file(attack, entrance, honest, evil, canary, capsys):
    old, new = CONFIGS[attack]
    text = load(honest)["lt_config"]
    assert old in text
    disguised(honest, evil, lt_config=text.replace(old, new.replace("SHELL", canary.shell)))
    what, _, _ = refusal(ENTRANCES[entrance], capsys)
    assert "none of the classes" in what or "could not determine a constructor" in what


@pytest.mark.parametrize(
    "config",
    [1, {}, "", "[]", "text", "model: &a [*a]", "{", "a: 1", "model: {}\ndata: {}\ntrainer: 1", "\0", "[" * 9999],
)
def test_a_configuration_that_is_none_is_refused(config, honest, evil):
    with pytest.raises(LtError):
        stored_config(disguised(honest, evil, lt_config=config))


ARGUMENTS = {
    "another builder": {"_instantiator": "os.system"},
    "a planted builder": {"_instantiator": f"{PLANTED}.call"},
    "no builder": {"_instantiator": None},
    "a builder of another type": {"_instantiator": ["os.system"]},
    "a planted class": {"_class_path": f"{PLANTED}.Model"},
    "a class that runs": {"_class_path": "subprocess.Popen", "args": "true"},
    "a class of another type": {"_class_path": 1},
    "no class": {"_class_path": None},
    "a call as loss": {"losses": ["os.system"]},
    "a planted loss": {"losses": [f"{PLANTED}.call"]},
    "losses of another type": {"losses": 1},
    "counts of another type": {"class_counts": "many"},
    "an argument that is unknown": {"evil": 1},
    "keys that are no names": {1: 2},
    "fewer classes": {"class_counts": [1, 1]},
}


@pytest.mark.parametrize("attack", ARGUMENTS)
def test_arguments_of_a_module_build_nothing_else(attack, honest, evil):
    """As a teacher, a first stage and in a notebook; without the command's own checks."""
    arguments = {**load(honest)["hyper_parameters"], **ARGUMENTS[attack]}
    names = load(honest)["lt_class_names"]
    with pytest.raises(LtError):
        load_module(disguised(honest, evil, hyper_parameters=arguments), names)


@pytest.mark.parametrize("key", ["hparams", "module_arguments"])
def test_arguments_under_old_names_are_not_read(key, honest, evil):
    evil_arguments = {"_instantiator": f"{PLANTED}.call", "_class_path": f"{PLANTED}.Model", "losses": ["os.system"]}
    load_module(disguised(honest, evil, **{key: evil_arguments}), load(honest)["lt_class_names"])


@pytest.mark.parametrize(
    "changed",
    [
        {"hyper_parameters": [1]},
        {"lt_class_names": "0123456789"},
        {"lt_class_names": [1] * 10},
        {"lt_class_counts": {"a": 1}},
        {"lt_class_counts": [1, 2]},
    ],
)
def test_values_of_another_type_are_refused(changed, honest, evil, capsys):
    disguised(honest, evil, **changed)
    refusal(ENTRANCES["test"], capsys)


def in_a_run(honest: Path, run: Path, epochs: int = 2, **changed: Any) -> Path:
    """A run's folder with a checkpoint that goes on, and was changed."""
    run.mkdir()
    checkpoint = torch.load(honest, weights_only=True)
    text = checkpoint["lt_config"].replace("max_epochs: 1\n", f"max_epochs: {epochs}\n")
    checkpoint["lt_config"] = text.replace("  epochs: 1\n", f"  epochs: {epochs}\n")
    for key, value in changed.items():
        checkpoint[key] = value(checkpoint[key]) if callable(value) else value
    torch.save(checkpoint, run / "last.ckpt")
    return run


@pytest.mark.parametrize("place", ["{run}/../victim", "{victim}", "{victim}/thesis.txt", "{run}/../victim.ckpt"])
def test_nothing_is_removed_that_a_checkpoint_calls_its_own(place, honest, tmp_path, canary, capsys):
    """Lightning removes the best checkpoint before, by whatever name the last one gives it."""
    run, victim = tmp_path / "run", tmp_path / "victim"
    victim.mkdir()
    (victim / "thesis.txt").write_text("years")
    (tmp_path / "victim.ckpt").write_text("weeks")
    named = place.format(run=run, victim=victim)
    worse = torch.tensor(-1.0)
    lies = {"best_k_models": {named: worse}, "kth_best_model_path": named, "kth_value": worse}
    lies |= {"best_model_path": named, "best_model_score": worse}

    def lie(callbacks: dict[str, Any]) -> dict[str, Any]:
        return {
            name: {k: v for k, v in state.items() if k != "dirpath"} | lies if "ModelCheckpoint" in name else state
            for name, state in callbacks.items()
        }

    in_a_run(honest, run, callbacks=lie)
    with contextlib.suppress(SystemExit):
        main(["fit", "--resume", str(run), *QUIET])
    assert (victim / "thesis.txt").read_text() == "years"
    assert (tmp_path / "victim.ckpt").read_text() == "weeks"


DAMAGE: dict[str, Any] = {
    "callbacks": [1],
    "callbacks of another kind": ("callbacks", lambda c: c | {"TrainingLog": {"sums": 5, "steps": 1}}),
    "figures that are none": ("callbacks", lambda c: c | {"Report": {"last": {}, "best": {"epoch": 0}}}),
    "optimizer_states": 5,
    "an optimiser that is none": ("optimizer_states", ["x"]),
    "an optimiser of no kind": ("optimizer_states", [{}]),
    "schedules that are none": ("lr_schedulers", [7]),
    "loops": 7,
    "progress that is none": ("loops", lambda loops: {"fit_loop": {"epoch_progress": 7}}),
    "global_step": "x",
    "pytorch-lightning_version": "evil",
    "lt_step": 5,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_progress_that_is_damaged_is_refused(damage, honest, tmp_path, canary, capsys):
    what = DAMAGE[damage]
    key, value = what if isinstance(what, tuple) else (damage, what)
    run = in_a_run(honest, tmp_path / "run", **{key: value})
    assert "last.ckpt" in refusal(["fit", "--resume", str(run), *QUIET], capsys)[1]


@pytest.mark.parametrize("config", ["ce", "mcsm"])
def test_ours_are_always_tensors_and_plain_values(config, honest, tmp_path):
    teacher = ["--model.teacher", str(honest)] if config == "mcsm" else []
    run = fit(tmp_path, *SHORT, *teacher, config=config)
    for name in ("last", "best"):
        checkpoint = torch.load(run / f"{name}.ckpt", weights_only=True)
        assert read_checkpoint(str(run / f"{name}.ckpt")).keys() == checkpoint.keys()
        module = load_module(str(run / f"{name}.ckpt"), checkpoint["lt_class_names"])
        assert all(torch.equal(value, checkpoint["state_dict"][key]) for key, value in module.state_dict().items())
    weights = dict(checkpoint["state_dict"])
    torch.save(weights, tmp_path / "weights.pth")
    assert read_weights(str(tmp_path / "weights.pth")).keys() == weights.keys()
