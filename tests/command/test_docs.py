"""The commands of docs/own_images.md, one after another, on a small folder of the same form."""

import json
import re
import shlex

from commands import QUIET, ROOT
from PIL import Image
from trees import COUNTS, tree

from lt_lightning.commands import main

SMALL = ["--model.backbone", "resnet8", "--data.size", "16", "--data.batch_size", "8", "--data.num_workers", "0"]
SHORT = ["--trainer.max_epochs", "2", "--trainer.check_val_every_n_epoch", "1"]


def test_own_images(tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs" / "own_images.md").read_text()
    lines = [line for block in re.findall(r"```bash\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    assert len(lines) == 8
    monkeypatch.chdir(tmp_path)
    tree(tmp_path / "plankton" / "train", ending=".png")
    tree(tmp_path / "plankton" / "test", dict.fromkeys(COUNTS, 2), ending=".png", start=100)
    for line in lines:
        words = shlex.split(line)
        assert words[0] == "lt"
        main([*words[1:], *{"fit": [*SMALL, *SHORT, *QUIET], "test": QUIET}.get(words[1], [])])
    assert Image.open("tail.png").width > 400
    printed = capsys.readouterr().out
    assert "errors: 0" in printed
    for name in ("ce", "bs", "mcsm"):
        assert "test" in json.loads((tmp_path / "runs" / "plankton" / name / "summary.json").read_text())
    assert not (tmp_path / "runs" / "plankton" / "mcsm" / "teacher").exists()
