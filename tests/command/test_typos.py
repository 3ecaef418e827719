"""A name with one wrong letter is refused with the right one."""

import random
import string

import pytest
from commands import ROOT

from lt_lightning.commands import main

CE = ["fit", "--config", str(ROOT / "configs" / "ce.yaml")]
WORDS = ["validate", "predict", "methods"]
OPTIONS = """
trainer.max_epochs trainer.precision trainer.devices trainer.accelerator trainer.default_root_dir
trainer.check_val_every_n_epoch seed_everything ckpt_path config resume data.batch_size data.num_workers
data.imbalance_factor data.augment model.backbone model.losses model.classifier model.combination optimizer.lr
optimizer.momentum lr_scheduler.warmup wandb.project wandb.offline last.every_n_train_steps watchdog.timeout
checkpoint.monitor pretrained.weights allow_inexact as_in_checkpoint plugins print_config help_all debug
"""
CHOICES = {
    "--model": ["Teacher", "StudentEnsemble", "ContrastiveExperts"],
    "--data": ["CIFAR100LT", "DigitsLT", "FolderLT"],
    "--optimizer": ["AdamW"],
    "--lr_scheduler": ["WarmupCosine", "WarmupMultiStep"],
    "--model.losses+": ["BalancedSoftmax", "CrossEntropy"],
    "--model.backbone": ["resnet32", "resnet50"],
    "--config": ["configs/mcsm.yaml"],
}


def mistyped(name: str, draw: random.Random) -> str:
    """A name with one letter left out, put in, changed, or at the place of its neighbour."""
    i, letter = draw.randrange(1, len(name) - 1), draw.choice(string.ascii_lowercase)
    edits = [name[i + 1 :], letter + name[i:], letter + name[i + 1 :], name[i + 1] + name[i] + name[i + 2 :]]
    wrong = name[:i] + draw.choice(edits)
    return wrong if wrong != name else mistyped(name, draw)


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.soak)])
def test_nine_of_ten_are_recognised(every, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    draw, missed = random.Random(0), []
    lines = [(word, [wrong := mistyped(word, draw)], wrong) for word in WORDS]
    lines += [(name, [*CE, f"--{(wrong := mistyped(name, draw))}", "1"], wrong) for name in OPTIONS.split()]
    lines += [
        (name, [*CE, flag, wrong := mistyped(name, draw)], wrong) for flag, names in CHOICES.items() for name in names
    ]
    assert len(lines) == 50
    for name, words, wrong in lines[::every]:
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 2
        fix = capsys.readouterr().err.rpartition("fix: did you mean ")[2]
        head, _, leaf = name.rpartition(".")
        if name not in fix and not (wrong.startswith(f"{head}.") and fix.startswith(repr(leaf))):
            missed.append((name, wrong, fix))
    assert len(missed) <= 5 / every, missed
