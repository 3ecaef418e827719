"""Malformed inputs: each is refused in three lines that name the file or key and how to mend it; none is accepted."""

import os
import shutil
import signal
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import QUIET, ROOT, fit, load, refusal
from PIL import Image
from trees import COUNTS, save, tree

CPU = [*QUIET, "--trainer.accelerator", "cpu"]
SHORT = ["--trainer.limit_train_batches", "1", "--trainer.limit_val_batches", "1", "--trainer.max_epochs", "1"]
SECONDS = 30
"""After which a command that waits for something is a failure."""

Case = tuple[Callable[[Path], list[str]], str]
"""What makes the command line, given an empty folder, and what the three lines say."""


def method(name: str, *flags: str) -> Callable[[Path], list[str]]:
    """Train a method on DigitsLT, for as short as it gets if it is not refused."""
    config = ["fit", "--config", str(ROOT / "configs" / f"{name}.yaml"), *CPU, *SHORT]
    return lambda folder: [*config, "--trainer.default_root_dir", str(folder / "run"), *flags]


def flags(*words: str) -> Callable[[Path], list[str]]:
    return method("ce", *words)


def config(content: str | bytes) -> Callable[[Path], list[str]]:
    """A second configuration file."""

    def make(folder: Path) -> list[str]:
        (folder / "bad.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
        return [*flags()(folder), "--config", str(folder / "bad.yaml")]

    return make


def loss(values: str) -> Callable[[Path], list[str]]:
    return config(f"model: {{init_args: {{losses: [{values}]}}}}")


def schedule(values: str) -> Callable[[Path], list[str]]:
    return config(f"lr_scheduler: {values}")


CONFIG: dict[str, Case] = {
    # files
    "empty": (config(""), "bad.yaml"),
    "only comments": (config("# nothing\n"), "bad.yaml"),
    "a list": (config("- 1\n- 2\n"), "expected keys with values"),
    "a scalar": (config("hello\n"), "expected keys with values"),
    "null": (config("null\n"), "expected keys with values"),
    "tabs": (config("trainer:\n\tmax_epochs: 1\n"), "line 2"),
    "binary": (config(bytes(range(256))), "bad.yaml"),
    "UTF-16": (config("trainer: {max_epochs: 1}\n".encode("utf-16")), "bad.yaml"),
    "Latin-1": (config("# \xe4\n".encode("latin-1")), "UTF-8"),
    "NUL": (config(b"trainer: {max_epochs: 1}\0\n"), "bad.yaml"),
    "two documents": (config("trainer: {max_epochs: 1}\n---\ntrainer: {max_epochs: 2}\n"), "another document"),
    "unclosed": (config("model: [unclosed"), "line 1"),
    "missing": (flags("--config", "nowhere.yaml"), "nowhere.yaml"),
    "a folder": (lambda folder: [*flags()(folder), "--config", str(folder)], "{folder}"),
    "a name that is empty": (flags("--config", ""), "fix: "),
    "an undefined alias": (config("trainer: *a\n"), "undefined alias"),
    "a tag": (config("trainer: !!python/object:os.system {}\n"), "python/object"),
    # keys
    "unknown at the top": (config("trainr: {max_epochs: 3}"), "did you mean 'trainer.max_epochs'?"),
    "unknown in the trainer": (config("trainer: {max_epoch: 3}"), "did you mean 'trainer.max_epochs'?"),
    "unknown in the model": (config("model: {init_args: {backbon: resnet8}}"), "did you mean 'backbone'?"),
    "unknown in a loss": (loss("{class_path: InverseSoftmax, init_args: {taw: 2}}"), "did you mean 'tau'?"),
    "unknown in a callback": (
        config("trainer: {callbacks: [{class_path: Ramp, init_args: {weight: a, epoch: 3}}]}"),
        "did you mean 'epochs'?",
    ),
    "unknown schedule": (schedule("{class_path: WarmupCosin}"), "did you mean 'WarmupCosine'?"),
    "no key": (config("? [a, b]\n: 2\n"), "unhashable key"),
    "a number as a key": (config("1: 2\n"), "must be a string"),
    "twice at the top": (config("trainer: {max_epochs: 3}\nmodel: {}\ntrainer: {}"), "'trainer' stands twice"),
    "twice below": (config("trainer:\n  max_epochs: 3\n  precision: 32\n  max_epochs: 4"), "line 4"),
    "twice in a line": (loss("{class_path: CrossEntropy, class_path: Focal}"), "'class_path' stands twice"),
    "a subcommand": (config("fit: {trainer: {max_epochs: 1}}"), "fit.trainer.max_epochs"),
    "class counts": (flags("--model.class_counts", "[1, 2]"), "model.class_counts"),
    # types
    "a list for the trainer": (config("trainer: [1]\n"), "trainer"),
    "null for the trainer": (config("trainer: null\n"), "trainer"),
    "a scalar for the trainer": (config("trainer: hello\n"), "trainer"),
    "null for the model": (config("model: null\n"), "model"),
    "null for the data": (config("data: null\n"), "data"),
    "null for the optimiser": (config("optimizer: null\n"), "optimizer"),
    "a number for the optimiser": (config("optimizer: 5\n"), "optimizer"),
    "a number for a class": (config("model: {class_path: 5}\n"), "model"),
    "a function for a class": (config("model: {class_path: os.system}\n"), "model"),
    "arguments in a list": (config("model: {init_args: [1]}\n"), "model"),
    "a class of another kind": (flags("--model", "DigitsLT"), "model"),
    "an empty name": (flags("--model", ""), "model"),
    "a text for losses": (flags("--model.losses", "CrossEntropy"), "model.losses"),
    "a list in losses": (loss("[CrossEntropy]"), "model.losses"),
    "null for losses": (config("model: {init_args: {losses: null}}\n"), "model"),
    "a text for a number": (flags("--trainer.max_epochs", "many"), "trainer.max_epochs"),
    "a fraction for a count": (flags("--trainer.max_epochs", "1.5"), "trainer.max_epochs"),
    "a date for a count": (config("trainer: {max_epochs: 2020-01-01}\n"), "trainer.max_epochs"),
    "5,000 digits": (config(f"trainer: {{max_epochs: {'9' * 5000}}}"), "5000 digits"),
    "a text for a truth": (flags("--trainer.enable_progress_bar", "perhaps"), "enable_progress_bar"),
    # numbers
    "epochs 0": (flags("--trainer.max_epochs", "0"), "trainer.max_epochs"),
    "epochs -5": (flags("--trainer.max_epochs", "-5"), "trainer.max_epochs"),
    "steps -7": (flags("--trainer.max_steps", "-7"), "max_steps"),
    "batch 0": (flags("--data.batch_size", "0"), "batches must be positive"),
    "batch 10^12": (flags("--data.batch_size", "1000000000000"), "at most 1000000 images"),
    "evaluation batch 0": (flags("--data.eval_batch_size", "0"), "batches must be positive"),
    "workers -1": (flags("--data.num_workers", "-1"), "workers"),
    "workers 10^8": (flags("--data.num_workers", "100000000"), "workers"),
    "imbalance below 1": (flags("--data.imbalance_factor", "0.5"), "imbalance_factor must lie in [1, 100]"),
    "imbalance NaN": (flags("--data.imbalance_factor", ".nan"), "data.imbalance_factor"),
    "rate NaN": (flags("--optimizer.lr", ".nan"), "optimizer.lr"),
    "rate nan as text": (flags("--optimizer.lr", "nan"), "optimizer.lr"),
    "rate infinite": (flags("--optimizer.lr", ".inf"), "optimizer.lr"),
    "rate 1e99": (flags("--optimizer.lr", "1e99"), "optimizer.lr"),
    "rate negative": (flags("--optimizer.lr", "-1"), "learning rate"),
    "momentum NaN": (flags("--optimizer.momentum", ".nan"), "optimizer.momentum"),
    "weight decay -1": (flags("--optimizer.weight_decay", "-1"), "weight_decay"),
    "clipping -1": (flags("--trainer.gradient_clip_val", "-1"), "trainer.gradient_clip_val"),
    "accumulation 0": (flags("--trainer.accumulate_grad_batches", "0"), "trainer.accumulate_grad_batches"),
    "validation every 0": (flags("--trainer.check_val_every_n_epoch", "0"), "trainer.check_val_every_n_epoch"),
    "no training batches": (flags("--trainer.limit_train_batches", "0"), "trainer.limit_train_batches"),
    "checkpoints every -1": (flags("--last.every_n_train_steps", "-1"), "last.every_n_train_steps"),
    "precision 8": (flags("--trainer.precision", "8"), "trainer.precision"),
    "devices 0": (flags("--trainer.devices", "0"), "devices"),
    "devices -3": (flags("--trainer.devices", "-3"), "devices"),
    "devices 9999": (flags("--trainer.devices", "9999"), "trainer.devices"),
    "a device that is not there": (flags("--trainer.accelerator", "mps"), "MPS"),
    "a library that is not there": (flags("--trainer.accelerator", "tpu"), "torch_xla"),
    "seed -1": (flags("--seed_everything", "-1"), "seed_everything"),
    "seed 2^40": (flags("--seed_everything", str(2**40)), "seed_everything"),
    "groups that overlap": (flags("--data.few", "200"), "few (200)"),
    "warm-up -1": (schedule("{class_path: WarmupCosine, init_args: {warmup: -1}}"), "lr_scheduler.warmup"),
    "milestones that fall": (
        schedule("{class_path: WarmupMultiStep, init_args: {milestones: [160, 80]}}"),
        "lr_scheduler.milestones",
    ),
    "gamma 0": (
        schedule("{class_path: WarmupMultiStep, init_args: {milestones: [1], gamma: 0}}"),
        "lr_scheduler.gamma",
    ),
    "tau NaN": (loss("{class_path: LogitAdjustment, init_args: {tau: .nan}}"), "model.losses.tau"),
    "focus -1": (loss("{class_path: Focal, init_args: {gamma: -1}}"), "gamma must not be negative"),
    "temperature 0": (method("mcsm", "--model.teacher", "{ckpt}", "--model.distillation.temperature", "0"), "temper"),
    "weight -1": (method("mcem", "--model.contrast_weight", "-1"), "contrast_weight"),
    # names
    "unknown flag": (flags("--trainer.max_epoch", "3"), "did you mean 'trainer.max_epochs'?"),
    "unknown flag at the top": (flags("--optimizr", "SGD"), "did you mean 'optimizer'?"),
    "unknown flag of a model": (flags("--model.lossess", "[CrossEntropy]"), "did you mean 'losses'?"),
    "unknown flag of data": (flags("--data.imbalance_facto", "10"), "did you mean 'imbalance_factor'?"),
    "unknown model": (flags("--model", "Teechr"), "did you mean 'Teacher'?"),
    "unknown data": (flags("--data", "CIFAR10TL"), "did you mean 'CIFAR10LT'?"),
    "unknown loss": (flags("--model.losses", '["CrossEntropi"]'), "did you mean 'CrossEntropy'?"),
    "unknown backbone": (flags("--model.backbone", "resnet33"), "did you mean 'resnet32'?"),
    "unknown figure": (flags("--checkpoint.monitor", "val/nonsense"), "val/nonsense"),
    # parts that do not fit together
    "no losses": (flags("--model.losses", "[]"), "num_experts must be at least 1"),
    "too many shared stages": (flags("--model.shared_stages", "9"), "shared_stages must be between 0 and 3"),
    "official counts that are too few": (
        flags("--data", "CIFAR100LT", "--data.root", "nowhere", "--data.imbalance_factor", "1000"),
        "[1, 500]",
    ),
    "no teacher": (method("mcsm", "--model.teacher", "nowhere.yaml"), "nowhere.yaml"),
    # words
    "an unknown command": (lambda _: ["fut"], "fit"),
    "nothing to train": (lambda _: ["fit"], "model"),
    "nothing to test": (lambda _: ["test"], "model"),
    "an empty word": (lambda _: [""], "fix: "),
    "a flag without a value": (lambda _: ["fit", "--config"], "config"),
    "300 flags": (lambda _: ["fit", *(f"--x{i}" for i in range(300))], "x0"),
    "300 words": (lambda _: ["word"] * 300, "word"),
    "a word for lt methods": (lambda _: ["methods", "all"], "lt methods"),
    "an unknown command of data": (lambda _: ["data", "chek", "."], "lt data check"),
    "an unknown set": (lambda _: ["data", "prepare", "CIFAR10TL"], "CIFAR10LT"),
    "one seed": (lambda _: ["seeds", "a.ckpt"], "two or more different checkpoints"),
}


def changed(**entries: Any) -> Callable[[Path, Path], None]:
    """A checkpoint with other entries; without those that are None."""

    def make(good: Path, bad: Path) -> None:
        checkpoint = load(good) | entries
        torch.save({key: value for key, value in checkpoint.items() if value is not None}, bad)

    return make


def reshaped(good: Path, bad: Path) -> None:
    checkpoint = load(good)
    name = next(name for name in checkpoint["state_dict"] if name.endswith("weight"))
    checkpoint["state_dict"][name] = torch.ones(3)
    torch.save(checkpoint, bad)


def flipped(good: Path, bad: Path) -> None:
    """One with another entry in its zip's directory."""
    bad.write_bytes(good.read_bytes().replace(b"data.pkl", b"atad.pkl"))


CHECKPOINT: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "missing": (lambda good, bad: None, "does not exist"),
    "empty": (lambda good, bad: bad.touch(), "damaged"),
    "text": (lambda good, bad: bad.write_text("weights"), "damaged"),
    "a folder": (lambda good, bad: bad.mkdir(), "bad.ckpt/last.ckpt"),
    "a pipe": (lambda good, bad: os.mkfifo(bad), "bad.ckpt"),
    "a link to itself": (lambda good, bad: bad.symlink_to(bad), "bad.ckpt"),
    "cut at 5,000 bytes": (lambda good, bad: bad.write_bytes(good.read_bytes()[:5000]), "damaged"),
    "without its last byte": (lambda good, bad: bad.write_bytes(good.read_bytes()[:-1]), "damaged"),
    "without its first byte": (lambda good, bad: bad.write_bytes(good.read_bytes()[1:]), "damaged"),
    "other names in its zip": (flipped, "damaged"),
    "a list": (lambda good, bad: torch.save([1, 2], bad), "no Lightning checkpoint"),
    "weights alone": (lambda good, bad: torch.save({"weights": torch.ones(3)}, bad), "no Lightning checkpoint"),
    "no table of weights": (changed(state_dict=[1, 2]), "no Lightning checkpoint"),
    "no configuration": (changed(lt_config=None), "carries no configuration"),
    "a number for its configuration": (changed(lt_config=5), "lt_config"),
    "a broken configuration": (changed(lt_config="model: [unclosed"), "configuration"),
    "a configuration that is a list": (changed(lt_config="[1, 2]"), "configuration"),
    "a configuration without a trainer": (changed(lt_config="model: {class_path: Teacher}"), "configuration"),
    "no weights": (changed(state_dict={}), "bad.ckpt"),
    "weights of another shape": (reshaped, "bad.ckpt"),
    "counts of other classes": (changed(lt_class_counts=[1, 2, 3]), "bad.ckpt"),
    "names of other classes": (changed(lt_class_names=["a", "b"]), "bad.ckpt"),
    "a number for the names": (changed(lt_class_names=5), "bad.ckpt"),
}


SMALL = ["--data.size", "16", "--model.backbone", "resnet8", "--data.num_workers", "0", "--data.batch_size", "8"]
OWN = ["--config", str(ROOT / "configs" / "on" / "own_images.yaml"), *SMALL]


def folder(spoil: Callable[[Path], object]) -> Callable[[Path], list[str]]:
    """Train on a folder of images after something has been done to it."""

    def make(empty: Path) -> list[str]:
        spoil(tree(empty / "data"))
        return [*flags(*OWN)(empty), "--data.root", str(empty / "data")]

    return make


def image(spoil: Callable[[Path], object]) -> Callable[[Path], list[str]]:
    """Train on a folder of which one image, that every epoch reads, is spoilt."""
    return folder(lambda root: spoil(root / "zebra" / "photo 0.jpg"))


def table(content: str | bytes) -> Callable[[Path], list[str]]:
    """Train on a table."""

    def make(empty: Path) -> list[str]:
        (empty / "t.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
        return [*flags(*OWN, "--data", "TableLT")(empty), "--data.file", str(empty / "t.csv")]

    return make


def instead(make: Callable[[Path], object]) -> Callable[[Path], object]:
    """Something else in the place of a file."""
    return lambda file: (file.unlink(), make(file))


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is large."""
    chunks = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(1000)))
    sized = (struct.pack(">I", len(c)) + name + c + struct.pack(">I", zlib.crc32(name + c)) for name, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(sized)


def only(root: Path, name: str) -> None:
    """Leave one class."""
    for other in set(COUNTS) - {name}:
        shutil.rmtree(root / other)


def by_splits(root: Path, spoil: Callable[[Path], object]) -> None:
    """Turn a folder of classes into one of splits."""
    shutil.rmtree(root)
    for part, start in (("train", 0), ("test", 200)):
        tree(root / part, start=start)
    spoil(root)


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:1\n"
DATA: dict[str, Case] = {
    # folders
    "no folder": (folder(shutil.rmtree), "No such file or directory"),
    "a file for a folder": (folder(lambda root: (shutil.rmtree(root), root.touch())), "Not a directory"),
    "an empty folder": (folder(lambda root: (shutil.rmtree(root), root.mkdir())), "found 0"),
    "one class": (folder(lambda root: only(root, "lynx")), "found 1"),
    "a class without images": (folder(lambda root: (root / "newt").mkdir()), "the class newt has no image"),
    "a class that only testing has": (
        folder(lambda root: by_splits(root, lambda root: save(root / "test" / "unicorn" / "1.jpg", 1))),
        "the class unicorn has no training image",
    ),
    "an image outside of classes": (folder(lambda root: save(root / "loose.jpg", 1)), "loose.jpg"),
    "splits among classes": (folder(lambda root: (root / "train").mkdir()), "beside folders of splits"),
    "a link in a circle": (folder(lambda root: (root / "lynx" / "up").symlink_to("..")), "leads back"),
    "a name that does not print": (folder(lambda root: (root / "a\nb").mkdir()), "a class has the name"),
    "a list of what to leave out": (
        lambda empty: [*folder(lambda root: None)(empty), "--data.skip", "nowhere.txt"],
        "nowhere.txt",
    ),
    # images
    "cut short": (image(lambda file: file.write_bytes(file.read_bytes()[:300])), "cut short"),
    "empty image": (image(lambda file: file.write_bytes(b"")), "empty"),
    "a web page": (image(lambda file: file.write_text("<!DOCTYPE html><html></html>")), "web page"),
    "Git LFS": (image(lambda file: file.write_text(LFS)), "Git LFS"),
    "text as an image": (image(lambda file: file.write_text("hello")), "known format"),
    "damaged": (image(lambda file: file.write_bytes(file.read_bytes()[:20] + b"\xff" * 500)), "damaged"),
    "a bomb": (image(lambda file: file.write_bytes(bomb(10_001, 10_000))), "too many pixels"),
    "no known range": (image(lambda file: Image.new("F", (20, 20), 300.0).save(file, "TIFF")), "range"),
    "a dangling link": (image(instead(lambda file: file.symlink_to("nowhere.jpg"))), "dangling link"),
    "a link to itself": (image(instead(lambda file: file.symlink_to(file.name))), "symbolic links"),
    "a pipe": (image(instead(os.mkfifo)), "zebra/photo 0.jpg"),
    "a device": (image(instead(lambda file: file.symlink_to("/dev/zero"))), "zebra/photo 0.jpg"),
    # tables
    "no table": (lambda empty: [*table("")(empty), "--data.file", "nowhere.csv"], "nowhere.csv"),
    "an empty table": (table(""), "has no column path"),
    "a table that is a folder": (lambda empty: [*table("")(empty), "--data.file", str(empty)], "directory"),
    "no column of classes": (table("path,sex\na.jpg,x\n"), "has no column class"),
    "a header alone": (table("path,class\n"), "found 0 classes"),
    "a short row": (table("path,class\na.jpg\n"), "has 1 columns"),
    "a path twice": (table("path,class\na.jpg,x\na.jpg,y\n"), "listed twice"),
    "an unknown split": (table("path,class,split\na.jpg,x,holdout\n"), "no such split as 'holdout'"),
    "a table of one class": (table("path,class\na.jpg,x\nb.jpg,x\n"), "two classes"),
    "a class without training": (table("path,class,split\na,x,train\nb,y,train\nc,z,test\n"), "the class z"),
    "no images": (table("path,class\na.jpg,x\nb.jpg,x\nc.jpg,y\nd.jpg,y\n"), "No such file"),
    "one image a class": (table("path,class\na.jpg,x\nb.jpg,y\n"), "no image is left for testing"),
    "NUL in a table": (table(b"path,class\na.jpg,x\0\n"), "t.csv"),
    "a huge field": (table("path,class\na.jpg," + "x" * 200_000 + "\n"), "field larger than field limit"),
    "an open quote": (table('path,class\na.jpg,"x\nb.jpg,y\n'), "t.csv"),
    "classes in Latin-1": (table("path,class\na.jpg,Ägypten\nb.jpg,y\n".encode("latin-1")), "cannot be read"),
}


def place(folder: str) -> Callable[[Path], list[str]]:
    """Train into a folder; ``{here}`` is an empty one."""
    return lambda empty: [*flags()(empty), "--trainer.default_root_dir", folder.format(here=empty)]


def below_a_file(empty: Path) -> list[str]:
    (empty / "file").touch()
    return place("{here}/file/run")(empty)


def below_a_pipe(empty: Path) -> list[str]:
    os.mkfifo(empty / "pipe")
    return place("{here}/pipe")(empty)


def below_a_dangling_link(empty: Path) -> list[str]:
    (empty / "link").symlink_to(empty / "link")
    return place("{here}/link/run")(empty)


ENVIRONMENT: dict[str, tuple[dict[str, str], Callable[[Path], list[str]], str]] = {
    "a run below a file": ({}, below_a_file, "file/run"),
    "a run in a pipe": ({}, below_a_pipe, "pipe"),
    "a run below a link to itself": ({}, below_a_dangling_link, "link/run"),
    "a run where nothing is written": ({}, place("/proc/run"), "/proc/run"),
    "a run in a device": ({}, place("/dev/null"), "/dev/null"),
    "a run in a name that is too long": ({}, place("{here}/" + "x" * 300), "name too long"),
    "a run without a name": ({}, place(""), "trainer.default_root_dir"),
    "a run with NUL in its name": ({}, place("a\0b"), "trainer.default_root_dir"),
    "a run in a bucket": ({}, place("s3://bucket/run"), "trainer.default_root_dir"),
    "an unknown mode of W&B": ({"WANDB_MODE": "nonsense"}, flags(), "WANDB_MODE"),
    "a rank that is none": ({"RANK": "x", "LOCAL_RANK": "x", "WORLD_SIZE": "2"}, flags(), "RANK"),
    "tasks of SLURM that are none": ({"SLURM_NTASKS": "x", "SLURM_JOB_NAME": "a"}, flags(), "SLURM_NTASKS"),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of one step of cross-entropy."""
    return fit(tmp_path_factory.mktemp("trained"), *SHORT) / "last.ckpt"


@pytest.fixture(autouse=True)
def impatient() -> Iterator[None]:
    """Nothing may wait without an end."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)


def is_refused(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = refusal(words, capsys)
    assert said in " ".join(lines), lines
    assert len(lines[2]) > len("  fix: name") - 1


@pytest.mark.parametrize("name", CONFIG)
def test_a_configuration(
    name: str, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make, said = CONFIG[name]
    is_refused([word.replace("{ckpt}", str(trained)) for word in make(tmp_path)], said.format(folder=tmp_path), capsys)
    assert not list(tmp_path.glob("run/*.ckpt"))


@pytest.mark.parametrize("name", CHECKPOINT)
@pytest.mark.parametrize("command", ["test", "fit"])
def test_a_checkpoint(
    name: str, command: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, said = CHECKPOINT[name]
    make(trained, tmp_path / "bad.ckpt")
    words = [command, "--ckpt_path", str(tmp_path / "bad.ckpt"), *CPU]
    if command == "fit":
        words += ["--trainer.max_epochs", "2", "--trainer.default_root_dir", str(tmp_path / "run")]
    is_refused(words, said, capsys)


@pytest.mark.parametrize("name", DATA)
def test_data(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    make, said = DATA[name]
    is_refused(make(tmp_path), said, capsys)


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_an_environment(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    variables, make, said = ENVIRONMENT[name]
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    is_refused(make(tmp_path), said, capsys)


@pytest.mark.parametrize(
    "variables",
    [{"HOME": "/nowhere"}, {"TMPDIR": "/nowhere"}, {"COLUMNS": "20"}, {"COLUMNS": "0"}, {"TERM": "nonsense"}],
)
def test_an_environment_that_is_odd_is_enough(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    fit(tmp_path / "run", *SHORT)
    assert (tmp_path / "run" / "last.ckpt").is_file()
