import json
import os
import tarfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from official import COUNTS, INATURALIST, SETS, annotations, make, text

from lt_lightning.data import ImageNet20LT, ImageNetLT, INaturalist13, INaturalist2018, PlacesLT
from lt_lightning.data.index import ImageIndex
from lt_lightning.data.listed import ListedDataModule
from lt_lightning.data.sampling import Fetch
from lt_lightning.errors import LtError
from lt_lightning.prepare import file_digest, prepare_data

NAMES = {
    ImageNetLT: ["n01440764", "n01443537", "n01484850"],
    PlacesLT: ["airfield", "bakery-shop", "zen_garden"],
    INaturalist2018: ["Plantae/7291", "Aves/3", "Insecta/673"],
    INaturalist13: ["Plantae", "Aves", "Insecta"],
}
NAMES[ImageNet20LT] = NAMES[ImageNetLT]


@pytest.mark.parametrize("name", SETS)
def test_images_are_found_in_each_published_layout_by_each_published_list(name, tmp_path, monkeypatch):
    module = make(name, tmp_path, monkeypatch)(root=str(tmp_path), lists=str(tmp_path / "lists"), size=8)
    assert module.class_names == NAMES[type(module)]
    assert module.class_counts == COUNTS["train"]
    _, splits = module.found
    for split, lines in SETS[name][2].items():
        assert [splits[split].path(i) for i in range(len(lines))] == [path for path, _ in lines]
        assert splits[split].target.tolist() == [target for _, target in lines]
        batch = module.dataset(split)[Fetch(torch.arange(len(lines)), 0)]
        assert batch["image"].shape == (len(lines), 8, 8, 3)
    assert module.selected_on_test == ("test" not in SETS[name][2])


@pytest.mark.parametrize("name", SETS)
def test_prepare_says_what_to_fetch_and_what_is_there(name, tmp_path, monkeypatch, capsys):
    module = make(name, tmp_path, monkeypatch, lists=False)
    words = [module.__name__, "--root", str(tmp_path), "--lists", str(tmp_path / "lists")]
    with pytest.raises(SystemExit, match="1"):
        prepare_data(words)
    said = capsys.readouterr().out
    for source in module.sources:
        assert source.url in said
        assert source.size in said
        assert source.digest.removeprefix("md5:") in said
    assert module.terms in said
    assert "missing: " in said
    make(name, tmp_path, monkeypatch)
    prepare_data(words)
    said = capsys.readouterr().out
    assert said.count("the published file") == len(module.published)
    assert "ready: classes 3, from 5 to 2 training images" in said
    gone = tmp_path / SETS[name][2]["train"][3][0]
    gone.unlink()
    with pytest.raises(SystemExit, match="1"):
        prepare_data(words)
    said = capsys.readouterr().out
    assert "train: 9 of 10 images are there" in said
    assert str(gone.relative_to(tmp_path)) in said.replace("\n", "")


@pytest.mark.parametrize("packed", [True, False])
def test_inaturalists_lists_are_built_of_its_annotations(packed, tmp_path, monkeypatch, capsys):
    make("inaturalist", tmp_path, monkeypatch, lists=False)
    for split, name in (("train", "train2018.json"), ("val", "val2018.json")):
        (tmp_path / name).write_text(annotations(INATURALIST[split]))
        if packed:
            with tarfile.open(tmp_path / f"{name}.tar.gz", "w:gz") as archive:
                archive.add(tmp_path / name, name)
            (tmp_path / name).unlink()
    prepare_data(["INaturalist2018", "--root", str(tmp_path), "--lists", str(tmp_path / "new" / "lists")])
    assert "built" in capsys.readouterr().out
    for split, listed in INaturalist2018.published.items():
        assert (tmp_path / "new" / "lists" / listed.name).read_text() == text(INATURALIST[split])
    assert {path.name for path in (tmp_path / "new" / "lists").iterdir()} == {
        "iNaturalist18_train.txt",
        "iNaturalist18_val.txt",
    }


def test_lists_are_downloaded_by_their_hashes(tmp_path, monkeypatch, capsys):
    module = make("places small", tmp_path, monkeypatch)
    words = ["PlacesLT", "--root", str(tmp_path), "--lists", str(tmp_path / "fetched"), "--download"]
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "lists"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        there = {
            split: listed._replace(
                url=f"{address}/{listed.name}", size=(tmp_path / "lists" / listed.name).stat().st_size
            )
            for split, listed in module.published.items()
        }
        monkeypatch.setattr(module, "published", there)
        prepare_data(words)
        assert "ready: classes 3" in capsys.readouterr().out
        (tmp_path / "fetched" / "Places_LT_val.txt").unlink()
        wrong = there["val"]._replace(digests=("sha256:" + 64 * "0",))
        monkeypatch.setattr(module, "published", {**there, "val": wrong})
        with pytest.raises(LtError, match="its sha256 is"):
            prepare_data(words)
        server.shutdown()
    assert not (tmp_path / "fetched" / "Places_LT_val.txt").exists()


def test_a_wrong_name_is_refused_with_the_nearest():
    with pytest.raises(LtError, match=r"Placeslt\n.*\n.*did you mean PlacesLT"):
        prepare_data(["Placeslt"])


def test_annotations_that_are_none(tmp_path, monkeypatch):
    make("inaturalist", tmp_path, monkeypatch, lists=False)
    for content in ("{", '{"images": 3}', "[]", '{"images": [{"id": 1}], "annotations": []}'):
        (tmp_path / "train2018.json").write_text(content)
        with pytest.raises(LtError, match="annotations cannot be read"):
            prepare_data(["INaturalist2018", "--root", str(tmp_path), "--lists", str(tmp_path / "lists")])


def test_a_list_that_is_another_one(tmp_path, monkeypatch):
    module = make("places small", tmp_path, monkeypatch)
    file = tmp_path / "lists" / "Places_LT_train.txt"
    file.write_text(file.read_text() + "train/airfield/1.jpg 0\n")
    with pytest.raises(LtError, match="expected 10 images of 3 classes, found 11 of 3"):
        module(root=str(tmp_path), lists=str(tmp_path / "lists")).class_counts  # noqa: B018
    file.unlink()
    with pytest.raises(LtError, match="PlacesLT's list of train cannot be read") as refusal:
        module(root=str(tmp_path), lists=str(tmp_path / "lists")).class_counts  # noqa: B018
    assert "lt data prepare PlacesLT" in str(refusal.value)


def test_images_that_are_nowhere(tmp_path, monkeypatch):
    module = make("imagenet", tmp_path, monkeypatch)
    with pytest.raises(LtError, match=r"images of train are not there: tried train/n01440764/n01440764_0\.JPEG\n"):
        module(root=str(tmp_path / "lists")).class_counts  # noqa: B018
    for file in (tmp_path / "val").iterdir():
        file.unlink()
    with pytest.raises(LtError, match=r"of test .* tried val/ILSVRC2012\S+ and val/n01440764/ILSVRC2012"):
        module(root=str(tmp_path), lists=str(tmp_path / "lists")).class_counts  # noqa: B018


def test_digests(tmp_path):
    (tmp_path / "a").write_bytes(b"hello\n")
    assert file_digest(tmp_path / "a", "git:") == "git:ce013625030ba8dba906f756967f9e9ca394464a"
    assert file_digest(tmp_path / "a", "sha256:").startswith("sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d0")


REAL = Path(os.environ.get("LT_SPLITS_ROOT", "none"))


@pytest.mark.skipif(not REAL.is_dir(), reason="LT_SPLITS_ROOT names no folder of official lists")
@pytest.mark.parametrize(
    ("module", "folder", "splits"),
    [
        (PlacesLT, "Places_LT", ("train", "val", "test")),
        (PlacesLT, "Places_LT_v2", ("train", "val", "test")),
        (ImageNetLT, "ImageNet_LT", ("val", "test")),
        (INaturalist2018, "iNaturalist18", ("val",)),
    ],
)
def test_the_official_lists_have_the_published_numbers(module, folder, splits, tmp_path):
    lists: ListedDataModule = module(root=str(tmp_path), lists=str(REAL / folder))
    for split in splits:
        content = lists.read(split)
        index = lists.parse(split, lists.style(content))  # of training: 131, 163 and 71 classes, or it raises
        listed = lists.published[split]
        assert file_digest(REAL / folder / listed.name, listed.digests[0]) in listed.digests
        if split != "train":
            assert set(np.bincount(index.target)) == {listed.images // sum(lists.groups)}


@pytest.mark.skipif(not REAL.is_dir(), reason="LT_SPLITS_ROOT names no folder of official lists")
def test_the_groups_of_imagenet_lt():
    counts = np.array(json.loads((REAL / "ImageNet_LT" / "ImageNet_LT_train_cls_freq.json").read_text()))
    assert counts.sum() == ImageNetLT.published["train"].images
    assert ((counts > 100).sum(), ((counts >= 20) & (counts <= 100)).sum(), (counts < 20).sum()) == ImageNetLT.groups


@pytest.mark.skipif(not REAL.is_dir(), reason="LT_SPLITS_ROOT names no folder of official lists")
def test_each_style_of_places_becomes_the_other(tmp_path):
    module = PlacesLT(root=str(tmp_path))
    large, small = (
        {split: (REAL / folder / listed.name).read_bytes() for split, listed in PlacesLT.published.items()}
        for folder in ("Places_LT", "Places_LT_v2")
    )
    train = ImageIndex.parse(np.frombuffer(large["train"], np.uint8), "train")
    names = [module.class_name(train.path(i)) for i in np.unique(train.target, return_index=True)[1]]
    assert len(set(names)) == 365
    for split in PlacesLT.published:
        assert module.style(large[split]) == module.style(small[split])
        assert list(module.layouts(module.style(large[split]), names)) == [small[split], large[split]]
