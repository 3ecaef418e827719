"""`lt data check` on sets in which the tests plant faults: each is found where it lies, and no other."""

import json
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from lt_lightning import data
from lt_lightning.check import findings, inspection
from lt_lightning.check.command import check_data
from lt_lightning.check.survey import survey
from lt_lightning.data import DigitsLT, FolderLT, Split, TableLT
from lt_lightning.data.files import FileDataModule
from lt_lightning.data.images import open_image
from lt_lightning.data.listed import ListedDataModule, PublishedList
from lt_lightning.errors import LtError
from lt_lightning.metrics.split_accuracy import shot_groups
from lt_lightning.tail import GROUPS, gini, group

Found = dict[str, set[tuple[str, ...]]]
Plant = Callable[[Path], object]


def picture(seed: int, width: int = 16, height: int = 12) -> Image.Image:
    """Another one for each seed."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def save(image: Image.Image, file: Path, kind: str | None = None, **options: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file, kind, **options)


def write(file: Path, content: bytes | str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)


def link(file: Path, target: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.symlink_to(target)


def copies(*names: str) -> Plant:
    """The same image in several places."""
    return lambda root: [save(picture(sum(map(ord, "".join(names)))), root / name) for name in names]


def cut_short(file: Path) -> None:
    save(picture(100, 64, 64), file)
    write(file, file.read_bytes()[:-600])


def damaged(file: Path) -> None:
    save(picture(106), file)
    content = bytearray(file.read_bytes())
    content[60:70] = bytes(10)
    write(file, bytes(content))


def turned(file: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    save(picture(101), file, exif=exif)


def two_frames(file: Path) -> None:
    save(picture(102), file, save_all=True, append_images=[picture(103)])


def clean(root: Path) -> Path:
    """Two classes, three splits, ten images, nothing wrong."""
    for c, name in enumerate(("lynx", "otter")):
        for i, split in enumerate(("train", "train", "train", "val", "test")):
            save(picture(10 * c + i), root / split / name / f"{i}.png")
    return root


UNREADABLE: dict[str, tuple[str, Plant]] = {
    "cut.jpg": ("the image is cut short", cut_short),
    "damaged.png": ("the image is damaged or cut short", damaged),
    "page.jpg": ("a web page (HTML) in place of the image", lambda file: write(file, "<!DOCTYPE html><html>404")),
    "lfs.jpg": ("a Git LFS pointer in place of the image", lambda file: write(file, "version https://git-lfs.x/v1")),
    "empty.jpg": ("an empty file", lambda file: write(file, "")),
    "text.jpg": (
        "not an image of a known format (JPEG, PNG, BMP, GIF, TIFF, WEBP, PPM, JPEG2000)",
        lambda file: write(file, "hello"),
    ),
    "bomb.ppm": ("too many pixels", lambda file: write(file, "P6 20000 20000 255\n")),
    "range.tif": ("range not known", lambda file: save(Image.new("F", (16, 12), 7.5), file)),
    "gone.jpg": ("a dangling link", lambda file: link(file, "nowhere.jpg")),
}
ODD: dict[str, tuple[str, Plant]] = {
    "16.png": ("16-bit", lambda file: save(Image.new("I;16", (16, 12), 300), file)),
    "32.tif": ("32-bit", lambda file: save(Image.new("I", (16, 12), 300), file)),
    "float.tif": ("float", lambda file: save(Image.new("F", (16, 12), 0.5), file)),
    "palette.png": ("palette", lambda file: save(picture(104).convert("P"), file)),
    "alpha.png": ("transparent", lambda file: save(Image.new("RGBA", (16, 12), (1, 2, 3, 4)), file)),
    "cmyk.jpg": ("CMYK", lambda file: save(picture(105).convert("CMYK"), file)),
    "turned.jpg": ("turned by EXIF", turned),
    "frames.png": ("several frames", two_frames),
}


def decompose(name: str) -> Plant:
    """A class whose name has an é in two characters, beside one that has it in one."""
    return lambda root: [
        save(picture(110 + 3 * c + i), root / split / unicodedata.normalize(form, name) / f"{i}.png")
        for c, form in enumerate(("NFC", "NFD"))
        for i, split in enumerate(("train", "train", "test"))
    ]


def bad_name(root: Path) -> None:
    folder = os.fsdecode(b"caf\xe9")
    for i, split in enumerate(("train", "train", "test")):
        save(picture(120 + i), root / split / folder / f"{i}.png")


PLANTS: dict[str, tuple[Plant, Found]] = {
    **{
        what: (
            lambda root, name=name, make=make: make(root / "train/lynx" / name),
            {f"unreadable image: {what}": {(f"train/lynx/{name}",)}},
        )
        for name, (what, make) in UNREADABLE.items()
    },
    **{
        what: (
            lambda root, name=name, make=make: make(root / "train/otter" / name),
            {f"image that is odd: {what}": {(f"train/otter/{name}",)}},
        )
        for name, (what, make) in ODD.items()
    },
    "outside": (
        lambda root: [save(picture(130), root / "stray.png"), save(picture(131), root / "val/stray.JPG", "JPEG")],
        {"image outside of the classes' folders": {("stray.png",), ("val/stray.JPG",)}},
    ),
    "empty": (
        lambda root: write(root / "train/void/readme.txt", "no image here"),
        {
            "class folder without an image": {("void",)},
            "file whose ending is not an image's": {("train/void/readme.txt",)},
        },
    ),
    "folder like an image": (
        lambda root: save(picture(132), root / "train/otter/set.jpg/1.png"),
        {"folder named like an image": {("train/otter/set.jpg",)}},
    ),
    "mixed": (
        lambda root: save(picture(133), root / "more/otter/1.png"),
        {"folder beside those of splits": {("more",)}},
    ),
    "dangling folder": (
        lambda root: link(root / "train/puma", "/nowhere/puma"),
        {"dangling link": {("train/puma",)}},
    ),
    "loop": (
        lambda root: link(root / "train/otter/again", ".."),
        {"link to a folder that it lies in": {("train/otter/again",)}},
    ),
    "bad name": (
        bad_name,
        {"class name that is not UTF-8, not printable, or has blank ends": {(os.fsdecode(b"caf\xe9"),)}},
    ),
    "alike": (
        decompose("éclair"),
        {"classes that differ only by case, blanks or Unicode form": {("e\u0301clair", "\u00e9clair")}},
    ),
    "untrained": (
        lambda root: save(picture(134), root / "test/bear/1.png"),
        {"class without a training image": {("bear",)}},
    ),
    "one-shot, untested": (
        lambda root: save(picture(135), root / "train/wolf/1.png"),
        {"class with a single training image": {("wolf",)}, "class without a test image": {("wolf",)}},
    ),
    "two classes": (
        copies("train/lynx/twin.png", "train/otter/twin.png"),
        {"same content in two classes": {("train/lynx/twin.png", "train/otter/twin.png")}},
    ),
    "leak": (
        copies("test/otter/seen.png", "train/otter/seen.png"),
        {"same content in training and in validation or test": {("test/otter/seen.png", "train/otter/seen.png")}},
    ),
    "duplicate": (
        copies("train/otter/b.png", "train/otter/c.png"),
        {"same content more than once in a class": {("train/otter/b.png", "train/otter/c.png")}},
    ),
    "other file": (
        lambda root: write(root / "train/otter/film.mp4", "film"),
        {"file whose ending is not an image's": {("train/otter/film.mp4",)}},
    ),
    "wrong ending": (
        lambda root: save(picture(137), root / "train/otter/wrong.jpg", "PNG"),
        {"image of another format than its ending says": {("train/otter/wrong.jpg",)}},
    ),
    "junk": (
        lambda root: [write(root / "train/otter" / name, "?") for name in (".DS_Store", "._1.png", "Thumbs.db")],
        {
            "hidden file, or one that an operating system leaves behind": {
                ("train/otter/.DS_Store",),
                ("train/otter/._1.png",),
                ("train/otter/Thumbs.db",),
            }
        },
    ),
    "small": (
        lambda root: save(picture(138, 20, 7), root / "train/otter/small.png"),
        {"image with a side below 8 pixels": {("train/otter/small.png",)}},
    ),
    "long": (
        lambda root: save(picture(139, 8, 81), root / "train/otter/long.png"),
        {"image more than ten times as long as it is wide": {("train/otter/long.png",)}},
    ),
}


def check(place: Path | str, *words: str, to: Path) -> tuple[int, dict[str, Any]]:
    """Run the command in this process; its exit code and its JSON."""
    code = 0
    try:
        check_data([str(place), "--json", str(to), "--num_workers", "1", *words])
    except SystemExit as end:
        code = int(str(end.code))
    return code, json.loads(to.read_text())


def found(report: dict[str, Any], *severities: str) -> Found:
    kinds = [kind for kind in report["findings"] if kind["severity"] in (severities or findings.SEVERITIES)]
    return {kind["what"]: {tuple(some["where"]) for some in kind["found"]} for kind in kinds}


def refuses(make: Callable[[], FileDataModule]) -> bool:
    """Whether training would stop at these images."""
    try:
        module = make()
        for index in module.found[1].values():
            for i in range(len(index)):
                open_image(module.root / index.path(i))
    except (LtError, OSError):
        return True
    return False


def test_nothing_is_invented(tmp_path: Path) -> None:
    code, report = check(clean(tmp_path / "set"), to=tmp_path / "found.json")
    assert code == 0
    assert report["findings"] == []
    assert report["figures"]["class_counts"] == {name: {"train": 3, "val": 1, "test": 1} for name in ("lynx", "otter")}


@pytest.mark.parametrize("plant", PLANTS)
def test_each_fault_is_found_where_it_lies(tmp_path: Path, plant: str) -> None:
    make, expected = PLANTS[plant]
    root = clean(tmp_path / "set")
    make(root)
    code, report = check(root, to=tmp_path / "found.json")
    errors = found(report, "error")
    assert found(report) == expected
    assert code == (1 if errors else 0)
    assert errors or not refuses(lambda: FolderLT(str(root)))


def test_all_faults_are_found_at_once_by_several_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, expected = clean(tmp_path / "set"), Found()
    for make, kinds in PLANTS.values():
        make(root)
        for what, where in kinds.items():
            expected.setdefault(what, set()).update(where)
    files = {name: tmp_path / name for name in ("counts.png", "bad.txt")}
    words = "--plot", str(files["counts.png"]), "--unreadable", str(files["bad.txt"]), "--num_workers", "2"
    code, report = check(root, *words, to=tmp_path / "found.json")
    assert code == 1
    assert found(report) == expected
    assert len(expected) >= 30
    assert len(capsys.readouterr().out.splitlines()) <= 45
    assert Image.open(files["counts.png"]).format == "PNG"
    unreadable = {path for what, where in expected.items() if what.startswith("unreadable") for (path,) in where}
    assert set(files["bad.txt"].read_text().splitlines()) == unreadable


def test_most_kinds_are_planted() -> None:
    planted = {what for _, kinds in PLANTS.values() for what in kinds}
    named = {kind.what for kind in vars(findings).values() if isinstance(kind, findings.Kind)}
    elsewhere = {"path listed more than once", "fewer than two classes", "gap in the numbers that name classes"}
    assert named - planted == elsewhere | {"folder that cannot be read", "class named like a split"}


def test_what_is_listed_as_unreadable_can_be_left_out(tmp_path: Path) -> None:
    root = clean(tmp_path / "set")
    for name, (_, make) in UNREADABLE.items():
        make(root / "train/lynx" / name)
    check(root, "--unreadable", str(tmp_path / "bad.txt"), to=tmp_path / "found.json")
    assert not refuses(lambda: FolderLT(str(root), skip=str(tmp_path / "bad.txt")))


@pytest.mark.parametrize("layout", ["train", "train+val", "train+test", "train+val+test", "Training+valid", "none"])
@pytest.mark.parametrize("depth", [1, 2])
def test_counts_are_those_of_folder_lt(tmp_path: Path, layout: str, depth: int) -> None:
    root, seed = tmp_path / "set", iter(range(1000))
    for top in [""] if layout == "none" else layout.split("+"):
        for name, count in {"cat/lynx": 9, "cat/puma": 5, "dog/wolf": 2, "dog/fox": 1}.items():
            for i in range(count):
                save(picture(next(seed)), root / top / name / "deeper" / f"{i}.png")
    module = FolderLT(str(root), depth=depth)
    code, report = check(root, "--depth", str(depth), to=tmp_path / "found.json")
    counts = report["figures"]["class_counts"]
    assert code == 0
    assert list(counts) == module.class_names
    assert [count["train"] for count in counts.values()] == module.class_counts
    splits = module.found[1]
    expected = {part: len(splits[part]) for part in splits if part != "val" or not module.selected_on_test}
    assert report["figures"]["images"] == expected


def test_classes_that_are_numbers_may_have_gaps_and_splits_may_be_classes(tmp_path: Path) -> None:
    for name in ("0", "1", "4"):
        for i in range(3):
            save(picture(3 * int(name) + i), tmp_path / "numbers" / name / f"{i}.png")
    for name in ("test", "valid"):
        for i in range(3):
            save(picture(3 * len(name) + i), tmp_path / "splits" / name / f"{i}.png")
    assert found(check(tmp_path / "numbers", to=tmp_path / "a.json")[1], "error", "note") == {
        "gap in the numbers that name classes": {("after 1 comes 4",)}
    }
    assert found(check(tmp_path / "splits", to=tmp_path / "b.json")[1], "warning")["class named like a split"] == {
        ("test",),
        ("valid",),
    }


@pytest.mark.parametrize("classes", [0, 1])
def test_fewer_than_two_classes_are_an_error(tmp_path: Path, classes: int) -> None:
    (tmp_path / "set").mkdir()
    for name in ["lynx"][:classes]:
        for i in range(5):
            save(picture(i), tmp_path / "set" / name / f"{i}.png")
    code, report = check(tmp_path / "set", "--plot", str(tmp_path / "counts.png"), to=tmp_path / "found.json")
    assert code == 1
    assert found(report, "error")["fewer than two classes"] == {("lynx",) * classes}


def test_a_set_without_a_test_image_is_an_error(tmp_path: Path) -> None:
    for c, name in enumerate(("lynx", "otter")):
        save(picture(c), tmp_path / "set" / name / "1.png")
    code, report = check(tmp_path / "set", to=tmp_path / "found.json")
    assert code == 1
    assert found(report, "error") == {"no image is left for testing": {()}}


def test_what_may_not_be_read_is_an_error(tmp_path: Path) -> None:
    root = clean(tmp_path / "set")
    (root / "train/lynx/0.png").chmod(0)
    if os.access(root / "train/lynx/0.png", os.R_OK):
        pytest.skip("this user may read everything")
    save(picture(200), root / "train/lynx/closed/1.png")
    (root / "train/lynx/closed").chmod(0)
    try:
        code, report = check(root, to=tmp_path / "found.json")
    finally:
        (root / "train/lynx/closed").chmod(0o700)
    assert code == 1
    assert found(report) == {
        "unreadable image: the file cannot be read: Permission denied": {("train/lynx/0.png",)},
        "folder that cannot be read": {("train/lynx/closed",)},
    }


PARTS = ("train", "train", "val", "test")
GOOD_ROWS = [f"{name}/{i}.png,{name},{split}" for name in ("a", "b") for i, split in enumerate(PARTS)]
TABLES: dict[str, tuple[str, Found]] = {
    "a missing file": (
        "a/9.png,a,train",
        {"unreadable image: the file cannot be read: No such file or directory": {("a/9.png",)}},
    ),
    "no class": ("a/0.png,,train", {"this row lacks a path or a class": {("line 10",)}}),
    "no path": (",a,train", {"this row lacks a path or a class": {("line 10",)}}),
    "too few columns": ("a/0.png,a", {"this row has 2 columns, fewer than the header": {("line 10",)}}),
    "unknown split": ("a/0.png,a,holdout", {"no such split as 'holdout'": {("line 10",)}}),
    "twice": ("a/0.png,a,test", {"path listed more than once": {("a/0.png",)}}),
    "under two names": (
        "./a/0.png,a,test",
        {"path listed more than once": {("./a/0.png",)}},
    ),
    "in test alone": (
        "new.png,c,test",
        {"class without a training image": {("c",)}},
    ),
    "in another case": (
        "new.png,A,train",
        {
            "classes that differ only by case, blanks or Unicode form": {("A", "a")},
            "class with a single training image": {("A",)},
            "class without a test image": {("A",)},
        },
    ),
}


def table(root: Path, *rows: str, name: str = "set.csv") -> Path:
    for c, of in enumerate(("a", "b")):
        for i in range(4):
            save(picture(10 * c + i), root / of / f"{i}.png")
    save(picture(50), root / "new.png")
    write(root / name, "\n".join(["path,class,split", *rows]))
    return root / name


@pytest.mark.parametrize("fault", TABLES)
def test_wrong_rows_are_found(tmp_path: Path, fault: str) -> None:
    row, expected = TABLES[fault]
    file = table(tmp_path, *GOOD_ROWS, row)
    code, report = check(file, to=tmp_path / "found.json")
    assert found(report) == expected
    assert code == 1
    assert refuses(lambda: TableLT(str(file))) or fault == "in another case"


def test_counts_are_those_of_table_lt(tmp_path: Path) -> None:
    file = table(tmp_path / "images", *GOOD_ROWS).rename(tmp_path / "set.tsv")
    write(file, file.read_text().replace(",", "\t").replace("\tb\t", "\t10\t").replace("\ta\t", "\t9\t"))
    module = TableLT(str(file), root=str(tmp_path / "images"))
    code, report = check(file, "--root", str(tmp_path / "images"), to=tmp_path / "found.json")
    assert code == 0
    assert found(report) == {}
    assert list(report["figures"]["class_counts"]) == module.class_names == ["9", "10"]
    assert [count["train"] for count in report["figures"]["class_counts"].values()] == module.class_counts


def test_a_table_without_training_images_is_an_error(tmp_path: Path) -> None:
    code, report = check(table(tmp_path, "a/0.png,a,test", "b/0.png,b,test"), to=tmp_path / "found.json")
    assert code == 1
    assert found(report, "error") == {"class without a training image": {("a",), ("b",)}}


def test_a_set_in_memory_is_checked(tmp_path: Path) -> None:
    code, report = check("DigitsLT", to=tmp_path / "found.json")
    assert code == 0
    assert found(report, "error", "note") == {}
    assert report["figures"]["images"] == {"train": 242, "val": 240, "test": 500}
    assert report["figures"]["groups"] == {"many": 2, "medium": 3, "few": 5}
    assert report["figures"]["imbalance_factor"] == 100
    assert check("DigitsLT", "--many", "50", "--few", "2", to=tmp_path / "found.json")[1]["figures"]["groups"] == {
        "many": 2,
        "medium": 6,
        "few": 2,
    }


class Leaky(DigitsLT):
    def arrays(self, split: Split) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        image, target = super().arrays(split)
        image[7] = 99
        return image, target


def test_copies_in_memory_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "DigitsLT", Leaky)
    code, report = check("DigitsLT", to=tmp_path / "found.json")
    assert code == 1
    assert found(report, "error") == {
        "same content in training and in validation or test": {("train[7]", "val[7]", "test[7]")}
    }


class Listed(ListedDataModule):
    published: ClassVar[dict[Split, PublishedList]] = {
        "train": PublishedList("lists/train.txt", 0, 4, ()),
        "val": PublishedList("lists/val.txt", 0, 2, ()),
    }
    groups = 0, 0, 2


def test_a_listed_set_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "PlacesLT", Listed)
    lists = {
        "train": ["x/a/0.png 0", "x/a/1.png 0", "x/b/0.png 1", "x/b/1.png 1"],
        "val": ["x/a/2.png 0", "x/b/2.png 1"],
    }
    for i, line in enumerate([*lists["train"], *lists["val"]][:-1]):
        save(picture(i), tmp_path / "images" / line.split()[0])
    for split, lines in lists.items():
        write(tmp_path / "lists" / f"{split}.txt", "\n".join(lines))
    words = "--root", str(tmp_path / "images"), "--lists", str(tmp_path / "lists")
    code, report = check("PlacesLT", *words, to=tmp_path / "found.json")
    assert code == 1
    assert found(report) == {
        "unreadable image: the file cannot be read: No such file or directory": {("x/b/2.png",)},
    }
    assert report["figures"]["images"] == {"test": 2, "train": 4}


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["/nowhere"],
        ["DigitLT"],
        ["DigitsLT", "--root", "."],
        ["ImageNetLT"],
        ["TableLT"],
        [".", "--root", "."],
        [".", "--depth", "0"],
        [".", "--num_workers", "no"],
        [".", "--many", "5", "--few", "50"],
        [".", "--json", "/nowhere/found.json"],
        [".", "--plot", "."],
        ["DigitsLT", "--plot", "counts.nonsense"],
        [__file__],
    ],
)
def test_a_mistake_is_the_one_error(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LtError):
        check_data(words)


def dies(file: Path) -> None:
    os._exit(1)


def test_a_process_that_dies_is_the_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "inspect_file", dies)
    with pytest.raises(LtError, match="died"):
        check(clean(tmp_path / "set"), "--num_workers", "2", to=tmp_path / "found.json")


def test_a_terminal_is_not_obeyed_by_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = clean(tmp_path / "set")
    for i, split in enumerate(("train", "train", "test")):
        save(picture(60 + i), root / split / "[red]\x1b[31m" / f"{i}.png")
    check(root, to=tmp_path / "found.json")
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "[red]\\x1b[31m" in shown


@given(st.lists(st.integers(0, 2000), min_size=1, max_size=40))
def test_gini_is_half_the_mean_difference_over_the_mean(counts: list[int]) -> None:
    mean, size = sum(counts) / len(counts), len(counts)
    difference = sum(abs(a - b) for a in counts for b in counts) / size**2
    assert gini(counts) == pytest.approx(difference / (2 * mean) if mean else 0, abs=1e-12)


def test_gini_of_one_class_that_has_all() -> None:
    assert gini([0, 0, 0, 8]) == pytest.approx(3 / 4)


def test_groups_are_those_of_the_metrics() -> None:
    counts = [0, 1, 19, 20, 21, 99, 100, 101, 5000]
    masks = shot_groups(torch.tensor(counts), 100, 20)
    for name in GROUPS:
        assert [group(count, 100, 20) == name for count in counts] == masks[name].tolist()


def test_what_fit_refuses_or_orders_check_does_too(tmp_path):
    for c, name in enumerate(("10", "9", "1")):
        for i in range(4):
            save(picture(10 * c + i), tmp_path / "numbers" / name / f"{i}.png")
            save(picture(10 * c + i), tmp_path / "blank" / f" {name}" / f"{i}.png")
    assert survey(FolderLT(str(tmp_path / "numbers"))).names == FolderLT(str(tmp_path / "numbers")).class_names
    assert [finding.kind for finding in survey(FolderLT(str(tmp_path / "blank"))).findings] == 3 * [
        findings.UNPRINTABLE
    ]
    (tmp_path / "t.csv").write_text("path,class\na/1.png,x\n./a/1.png,x\nb.png,y\n")
    assert findings.TWICE in [finding.kind for finding in survey(TableLT(str(tmp_path / "t.csv"))).findings]
