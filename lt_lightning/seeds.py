"""``lt seeds``: bias, variance and diversity over runs that differ by their seed alone."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor

from lt_lightning.arguments import Arguments
from lt_lightning.checkpoints import load_module, stored_config
from lt_lightning.data import LongTailDataModule
from lt_lightning.errors import LtError
from lt_lightning.metrics.bias_variance import bias_variance, means_by_split
from lt_lightning.parser import Parser

CHUNK = 1000
"""Images that are decomposed at once, in float64."""

Figures = dict[str, dict[str, float]]


class Evaluated(NamedTuple):
    """What one checkpoint says of the test images of its own configuration."""

    data: LongTailDataModule
    logits: Tensor  # (M, N, C), those that are averaged
    target: Tensor  # (N,)


class _Members(Callback):
    """Keeps the logits of all members and the targets, in the order of the test set."""

    def __init__(self) -> None:
        self.logits: list[Tensor] = []
        self.target: list[Tensor] = []

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *_: int
    ) -> None:
        members = pl_module.combination.members(outputs, pl_module.offset)  # type: ignore[union-attr, operator]
        self.logits.append(members.cpu())
        self.target.append(batch["target"].cpu())


def compare_seeds(args: list[str]) -> None:
    """Run ``lt seeds CKPT CKPT ... [--out FILE]``.

    Each checkpoint is measured on the test set of the configuration it carries; nothing is written to its run's folder.

    Args:
        args: The command line after ``seeds``.

    Raises:
        LtError: There are fewer than two checkpoints, one is missing or named twice, or they do not go together.
    """
    parser = Arguments(prog="lt seeds", description="Bias, variance and diversity of runs that differ by their seed.")
    parser.add_argument("checkpoints", nargs="*", metavar="CKPT", help="checkpoints of the same method, two or more")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the figures as JSON, too")
    options = parser.parse_args(args)
    paths: list[str] = options.checkpoints
    if len({Path(path).resolve() for path in paths}) < max(2, len(paths)):
        given = " ".join(paths) or "no checkpoint"
        raise LtError("expected two or more different checkpoints", given, "name one of each seed's run")
    configs = [_config(path) for path in paths]  # all are there before the first is measured
    runs: list[Evaluated] = []
    for path, config in zip(paths, configs, strict=True):
        runs.append(_evaluate(path, config))
        _compare(path, runs[-1], paths[0], runs[0])
    figures = decompose_runs(runs)
    Console().print(_table(figures, len(runs), len(runs[0].logits)))
    if options.out:
        _write(options.out, {"checkpoints": paths, "members": len(runs[0].logits), "splits": figures})


def decompose_runs(runs: list[Evaluated]) -> Figures:
    """Risk, bias, variance, diversity and what their identity leaves, in nats, by split."""
    data, target = runs[0].data, runs[0].target
    parts = [
        bias_variance(torch.stack([run.logits[:, i : i + CHUNK] for run in runs]), target[i : i + CHUNK])
        for i in range(0, len(target), CHUNK)
    ]
    q = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    q["residual"] = q["risk"] - q["bias"] - q["variance"] + q["diversity"]
    return means_by_split(q, target, torch.tensor(data.class_counts), data.many, data.few)


def _config(path: str) -> dict[str, Any]:
    config = stored_config(path)
    if config is None:
        raise LtError("this checkpoint carries no configuration", path, "train it with `lt fit`")
    return config


def _evaluate(path: str, config: dict[str, Any]) -> Evaluated:
    """Measure without loggers and without a folder, so that the run's own is left as it is."""
    parser = Parser()
    parser.add_subclass_arguments(LongTailDataModule, "data")
    data: LongTailDataModule = parser.instantiate(parser.parse_object({"data": config["data"]})).data
    data.prepare_data()  # from here on the names of the classes are known
    members, module = _Members(), load_module(path, data.class_names)
    trainer = Trainer(
        devices=1,
        precision=config["trainer"]["precision"],
        logger=False,
        enable_checkpointing=False,
        callbacks=[members],
    )
    trainer.test(module, data, verbose=False)
    return Evaluated(data, torch.cat(members.logits, dim=1), torch.cat(members.target))


def _compare(path: str, run: Evaluated, first_path: str, first: Evaluated) -> None:
    fix = f"name runs that differ from {first_path} by their seed alone"
    if run.data.class_names != first.data.class_names:
        raise LtError("its classes are not those of the first checkpoint", path, fix)
    if run.data.class_counts != first.data.class_counts or not torch.equal(run.target, first.target):
        raise LtError("its training or test images are not those of the first checkpoint", path, fix)
    if len(run.logits) != len(first.logits):
        raise LtError(
            f"its number of members is {len(run.logits)}, that of the first checkpoint {len(first.logits)}", path, fix
        )


def _table(figures: Figures, seeds: int, members: int) -> Table:
    table = Table(
        title=f"NLL of the mean of logits on test, in nats\nseeds: {seeds}, members: {members}",
        caption="risk = bias + variance - diversity\nfew seeds understate variance, overstate bias",
        box=box.SIMPLE,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("", no_wrap=True)
    for column in figures["all"]:
        table.add_column(column, justify="right")
    for split, means in figures.items():
        shown = (f"{value:.1e}" if name == "residual" else f"{value:.3f}" for name, value in means.items())
        table.add_row(split, *shown)
    return table


def _write(file: Path, content: dict[str, Any]) -> None:
    try:
        file.write_text(json.dumps(content, indent=2) + "\n")
    except OSError as error:
        raise LtError(f"the figures cannot be written ({error.strerror})", str(file), "name another --out") from error
