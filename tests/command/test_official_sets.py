"""Each official set, in its true format on disk, through `lt data prepare`, `fit` by its recipe, and `test`."""

import json

import pytest
from commands import QUIET, ROOT, fit
from official import SETS, make

from lt_lightning.commands import main

SMALL = ["--data.size", "32", "--data.batch_size", "5", "--data.num_workers", "0", "--trainer.max_epochs", "1"]
STEP = ["--trainer.limit_train_batches", "1", "--trainer.check_val_every_n_epoch", "1", "--pretrained.weights", "null"]
RECIPES = [  # set, overlay, method
    ("imagenet", "imagenet_lt", "bs"),
    ("imagenet nested", "imagenet_lt_experts", "sade"),
    ("imagenet 20", "imagenet20_lt", "mcem"),
    ("places small", "places_lt", "ce"),
    ("places large", "places_lt_experts", "balpoe"),
    ("inaturalist", "inaturalist18", "posthoc"),
    ("inaturalist", "inaturalist18_experts", "ride"),
    ("inaturalist 13", "inaturalist13", "mcem_bcl"),
]


LARGE = "places_lt_experts"  # of ResNet-152s
QUICK = [pytest.param(*recipe, marks=pytest.mark.soak) if LARGE in recipe else recipe for recipe in RECIPES]


@pytest.mark.parametrize(("name", "overlay", "method"), QUICK)
def test_recipe(name, overlay, method, tmp_path, monkeypatch):
    module, root = make(name, tmp_path / "images", monkeypatch), ["--root", str(tmp_path / "images")]
    lists = str(tmp_path / "images" / "lists")
    main(["data", "prepare", module.__name__, *root, "--lists", lists])
    main(["data", "check", module.__name__, *root, "--lists", lists, "--num_workers", "1"])  # exits 1 on errors
    data = ["--data.root", str(tmp_path / "images"), "--data.lists", lists]
    on = ["--config", str(ROOT / "configs" / "on" / f"{overlay}.yaml"), *data, *SMALL, *STEP]
    run = fit(tmp_path / "run", *on, config=method)
    main(["test", "--ckpt_path", str(run / "last.ckpt"), "--trainer.accelerator", "cpu", *QUIET])
    summary = json.loads((run / "summary.json").read_text())
    assert summary["data"] == module.__name__
    assert summary["train_images"] == 10
    assert summary["params"] > 8_000_000
    assert summary["val"]["selected_on"] == ("validation" if "test" in SETS[name][2] else "test")
    assert 0 <= summary["test"]["last"]["acc"] <= 1


def test_each_recipe_of_a_set_is_tested():
    overlays = {path.stem for path in (ROOT / "configs" / "on").glob("*.yaml")}
    assert {overlay for _, overlay, _ in RECIPES} == {name for name in overlays if name.startswith(("im", "pl", "in"))}
