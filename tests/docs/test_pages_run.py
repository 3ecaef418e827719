"""Every code block of README and docs runs, page by page, in a folder with small data: ``make docs``.

``lt fit`` is shortened: an epoch of two steps, small networks where images are files, the imbalance that the small
CIFAR has; nothing else is changed. Lines that are not run are those of :data:`pages.NOT_RUN`.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from pages import PAGES, RUN_ELSEWHERE, WORLD, blocks, commands, reason_not_to_run, write_named

from lt_lightning.commands import main

pytestmark = pytest.mark.docs
SHORT = "trainer: {max_epochs: 1, check_val_every_n_epoch: 1, limit_train_batches: 2, enable_progress_bar: false}\n"
SMALL = ["--model.backbone", "resnet8", "--data.size", "16", "--data.batch_size", "8", "--data.num_workers", "0"]
FILES = ("small_images", "own_images", "places", "imagenet", "inaturalist", "FolderLT", "TableLT")
"""What stands in lines whose images are files."""
PROCESSES = ("torchrun", "--trainer.devices")
"""What stands in lines that start processes of their own, which cannot be this one."""


def shortened(words: list[str]) -> list[str]:
    """``lt fit`` of an epoch; other commands as they are."""
    if words[:2] != ["lt", "fit"] and "lt_lightning" not in words:
        return words
    small = SMALL if any(part in word for word in words for part in FILES) else []
    random = ["--pretrained.weights", "null"] if any("places_lt" in word for word in words) else []  # needs no network
    cifar = ["--data.imbalance_factor", "6"] if any("cifar100_lt" in word for word in words) else []
    return [*words, "--config", "short.yaml", *small, *random, *cifar]


def run(words: list[str], folder: Path) -> None:
    """Run one line, in this process where it can be."""
    words = shortened(words)
    if words[0] == "lt" and not any(part in words for part in PROCESSES):
        main(words[1:])
        return
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", [p for p in PAGES if p.name not in RUN_ELSEWHERE], ids=lambda page: page.name)
def test_page(page, alone, fake_cifar, monkeypatch, capsys):
    text, names = page.read_text(), {"__name__": "page"}
    (alone / "short.yaml").write_text(SHORT)
    for name, make in WORLD.items():
        if any(name in word for block in blocks(text) for word in block.text.split()):
            make(alone / name, monkeypatch)
    for block in blocks(text):
        if write_named(block, alone):
            continue
        if block.language == "python":
            exec(compile(block.text, f"{page.name}, line {block.line}", "exec"), names)
        for words in commands(block) if block.language == "bash" else ():
            if reason_not_to_run(words) is None:
                with capsys.disabled():
                    print(f"{page.name}: {shlex.join(words)}")
                try:
                    run(words, alone)
                except SystemExit as stop:
                    if stop.code:
                        pytest.fail(f"{page.name}: {shlex.join(words)}: {capsys.readouterr().err}")
