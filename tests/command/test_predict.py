"""`lt predict` and `lt test` on images that a person has, by the real command."""

import csv
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import QUIET, ROOT, fit, load, refusal
from PIL import Image
from trees import save, tree

from lt_lightning.calibration import measured_temperatures
from lt_lightning.commands import main
from lt_lightning.data import CIFAR100LT, DigitsLT
from lt_lightning.on_images import PREDICT

SMALL = ["--data.size", "16", "--model.backbone", "resnet8", "--data.num_workers", "0", "--data.batch_size", "8"]
CPU = [*QUIET, "--trainer.accelerator", "cpu", "--plots.pictures", "false"]
NAMES = ["a & b", "lynx", "zebra", "Ägypten, west"]
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on folders of splits, which is tested; then its images are gone but for those of ``test``, moved away."""
    folder = tmp_path_factory.mktemp("predict")
    for part, start, counts in (("train", 0, (25, 12, 5, 2)), ("val", 100, (6, 6, 6, 6)), ("test", 200, (5, 5, 4, 4))):
        tree(folder / "data" / part, dict(zip(NAMES, counts, strict=True)), start=start, ending=".png")
    config = ["--config", str(ROOT / "configs/on/own_images.yaml"), *SMALL, "--data.root", str(folder / "data")]
    epochs = ["--trainer.max_epochs", "4", "--trainer.check_val_every_n_epoch", "1", "--optimizer.lr", "0.02"]
    groups = ["--data.many", "20", "--data.few", "5"]
    run = fit(folder / "run", *config, *epochs, *groups, "--plots.pictures", "false")
    main(["test", "--ckpt_path", str(run / "last.ckpt"), *CPU])
    main(["predict", "--ckpt_path", str(run / "last.ckpt"), "--all_probabilities", "true", *CPU])
    (folder / "data" / "test").rename(folder / "new images")
    shutil.rmtree(folder / "data")
    return run


def predict(run: Path, *words: str, out: str = "out.csv") -> Rows:
    """The table that the command writes."""
    file = run.parent / out
    main(["predict", *words, "--ckpt_path", str(run / "last.ckpt"), "-o", str(file), *CPU])
    return table(file)


def table(file: Path) -> Rows:
    if file.suffix == ".json":
        rows: Rows = json.loads(file.read_text())
        return rows
    if file.suffix == ".parquet":
        import pyarrow.parquet

        return pyarrow.parquet.read_table(file).to_pylist()
    with file.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
        return list(csv.DictReader(stream))


def figure(run: Path, name: str) -> float:
    summary = json.loads((run / "summary.json").read_text())
    return float(summary["test"]["last"][name])


def as_text(row: dict[str, Any]) -> dict[str, str]:
    return {name: "" if value is None else str(value) for name, value in row.items()}


def of(rows: Rows, prefix: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Columns that begin so, ``(N, C)``."""
    return np.array([[float(v) for name, v in row.items() if name.startswith(prefix)] for row in rows])


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_a_folder_s_predictions_are_those_that_were_tested(run: Path, ending: str) -> None:
    """Image by image, and exactly, whatever the format."""
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    rows = predict(run, str(run.parent / "new images"), "--all_probabilities", "true", out=f"out.{ending}")
    own = table(run / "predictions.csv")  # of `lt predict` as the run's own test images were still there
    assert [Path(row["path"]).name for row in rows] == [Path(row["path"]).name for row in own]
    assert [{**as_text(row), "path": ""} for row in rows] == [{**row, "path": ""} for row in own]
    right = [str(row["target"]) == str(row["predicted"]) for row in rows]
    assert 4 < sum(right) < 18  # neither a constant answer nor all right, which would tell little
    assert torch.tensor(sum(right) / len(right)).item() == figure(run, "acc")


def test_each_row_says_what_its_probabilities_do(run: Path) -> None:
    rows = predict(run, str(run.parent / "new images"), "--all_probabilities", "true", "--top_k", "3")
    p = of(rows, "p_")
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-6)
    groups = dict(zip(NAMES, ("many", "medium", "medium", "few"), strict=True))
    for row, q in zip(rows, p, strict=True):
        best = np.argsort(-q)[:3]
        assert [row["label"], row["label_2"], row["label_3"]] == [NAMES[c] for c in best]
        assert [row["probability"], row["probability_2"], row["probability_3"]] == [row[f"p_{NAMES[c]}"] for c in best]
        assert row["predicted"] == str(best[0])
        assert row["group"] == groups[row["label"]]
        assert float(row["entropy"]) == pytest.approx(-(q * np.log(q)).sum(), abs=1e-6)
        assert NAMES[int(row["target"])] == Path(row["path"]).parent.name
    assert "label_4" not in rows[0]
    assert "p_lynx" not in predict(run, str(run.parent / "new images"))[0]


def softmax(z: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def test_a_temperature_and_a_prior_do_what_they_should(run: Path) -> None:
    """Of cross-entropy, whose logits carry the training prior; by hand from the plain probabilities."""
    images, every = str(run.parent / "new images"), ("--all_probabilities", "true")
    log_p = np.log(of(predict(run, images, *every), "p_"))
    measured, train = measured_temperatures(str(run / "last.ckpt")), np.log(np.array([25, 12, 5, 2]) / 44)
    prior = 'class,prior\n"Ägypten, west",5\nlynx,1\nzebra,2\na & b,2\n'
    (run.parent / "prior.csv").write_text(prior, encoding="utf-8")
    target = np.log(np.array([2, 1, 2, 5]) / 10)
    assert abs(np.log(measured.combined)) > 0.01
    assert abs(measured.combined - measured.balanced) > 1e-4
    calibrated = ("--calibrated", "true")
    for words, expected in (
        (calibrated, log_p / measured.combined),
        (("--target_prior", "train"), log_p),
        (("--target_prior", "uniform"), log_p - train),
        (("--target_prior", str(run.parent / "prior.csv")), log_p - train + target),
        ((*calibrated, "--target_prior", "train"), (log_p - train) / measured.balanced + train),
    ):
        np.testing.assert_allclose(of(predict(run, images, *every, *words), "p_"), softmax(expected), atol=1e-5)


def damage(folder: Path) -> dict[str, str]:
    """Files that are no images, or hardly; and what is said of each."""
    folder.mkdir()
    save(folder / "whole.png", 1)
    content = (folder / "whole.png").read_bytes()
    for name, data in (("cut.png", content[:300]), ("empty.jpg", b""), ("page.jpg", b"<!DOCTYPE html><p>")):
        (folder / name).write_bytes(data)
    (folder / "gone.png").symlink_to("nowhere.png")
    Image.new("RGB", (1, 400_000)).save(folder / "thin.png")
    return {"cut.png": "cut short", "empty.jpg": "empty", "page.jpg": "HTML", "gone.png": "link", "thin.png": "thin"}


def test_what_cannot_be_read_is_listed_and_stops_nothing(run: Path, tmp_path: Path, capsys: Any) -> None:
    says = damage(tmp_path / "bad")
    rows = predict(run, str(tmp_path / "bad"))
    assert {Path(row["path"]).name for row in rows} == {*says, "whole.png"}
    for row in rows:
        name = Path(row["path"]).name
        assert says.get(name, "") in row["error"]
        assert bool(row["error"]) == (name in says)
        assert bool(row["label"]) == bool(row["probability"]) == (name not in says)
    last = capsys.readouterr().out.splitlines()[-1]
    assert "1 predictions" in last
    assert "5 images could not be read" in last


def test_no_image_at_all_is_an_error_that_is_written_down(run: Path, tmp_path: Path, capsys: Any) -> None:
    damage(tmp_path / "bad")
    (tmp_path / "bad" / "whole.png").unlink()
    checkpoint = ["--ckpt_path", str(run / "last.ckpt"), *CPU]
    what, *_ = refusal(["predict", str(tmp_path / "bad"), "-o", str(tmp_path / "x.csv"), *checkpoint], capsys)
    assert "none of 5 images could be read" in what
    assert all(row["error"] for row in table(tmp_path / "x.csv"))


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_any_name_of_a_file_comes_back(run: Path, tmp_path: Path, ending: str) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    names = ["a b", "Ω,日本", 'say "hi"', "two\nlines", "carriage\rreturn", " ends ", "=1+1", "p_;x"]
    names += [] if ending == "parquet" else ["latin \udce9"]  # a byte that is no UTF-8, which Parquet cannot hold
    for name in names:
        save(tmp_path / f"{name}.png", 7)
    rows = predict(run, str(tmp_path), out=f"names.{ending}")
    assert {row["path"] for row in rows} == {str(tmp_path / f"{name}.png") for name in names}


def test_paths_are_files_folders_and_tables(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("-dash.png", "in/deep/er.png", "in/lynx/b.png", "in/.hidden.png", "in/notes.txt"):
        save(tmp_path / name.replace(".txt", ".bmp"), 7)
    (tmp_path / "in/notes.bmp").rename(tmp_path / "in/notes.txt")
    lines = 'id;image;label;split\n1;in/deep/er.png;zebra;x\n2;"in/lynx/b.png";;\n3;missing.png;mole;\n4;;;\n'
    (tmp_path / "list.csv").write_text(lines)
    main(["predict", "in", "list.csv", "--ckpt_path", str(run / "last.ckpt"), *CPU, "--", "-dash.png"])
    rows = table(tmp_path / "predictions.csv")  # the default, in the working directory
    assert [row["path"] for row in rows] == [
        "in/deep/er.png",
        "in/lynx/b.png",
        "in/deep/er.png",
        "in/lynx/b.png",
        "missing.png",
        "list.csv, line 5",
        "-dash.png",
    ]
    assert [row["target"] for row in rows] == ["", "1", "2", "", "", "", ""]
    assert [bool(row["error"]) for row in rows] == [False] * 4 + [True] * 2 + [False]


WRONG: dict[str, tuple[list[str], str]] = {
    "no such path": (["typo.png"], "no such file or folder"),
    "a folder without images": (["empty"], "no image in it"),
    "a table without paths": (["bad.csv"], "no column path"),
    "an unknown ending": (["a.png", "-o", "x.txt"], "ends in .csv, .json, .parquet"),
    "no such folder": (["a.png", "-o", "nowhere/x.csv"], "does not exist"),
    "the table itself": (["good.csv", "-o", "good.csv"], "would replace"),
    "the prior itself": (["a.png", "--target_prior", "prior.csv", "-o", "prior.csv"], "would replace"),
    "nothing can be written": (["a.png", "-o", "/proc/x.csv"], "nothing can be written here"),
    "no checkpoint": (["a.png"], "expected the file of a checkpoint"),
    "top_k 0": (["a.png", "--top_k", "0"], "at least 1"),
    "a slip": (["a.png", "--top-k", "3"], "unknown name 'top-k'"),
    "no truth": (["a.png", "--calibrated", "yes"], "expected true or false"),
    "no prior": (["a.png", "--target_prior", "balanced"], "expected uniform, train or a file"),
    "no value": (["a.png", "--top_k"], "expected one argument"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_said_before_anything_runs(
    kind: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    save(tmp_path / "a.png", 7)
    (tmp_path / "bad.csv").write_text("name\na.png\n")
    (tmp_path / "good.csv").write_text("path\na.png\n")
    (tmp_path / "prior.csv").write_text("class,prior\n")
    before = sorted(tmp_path.rglob("*"))
    words, says = WRONG[kind]
    checkpoint = [] if kind == "no checkpoint" else ["--ckpt_path", str(run / "last.ckpt"), *CPU]
    lines = refusal(["predict", *checkpoint, *words], capsys)
    assert says in lines[0]
    assert "where: " not in lines[0]
    assert "top_k" in lines[2] or kind != "a slip"
    assert sorted(tmp_path.rglob("*")) == before


def test_parquet_without_pyarrow_is_three_lines(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    words = ["predict", str(tmp_path), "-o", str(tmp_path / "x.parquet"), "--ckpt_path", str(run / "last.ckpt")]
    what, _, fix = refusal(words, capsys)
    assert "pyarrow" in what
    assert "lt-lightning[parquet]" in fix


def test_a_checkpoint_without_temperature_says_how_to_get_one(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = load(run / "last.ckpt")
    del checkpoint["callbacks"]["Calibration"]
    torch.save(checkpoint, tmp_path / "old.ckpt")
    words = ["predict", str(run.parent / "new images"), "--calibrated", "true", "-o", str(tmp_path / "x.csv")]
    *_, fix = refusal([*words, "--ckpt_path", str(tmp_path / "old.ckpt"), *CPU], capsys)
    assert f"lt validate --ckpt_path {tmp_path / 'old.ckpt'}" in fix


def test_an_inexact_correction_is_said(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (str(run.parent / "new images"), "--target_prior", "uniform")
    predict(run, *words, "--model.losses", '["Focal"]')
    assert "only roughly under Focal" in capsys.readouterr().out
    predict(run, *words)
    assert "roughly" not in capsys.readouterr().out


def test_labelled_images_of_some_classes_are_tested(run: Path, tmp_path: Path) -> None:
    """What `lt test` says of them is what follows from the predictions; the run's own figures stay."""
    shutil.copytree(run.parent / "new images", tmp_path / "some 1.5")
    shutil.rmtree(tmp_path / "some 1.5" / "lynx")
    before = (run / "summary.json").read_bytes()
    main(["test", str(tmp_path / "some 1.5"), "--ckpt_path", str(run / "last.ckpt"), *CPU])
    assert (run / "summary.json").read_bytes() == before
    rows = predict(run, str(tmp_path / "some 1.5"))
    right = {name: [r["label"] == name for r in rows if Path(r["path"]).parent.name == name] for name in NAMES}
    accuracy = {name: sum(hits) / len(hits) for name, hits in right.items() if hits}
    there = run / "on" / "some 1.5"
    assert figure(there, "acc") == pytest.approx(sum(map(sum, right.values())) / 13, abs=1e-7)
    assert figure(there, "bal_acc") == pytest.approx(sum(accuracy.values()) / 3, abs=1e-6)
    assert figure(there, "acc_medium") == pytest.approx(accuracy["zebra"], abs=1e-6)  # lynx is left out
    assert json.loads((there / "summary.json").read_text())["data"] == str(tmp_path / "some 1.5")
    lines = "".join(f'"{name}/photo 200.png","{name}"\n' for name in accuracy)
    (tmp_path / "some 1.5" / "few.csv").write_text(f"path,class\n{lines}", encoding="utf-8")
    main(["test", str(tmp_path / "some 1.5" / "few.csv"), "--ckpt_path", str(run / "last.ckpt"), *CPU])
    first = [row for row in rows if Path(row["path"]).name == "photo 200.png"]
    hits = sum(row["label"] == Path(row["path"]).parent.name for row in first)
    assert figure(run / "on" / "few", "acc") == pytest.approx(hits / 3, abs=1e-7)


def strangers(kind: str, root: Path) -> tuple[Path, str]:
    """Images that cannot be tested on, and what is said of them."""
    if kind == "an unknown class":
        save(root / "linx" / "a.png", 7)
        return root, "knows no class 'linx'"
    if kind == "outside of the classes":
        save(root / "a.png", 7)
        return root, "lies in no class's folder"
    if kind == "an image":
        save(root / "lynx" / "a.png", 7)
        return root / "lynx" / "a.png", "lies in no class's folder"
    save(root / "a.png", 7)
    (root / "x.csv").write_text("path,class\na.png,mole\n" if kind == "a table" else "path\na.png\n")
    return root / "x.csv", "knows no class 'mole'" if kind == "a table" else "no column class"


@pytest.mark.parametrize(
    "kind", ["an unknown class", "outside of the classes", "an image", "a table", "a table without classes"]
)
def test_what_is_of_no_known_class_is_not_tested_on(
    kind: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, says = strangers(kind, tmp_path / "new")
    what, _, fix = refusal(["test", str(path), "--ckpt_path", str(run / "last.ckpt"), *CPU], capsys)
    assert says in what
    assert "did you mean 'lynx'?" in fix or kind != "an unknown class"


def test_sets_in_memory_see_files_as_they_see_their_own(tmp_path: Path) -> None:
    """Digits of 8 pixels, written to files and read again."""
    run = fit(tmp_path / "run", "--trainer.max_epochs", "1", "--plots.pictures", "false", config="bs")
    main(["predict", "--ckpt_path", str(run / "last.ckpt"), *CPU])
    data = DigitsLT().dataset("test")
    for i, image in enumerate(data.image[::5].numpy()):
        (tmp_path / "digits" / str(int(data.target[5 * i]))).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "digits" / str(int(data.target[5 * i])) / f"{5 * i:03}.png")
    rows = predict(run, str(tmp_path / "digits"))
    own = table(run / "predictions.csv")
    assert len(rows) == 100
    for row in rows:
        same = own[int(Path(row["path"]).stem)]
        for name in ("target", "predicted", "label", "group"):
            assert row[name] == same[name]
        assert float(row["probability"]) == pytest.approx(float(same["probability"]), abs=1e-6)


@pytest.mark.parametrize("shape", [(32, 32), (64, 64), (90, 41)])
def test_a_file_is_shown_to_small_sets_up_to_its_border(shape: tuple[int, int], tmp_path: Path) -> None:
    """The middle square as a whole; sets of files look at 224/256 of it, as they always did."""
    gradient = Image.fromarray(np.tile(np.arange(shape[0], dtype=np.uint8), (shape[1], 1))).convert("RGB")
    gradient.save(tmp_path / "a.png")
    seen, side = CIFAR100LT().square(tmp_path / "a.png")[0, :, 0].astype(float), min(shape)
    assert seen.shape == (32,)
    centre, step = (shape[0] - 1) / 2, side / 32
    np.testing.assert_allclose(seen, centre + (np.arange(32) - 15.5) * step, atol=1.5)


def test_the_help_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    text = capsys.readouterr().out
    assert text == PREDICT
    assert len(text.splitlines()) <= 30
    assert max(map(len, text.splitlines())) <= 120
