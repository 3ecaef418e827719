import csv
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from trees import COUNTS, picture, save, tree

from lt_lightning.data import FolderLT, TableLT
from lt_lightning.data.base import Split
from lt_lightning.data.files import FileDataModule
from lt_lightning.data.sampling import Fetch
from lt_lightning.errors import LtError

NAMES = sorted(COUNTS)
PARTS: tuple[Split, ...] = ("train", "val", "test")


def counted(module: FileDataModule) -> dict[str, dict[str, int]]:
    """Images of each class in each part."""
    names, splits = module.found
    return {part: Counter(names[c] for c in splits[part].target) for part in PARTS}


def paths(module: FileDataModule, part: Split) -> set[str]:
    index = module.found[1][part]
    return {index.path(i) for i in range(len(index))}


def table(file: Path, rows: list[list[str]], delimiter: str = ",") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, delimiter=delimiter).writerows(rows)
    return file


def test_a_folder_for_each_class(tmp_path):
    module = FolderLT(root=str(tree(tmp_path)))
    assert module.class_names == NAMES
    assert sum(module.class_counts) + len(paths(module, "val")) + len(paths(module, "test")) == sum(COUNTS.values())
    assert counted(module) == {
        "train": {"blue tit": 9, "Ägypten": 5, "lynx": 2, "otter": 1, "zebra": 1},
        "val": {"blue tit": 1, "Ägypten": 1, "lynx": 1},
        "test": {"blue tit": 2, "Ägypten": 1, "lynx": 1, "otter": 1},
    }
    assert not module.selected_on_test
    assert not paths(module, "train") & paths(module, "test")


def test_folders_of_splits_are_used_as_they_are(tmp_path):
    for part, start in (("Train", 0), ("valid", 100), ("test", 200)):
        tree(tmp_path / part, start=start)
    module = FolderLT(root=str(tmp_path))
    assert counted(module) == dict.fromkeys(PARTS, COUNTS)
    assert all(path.startswith("Train/") for path in paths(module, "train"))


def test_the_only_part_held_out_is_the_test_part(tmp_path):
    tree(tmp_path / "train")
    tree(tmp_path / "val", {"lynx": 3}, start=100)
    module = FolderLT(root=str(tmp_path))
    assert counted(module)["test"] == {"lynx": 3}
    assert counted(module)["val"] == {"blue tit": 1, "Ägypten": 1, "lynx": 1, "otter": 1}
    assert all(path.startswith("train/") for path in paths(module, "val"))


def test_without_validation_images_the_test_part_serves(tmp_path):
    module = FolderLT(root=str(tree(tmp_path)), val_fraction=0.0)
    assert module.selected_on_test
    assert paths(module, "val") == paths(module, "test")


def test_folders_below_a_class_and_classes_of_two_folders(tmp_path):
    for c, name in enumerate(("cat/lynx", "cat/puma", "dog/wolf")):
        for i in range(4):
            save(tmp_path / name / "2024" / f"{i}.PNG", 1000 * c + i)
    assert FolderLT(root=str(tmp_path)).class_names == ["cat", "dog"]
    assert FolderLT(root=str(tmp_path), depth=2).class_names == ["cat/lynx", "cat/puma", "dog/wolf"]


def test_what_systems_leave_behind_is_passed_over(tmp_path):
    tree(tmp_path)
    before = paths(FolderLT(root=str(tmp_path)), "train")
    for junk in (".DS_Store", "lynx/._photo 1.jpg", "lynx/Thumbs.db", "otter/notes.txt", "__MACOSX/lynx/a.jpg"):
        (tmp_path / junk).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / junk).write_bytes(b"junk")
    assert paths(FolderLT(root=str(tmp_path)), "train") == before


def test_classes_that_are_numbers_stand_in_their_order_in_folders_and_in_tables(tmp_path):
    names = [str(n) for n in (0, 1, 2, 10, 11)]
    module = FolderLT(root=str(tree(tmp_path / "data", dict.fromkeys(names, 3))))
    assert module.class_names == names
    rows = [[str(path), path.parent.name] for path in (tmp_path / "data").glob("*/*.jpg")]
    assert TableLT(file=str(table(tmp_path / "t.csv", [["path", "class"], *rows]))).class_names == names


def test_an_empty_folder_of_a_split_is_none(tmp_path):
    tree(tmp_path / "train")
    for part in ("val", "test"):
        (tmp_path / part).mkdir()
    assert sum(counted(FolderLT(root=str(tmp_path)))["test"].values()) == 5


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda root: (root / "lynx" / "up").symlink_to(".."), "leads back to a folder above it"),
        (lambda root: save(root / " lead" / "a.jpg", 1), "a class has the name ' lead'"),
        (lambda root: (root / "newt").mkdir(), "the class newt has no image"),
        (lambda root: save(root / "loose.jpg", 1), "loose.jpg lies outside of the classes' folders"),
        (lambda root: tree(root / "train"), "beside folders of splits there are others, such as blue tit"),
        (lambda root: (root / b"w\xff".decode("utf-8", "surrogateescape")).mkdir(), "a class has the name"),
    ],
)
def test_a_tree_that_is_wrong(wrong, says, tmp_path):
    tree(tmp_path)
    wrong(tmp_path)
    with pytest.raises(LtError, match=says):
        FolderLT(root=str(tmp_path)).class_counts  # noqa: B018


def test_a_class_that_only_the_test_folder_has(tmp_path):
    tree(tmp_path / "train")
    tree(tmp_path / "test", {"unicorn": 1, "lynx": 2}, start=50)
    with pytest.raises(LtError, match="the class unicorn has no training image"):
        FolderLT(root=str(tmp_path)).class_counts  # noqa: B018


def test_no_folder_and_no_classes(tmp_path):
    for root, says in ((tmp_path / "none", "No such file"), (tree(tmp_path / "one", {"lynx": 3}), "found 1")):
        with pytest.raises(LtError, match=says):
            FolderLT(root=str(root)).class_counts  # noqa: B018


@pytest.mark.parametrize("arguments", [{"depth": 0}, {"size": 0}, {"scale": (0.5, 0.2)}, {"test_fraction": 1.0}])
def test_arguments_that_make_no_sense(arguments, tmp_path):
    with pytest.raises(ValueError, match="must"):
        FolderLT(root=str(tmp_path), **arguments)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_of_names(delimiter, tmp_path):
    tree(tmp_path / "images")
    files = sorted(tmp_path.glob("images/*/*.jpg"))
    rows = [[path.parent.name, str(path.relative_to(tmp_path))] for path in files]
    module = TableLT(file=str(table(tmp_path / "t.csv", [["Species", "Image_Path"], *rows], delimiter)))
    assert module.class_names == NAMES
    assert counted(module) == counted(FolderLT(root=str(tmp_path / "images"))) | {
        part: counted(module)[part] for part in PARTS
    }
    assert module.dataset("test")[Fetch(torch.tensor([0]), 0)]["image"].shape == (1, 224, 224, 3)


def test_a_table_of_numbers_need_not_count_from_0(tmp_path):
    rows = [[f"{i}.png", str([30, 4, 100][i % 3])] for i in range(12)]
    module = TableLT(file=str(table(tmp_path / "t.csv", [["file", "label"], *rows])), root="/elsewhere")
    assert module.class_names == ["4", "30", "100"]
    assert module.root == Path("/elsewhere")


def test_a_table_of_splits_and_a_class_that_testing_lacks(tmp_path):
    rows = [["a", "x", "train"], ["b", "y", "TRAIN"], ["c", "x", "Validation"], ["d", "x", "test"], ["e", "y", "train"]]
    module = TableLT(file=str(table(tmp_path / "t.csv", [["path", "class", "split"], *rows])))
    assert counted(module) == {"train": {"x": 1, "y": 2}, "val": {"x": 1}, "test": {"x": 1}}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([["path", "sex"], ["a", "b"]], "has no column class"),
        ([["path", "class"], ["a"]], "has 1 columns"),
        ([["path", "class"], ["a", ""]], "lacks a path or a class"),
        ([["path", "class"], ["a", "x"], ["a", "y"]], "listed twice"),
        ([["path", "class"], ["a", "x"], ["./a", "y"]], "listed twice"),
        ([["path", "class", "split"], ["a", "x", ""]], "has no split"),
        ([["path", "class", "split"], ["a", "x", "holdout"]], "no such split as 'holdout'"),
        ([["path", "class", "split"], ["a", "x", "test"]], "expected training images"),
        ([], "has no column path, but none"),
    ],
)
def test_a_table_that_is_wrong(rows, says, tmp_path):
    with pytest.raises(LtError, match=says):
        TableLT(file=str(table(tmp_path / "t.csv", rows))).class_counts  # noqa: B018


def test_a_table_that_is_none(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"path,class\n\xff\xfe\x00,\n")
    (tmp_path / "latin.csv").write_bytes(b"path,class\na.jpg,\xc4gypten\nb.jpg,y\n")
    for file in ("t.csv", "none.csv", "latin.csv"):
        with pytest.raises(LtError, match=r"cannot be read|lacks a path"):
            TableLT(file=str(tmp_path / file)).class_counts  # noqa: B018


def test_images_to_leave_out(tmp_path):
    tree(tmp_path)
    (tmp_path / "skip.txt").write_text("lynx/photo 0.jpg\notter/photo 1.jpg\n")
    module = FolderLT(root=str(tmp_path), skip=str(tmp_path / "skip.txt"))
    assert sum(len(index) for index in module.found[1].values()) == sum(COUNTS.values()) - 2
    (tmp_path / "skip.txt").write_text("lynx/photo 99.jpg\n")
    with pytest.raises(LtError, match="1 paths to leave out are not in the set, such as lynx/photo 99"):
        FolderLT(root=str(tmp_path), skip=str(tmp_path / "skip.txt")).class_counts  # noqa: B018


@pytest.mark.parametrize("num_views", [0, 2])
def test_windows_follow_from_the_seed_and_the_place_alone(num_views, tmp_path):
    module = FolderLT(root=str(tree(tmp_path)), size=16, num_views=num_views)
    data, fetch = module.dataset("train"), Fetch(torch.tensor([3, 0, 3]), 5, 7)
    one, two, other = data[fetch], data[fetch], data[fetch._replace(seed=6)]
    assert one["image"].shape == (3, 16, 16, 3)
    assert one["image"].dtype == torch.uint8
    assert len(one["views"]) == num_views
    assert (one["image"] == two["image"]).all()
    assert (one["image"] != other["image"]).any()
    assert (one["image"][0] != one["image"][2]).any()  # the same image, twice in a batch
    for view in one["views"]:
        assert (view != one["image"]).any()
    assert one["target"].tolist() == [int(data.target[i]) for i in (3, 0, 3)]


def test_evaluation_looks_at_the_middle_always(tmp_path):
    data = FolderLT(root=str(tree(tmp_path)), size=16).dataset("val")
    one, two = data[Fetch(torch.tensor([1]), 0)], data[Fetch(torch.tensor([1]), 9)]
    assert (one["image"] == two["image"]).all()
    assert one["views"] == []
    assert np.asarray(data.open(1)).shape == (30, 40, 3)


def test_large_photographs_are_decoded_smaller_but_not_below_twice_the_size(tmp_path, monkeypatch):
    picture(1, 1600, 1200).save(tmp_path / "a.jpg")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(3):
            shutil.copy(tmp_path / "a.jpg", tmp_path / name / f"{i}.jpg")
    (tmp_path / "a.jpg").unlink()
    for size, expected in ((224, (800, 600)), (150, (400, 300)), (301, (1600, 1200))):
        assert FolderLT(root=str(tmp_path), size=size).dataset("train").open(0).size == expected
    monkeypatch.setattr(FolderLT, "shrink_on_load", None)
    assert FolderLT(root=str(tmp_path), size=32).dataset("train").open(0).size == (1600, 1200)
