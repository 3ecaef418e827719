"""The command ``lt``: a LightningCLI whose checkpoints bring their own configuration."""

import json
import os
import shlex
import sys
import traceback
from collections.abc import Sequence
from copy import deepcopy
from functools import reduce
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.callbacks import GradientAccumulationScheduler, ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, LRSchedulerTypeTuple
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher
from lightning.pytorch.utilities import rank_zero_only
from torch.optim import Optimizer

from lt_lightning import optimizers, schedulers  # noqa: F401 - names for the configuration
from lt_lightning.allocator import keep_freed_memory
from lt_lightning.callbacks import (
    Calibration,
    CompiledTeachers,
    Dashboard,
    Diversity,
    Evaluation,
    Finite,
    KeepConfig,
    LastCheckpoint,
    LeanLoop,
    PendingValidation,
    PerImage,
    Plots,
    Predictions,
    Pretrained,
    Progress,
    Report,
    RunLock,
    TestPriors,
    TrainingLog,
    TrainingTime,
    Watchdog,
)
from lt_lightning.callbacks.progress import has_bar
from lt_lightning.checkpoint_io import WholeCheckpointIO
from lt_lightning.checkpoints import CLASS_COUNTS, CLASS_NAMES, other_weights, read_facts, stored_config
from lt_lightning.compiled import Mode, compile_step
from lt_lightning.data import LongTailDataModule
from lt_lightning.data.given import GivenData
from lt_lightning.errors import LtError
from lt_lightning.loggers import RunCSVLogger, RunWandbLogger, has_wandb
from lt_lightning.modules import LongTailModule
from lt_lightning.parser import Parser
from lt_lightning.ranges import check_environment, check_numbers
from lt_lightning.recipes import RECIPES, trained_first
from lt_lightning.run_folder import TRAINED_FIRST, check_ours, check_writable, hold, is_finished
from lt_lightning.shipped import shipped
from lt_lightning.signals import end_as_told, told_to
from lt_lightning.trust import refuse_addresses, refuse_outside

RESTORING = ("resume_start", "restore", "_restore_modules_and_callbacks", "restore_training_state", "load_state_dict")
"""Functions of Lightning's and torch's that take up what a checkpoint holds."""
NAMED = ("best", "last")
"""Checkpoints that ``--ckpt_path`` takes from the run's own folder."""


NOT_THE_RUN = "config", "ckpt_path", "allow_inexact", "as_in_checkpoint", "plots", "compile"
"""Keys of a configuration that do not say what a run is."""
FILES_OF_DATA = "root", "lists", "file", "skip"
"""Arguments of data modules that name files and folders."""


LINKED = {
    "checkpoint.dirpath": "trainer.default_root_dir",
    "last.dirpath": "trainer.default_root_dir",
    "wandb.save_dir": "trainer.default_root_dir",
    "data.init_args.seed": "seed_everything",
    "lr_scheduler.init_args.epochs": "trainer.max_epochs",
}
"""Keys that take the value of another."""
COUNTS = "model.init_args.class_counts"
"""The key that the data give the value of."""
OF_EVALUATION: dict[str, dict[str, Any]] = {
    "validate": {"verbose": False},  # the report shows the figures
    "test": {"verbose": False},
    "predict": {"return_predictions": False},  # which nobody would take
}
"""Defaults of the arguments of Lightning's functions."""


class LongTailCLI(LightningCLI):
    """Builds data, model and trainer from YAML and flags, and runs one of fit, validate, test and predict.

    Class counts go from the data to the model. One run has one folder, ``trainer.default_root_dir``.

    Args:
        args: The command line without the program's name; ``sys.argv`` by default.
        predictions: What ``predict`` writes; by default ``predictions.csv`` in the run's folder.
    """

    def __init__(self, args: Sequence[str] | None = None, predictions: Predictions | None = None) -> None:
        keep_freed_memory()
        words = list(sys.argv[1:] if args is None else args)
        self._command = words[0] if words else ""
        self._training, self._report = TrainingLog(), Report()
        super().__init__(
            LongTailModule,
            LongTailDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            seed_everything_default=0,
            save_config_callback=KeepConfig,
            save_config_kwargs={"overwrite": True},
            parser_class=Parser,
            parser_kwargs={"prog": "lt"},
            trainer_defaults={
                "default_root_dir": "runs/default",
                "num_sanity_val_steps": 0,
                "devices": 1,  # recipes are for one; Lightning would take all GPUs, each with a batch of its own
                "callbacks": [
                    RunLock(),
                    LeanLoop(),
                    Evaluation(),
                    Calibration(),
                    Diversity(),
                    TestPriors(),
                    self._training,
                    TrainingTime(),
                    Finite(self._training),
                    PendingValidation(),
                    predictions or Predictions(),
                    PerImage(),
                    self._report,
                ],
            },
            args=words,
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """The one that is asked for, as a parser takes its time to build; all where another word comes first."""
        known = LightningCLI.subcommands()
        return {self._command: known[self._command]} if self._command in known else known

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Link what belongs together; add the callbacks and loggers that every run has, each under its own key."""
        parser.add_optimizer_args((Optimizer,))
        parser.add_lr_scheduler_args(LRSchedulerTypeTuple)
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        best = {"filename": "best", "monitor": "val/acc", "mode": "max", "enable_version_counter": False}
        parser.set_defaults({f"checkpoint.{name}": value for name, value in best.items()})
        parser.add_lightning_class_args(LastCheckpoint, "last")
        parser.add_lightning_class_args(Pretrained, "pretrained")
        parser.add_lightning_class_args(Watchdog, "watchdog")
        parser.add_lightning_class_args(Plots, "plots")
        parser.add_class_arguments(RunWandbLogger, "wandb", instantiate=False)  # it may not be installed
        inexact = "Go on in other steps than those of the checkpoint's run, from the beginning of an epoch."
        order = "Number the classes of the data as the checkpoint does; for sets of files, not for fit."
        parser.add_argument(
            "--compile", type=Mode | None, default=None, help="Compile training steps by torch.compile."
        )
        parser.add_argument("--as_in_checkpoint", type=bool, default=False, help=order)
        parser.add_argument("--allow_inexact", type=bool, default=False, help=inexact)
        parser.link_arguments("data.class_counts", COUNTS, apply_on="instantiate")
        for target, source in LINKED.items():
            parser.link_arguments(source, target)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse; a checkpoint brings its own configuration, which configurations and flags override."""
        for command, parser_of_command in self._subcommand_parsers.items():
            parser_of_command.set_defaults(**OF_EVALUATION.get(command, {}))
        check_environment()
        args = _with_checkpoint([shipped(arg) for arg in args])
        self.config = parser.parse_args(_with_stored_config(args, list(self.subcommands())))
        config = self.config[self.config.subcommand]
        check_numbers(config)
        refuse_addresses({key: value for key, value in config.as_dict().items() if key != "wandb"}, "")
        for name in FILES_OF_DATA:  # so that a checkpoint can be used from any directory
            if value := config.data.init_args.get(name):
                config.data.init_args[name] = str(Path(value).absolute())
        run = Path(config.trainer.default_root_dir)
        if not config.trainer.fast_dev_run:
            check_writable(run)
        parts = config.as_dict()
        refuse_outside({key: parts[key] for key in ("trainer", "checkpoint", "last") if key in parts}, "", run)
        if config.ckpt_path in NAMED:
            config.ckpt_path = str(run / f"{config.ckpt_path}.ckpt")
        if config.ckpt_path is not None:
            read_facts(config.ckpt_path)  # Lightning would warn and go on without, or fetch it from anywhere
        if self.config.subcommand == "fit":
            self._prepare_fit(config)
        elif config.as_in_checkpoint and config.ckpt_path is not None and "class_order" in config.data.init_args:
            config.data.init_args["class_order"] = read_facts(str(config.ckpt_path)).get(CLASS_NAMES)

    def _parse_ckpt_path(self) -> None:
        """Leave out Lightning's own reading of hyperparameters, which would win over flags."""

    def _prepare_fit(self, config: Any) -> None:
        run = Path(config.trainer.default_root_dir)
        if not config.trainer.fast_dev_run:
            check_ours(run)
            if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
                hold(run)  # while a teacher is trained, too
        last = run / "last.ckpt"
        resumed = config.ckpt_path is not None and Path(config.ckpt_path).resolve().parent == run.resolve()
        if last.exists() and not resumed and not config.trainer.fast_dev_run:
            if is_finished(run) or self._plain(config, run) != _without_paths(stored_config(str(last)) or {}):
                resume = f"--resume {shlex.quote(str(run))}"
                fix = f"resume it ({resume}), name another (--trainer.default_root_dir DIR) or remove it"
                raise LtError("this folder holds another run, or a finished one", str(run), fix)
            config.ckpt_path = str(last)
            print(f"lt: going on with the run in {run}", file=sys.stderr)
        model = config.model.init_args
        for name in (name for name in TRAINED_FIRST if name in model):
            files = [str(path.absolute) for path in config.config or [] if path is not None]
            plain = json.loads(self._parser("fit").dump(config, format="json", skip_none=False))
            hardware = {key: plain["trainer"][key] for key in ("accelerator", "devices", "strategy", "precision")}
            inherited = {key: plain[key] for key in ("seed_everything", "data", "pretrained", "plots", "compile")} | {
                "trainer": hardware
            }
            model[name] = trained_first(model[name], files, inherited, run / name)

    def _plain(self, config: Any, run: Path) -> dict[str, Any]:
        """What a run would be, as its checkpoints say it."""
        plain: dict[str, Any] = json.loads(self._parser("fit").dump(config, format="json", skip_none=False))
        for name in (name for name in TRAINED_FIRST if str(config.model.init_args.get(name)).endswith(RECIPES)):
            plain["model"]["init_args"][name] = str((run / name / "last.ckpt").resolve())
        return _without_paths(plain)

    def instantiate_classes(self) -> None:
        """Build everything; a value that a constructor refuses is the user's mistake."""
        try:
            super().instantiate_classes()
        except ValueError as error:
            cause = error
            while isinstance(cause.__cause__, ValueError):  # jsonargparse wraps what the constructor said
                cause = cause.__cause__
            if isinstance(cause.__cause__, LtError):
                raise cause.__cause__ from error
            raise LtError(str(cause), "the configuration", "change this value") from error

    def before_fit(self) -> None:
        """Compile what is trained, if asked to.

        Raises:
            LtError: A step would add to gradients that a CUDA graph writes over.
        """
        mode: Mode | None = self._get(self.config, "compile")
        if mode is None:
            return
        scheduled = any(isinstance(c, GradientAccumulationScheduler) for c in self.trainer.callbacks)  # type: ignore[attr-defined]
        if mode != "default" and (scheduled or self.trainer.accumulate_grad_batches != 1):
            what = "gradients of several batches cannot be added up in a CUDA graph, which writes over them"
            raise LtError(what, "trainer.accumulate_grad_batches", "set it to 1, or --compile default")
        compile_step(self.model, mode)
        self.trainer.callbacks.append(CompiledTeachers(mode))  # type: ignore[attr-defined]

    def _run_subcommand(self, subcommand: str) -> None:
        """Run; what a checkpoint holds that cannot be gone on with is the user's mistake.

        A signal that comes before or after training, during which others listen, ends the command.
        """
        path = str(self.config[subcommand].ckpt_path)
        try:
            with told_to(end_as_told):
                super()._run_subcommand(subcommand)
        except LtError:
            raise
        except Exception as error:
            if "loading state_dict" in str(error):
                raise other_weights(error, path) from error
            if any(frame.name in RESTORING for frame in traceback.extract_tb(error.__traceback__)):
                what = f"this checkpoint cannot be gone on with ({type(error).__name__}: {error})"[:300]
                raise LtError(what, path, "name a last.ckpt of this very configuration, which is whole") from error
            raise

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Build the trainer with the loggers of the run, and checkpoints that are whole."""
        folder = self._get(self.config, "trainer.default_root_dir")
        loggers: list[Logger] = []
        if self.subcommand == "fit":  # `lt test` would replace what training logged by a single row
            loggers.append(RunCSVLogger(folder))
        if has_wandb():
            loggers.append(RunWandbLogger(**self._get(self.config, "wandb")))
        theirs = self._get(self.config_init, "trainer.callbacks") or []
        if self._get(self.config, "trainer.enable_progress_bar") is not False and not has_bar(theirs):
            self.trainer_defaults["callbacks"].append(Progress(self._training, self._report))
        self.save_config_kwargs["values"] = self._values()
        try:
            trainer = super().instantiate_trainer(logger=loggers, **kwargs)
        except (MisconfigurationException, TypeError, ImportError) as error:  # such as a device that is not there
            raise LtError(str(error), "the trainer", "change what it names, such as trainer.devices") from error
        if isinstance(trainer.accelerator, CPUAccelerator) and trainer.num_devices > 4 * (cores := os.cpu_count() or 1):
            what = f"{trainer.num_devices} processes are too many for {cores} processors"
            raise LtError(what, "trainer.devices", f"name at most {4 * cores}")
        if self.subcommand == "fit" and isinstance(trainer.strategy.launcher, _MultiProcessingLauncher):
            what = "this strategy trains in copies of this process, and hands weights on outside the run's folder"
            raise LtError(what, "trainer.strategy", "take ddp, which starts processes of their own")
        for logger in trainer.loggers:  # none of ours, where the trainer runs a few batches to be debugged
            if isinstance(logger, RunWandbLogger) and self.subcommand == "fit":
                trainer.callbacks.append(Dashboard(logger, self._report))  # type: ignore[attr-defined]
        trainer.strategy.checkpoint_io = WholeCheckpointIO(folder)
        return trainer

    def _values(self) -> dict[str, Any]:
        """The configuration as plain values, as Lightning had it dumped for the model; what links set is left out."""
        values: dict[str, Any] = deepcopy(self.config_dump)
        for key in (*LINKED, COUNTS):
            *groups, last = key.split(".")
            reduce(lambda group, name: group.get(name) or {}, groups, values).pop(last, None)
        return values


class ImagesCLI(LongTailCLI):
    """Runs a checkpoint on images that are named, in the place of those of its run.

    Args:
        args: The command line without the program's name; it names a checkpoint.
        kind: What the images are: to predict, or to test on.
        paths: Where they are.
        predictions: As for :class:`LongTailCLI`.
    """

    def __init__(
        self, args: Sequence[str], kind: type[GivenData], paths: list[str], predictions: Predictions | None = None
    ) -> None:
        self.kind, self.paths = kind, paths
        super().__init__(args, predictions)

    def _add_instantiators(self) -> None:
        super()._add_instantiators()
        self.parser.add_instantiator(self._given, LongTailDataModule)  # in the place of Lightning's own

    def _given(self, kind: type[LongTailDataModule], *args: Any, **kwargs: Any) -> GivenData:
        """The images, with the classes of the checkpoint, evaluated as those of its run."""
        path = str(self.config[self.config.subcommand].ckpt_path)
        facts = read_facts(path)
        names, counts = facts.get(CLASS_NAMES, []), facts.get(CLASS_COUNTS, [])
        if not names or len(names) != len(counts):
            what = f"this checkpoint names {len(names)} classes, and the training images of {len(counts)}"
            raise LtError(what, path, "train it with `lt fit`")
        return self.kind(self.paths, kind(*args, **kwargs), names, counts)


def _with_checkpoint(args: list[str]) -> list[str]:
    """``--resume RUN`` is ``--ckpt_path RUN/last.ckpt``; there is one of them.

    Raises:
        LtError: There are several, or no folder follows.
    """
    coming, rest = iter(args), list[str]()
    for arg in coming:
        flag, equals, value = arg.partition("=")
        if flag == "--resume":
            run = value if equals else next(coming, "")
            if not run:
                raise LtError("expected the folder of a run", "--resume", "name one, as in --resume runs/mcsm")
            arg = f"--ckpt_path={Path(run) / 'last.ckpt'}"
        rest.append(arg)
    if len(named := values(rest, "--ckpt_path")) > 1:
        raise LtError("expected one checkpoint", ", ".join(named), "name one by --ckpt_path or --resume")
    return rest


def _with_stored_config(args: list[str], subcommands: list[str]) -> list[str]:
    command = next((i for i, arg in enumerate(args) if arg in subcommands), None)
    path = next(iter(values(args, "--ckpt_path")), None)
    if path in NAMED:
        path = next((f"{folder}/{path}.ckpt" for folder in values(args, "--trainer.default_root_dir")), None)
    if command is None or path is None:
        return args
    config = stored_config(path)
    if config is None:
        if values(args, "--config") or values(args, "-c"):
            return args
        raise LtError("this checkpoint carries no configuration", path, "name the run's configuration by --config, too")
    keys = ["seed_everything", "model", "data"]
    trainer = {"default_root_dir": str(Path(path).resolve().parent), "precision": config["trainer"]["precision"]}
    if args[command] == "fit":
        keys += ["optimizer", "lr_scheduler", "checkpoint", "last", "pretrained", "plots", "wandb", "compile"]
        trainer = {**config["trainer"], **trainer}
    kept = {key: config[key] for key in keys if config.get(key) is not None} | {"trainer": trainer}
    return [*args[: command + 1], "--config", yaml.safe_dump(kept, sort_keys=False), *args[command + 1 :]]


def _without_paths(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration without the files that it was read from, and how."""
    return {key: value for key, value in config.items() if key not in NOT_THE_RUN}


def values(args: list[str], flag: str) -> list[str]:
    """What a command line gives to a flag, ``--flag VALUE`` or ``--flag=VALUE``, each time."""
    after = [value for name, value in pairwise(args) if name == flag]
    return after + [arg.partition("=")[2] for arg in args if arg.startswith(f"{flag}=")]
