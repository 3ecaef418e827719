"""The short help of the command: what there is to choose, and the knobs that matter."""

import inspect
from collections.abc import Iterator

from lt_lightning import data, modules
from lt_lightning.commands import TRAINER
from lt_lightning.data import LongTailDataModule
from lt_lightning.modules import LongTailModule

USAGE = {
    "fit": "--config FILE [--config FILE ...]",
    "validate": "--ckpt_path FILE",
    "test": "[PATH ...] --ckpt_path FILE",
    "predict": "[PATH ...] --ckpt_path FILE",
}
"""What each command line begins with."""
KNOBS = {
    "--config FILE": "a configuration; several merge; of files and flags, what stands later wins",
    "--ckpt_path FILE": "a checkpoint to resume (fit) or to use; it brings its own configuration",
    "--resume RUN": "go on with the run in a folder, as it was (fit); the same command again does so, too",
    "--allow_inexact BOOL": "go on with other processes or batches: the epoch that was begun, anew (false)",
    "--seed_everything N": "seed of weights, order and augmentation (0)",
    "--trainer.default_root_dir DIR": "folder of the run: checkpoints, metrics.csv, summary.json, per_class.csv",
    "--trainer.max_epochs N": "epochs; schedules follow it",
    "--trainer.check_val_every_n_epoch N": "how often to validate (1)",
    "--trainer.accelerator NAME": "cpu, gpu, ... (auto)",
    "--trainer.devices N": "how many; more than one needs --config configs/ddp.yaml",
    "--trainer.precision NAME": "32-true, bf16-mixed, 16-mixed (32-true)",
    "--compile MODE": "training steps by torch.compile (fit): default, reduce-overhead, max-autotune; for GPUs",
    "--pretrained.weights FILE": "weights the backbone begins with; or a name, as ResNet50_Weights.IMAGENET1K_V2",
    "--last.every_n_train_steps N": "write last.ckpt within epochs too",
    "--plots.pictures BOOL": "draw charts and report.html when a command ends (true)",
    "--watchdog.timeout S": "seconds without a batch after which a run of several processes ends (1800)",
    "--wandb.offline BOOL": "log to the run's folder only (when no account is found)",
    "--wandb.project NAME": "W&B project (lt_lightning); --wandb.name, --wandb.tags",
    "--wandb.upload_checkpoints BOOL": "send checkpoints too, not their names and hashes alone (false)",
    "--plugins FILE.py": "classes of your own, which --model, --data, ... may name then; once for each file",
    "--print_config": "show the merged configuration and stop",
    "--help_all": "every option there is",
    "--debug": "show the traceback of a mistake, too (any command)",
}


def short_help(command: str) -> str:
    """Help of one subcommand, in at most 60 lines."""
    choices = {
        "--model NAME": ", ".join(sorted(_concrete(LongTailModule))),
        "--data NAME": ", ".join(sorted(_concrete(LongTailDataModule))),
        "--optimizer NAME": "SGD, AdamW, ... of torch.optim",
        "--lr_scheduler NAME": "WarmupCosine, WarmupMultiStep, ... of torch.optim.lr_scheduler",
    }
    return "\n".join(
        [
            f"usage: lt {command} {USAGE[command]} [--KEY VALUE ...]",
            "",
            f"{TRAINER[command][0].upper()}{TRAINER[command][1:]}.",
            "",
            "What to run: a name, or a YAML file. Its arguments follow it, as in --model.backbone resnet32;",
            f"`lt {command} --model.help NAME` lists them.",
            *(f"  {flag:<36} {text}" for flag, text in choices.items()),
            "",
            "How to run it (default):",
            *(f"  {flag:<36} {text}" for flag, text in KNOBS.items()),
            "",
        ]
    )


def _concrete(base: type[object]) -> Iterator[str]:
    """The classes to choose from: those that are not abstract, of ours those that are exported."""
    for cls in type.__subclasses__(base):
        yield from _concrete(cls)
        if not inspect.isabstract(cls) and cls.__name__ in (*modules.__all__, *data.__all__):
            yield cls.__name__
