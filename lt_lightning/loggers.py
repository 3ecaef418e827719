"""Loggers that a run can always have: one folder, resumed with the run, and no account needed."""

import csv
import io
import os
import sys
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger, WandbLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn

from lt_lightning.redaction import read_netrc, redact
from lt_lightning.whole_files import write_whole


class ContinuedWriter(ExperimentWriter):
    """Writes ``metrics.csv``, whole each time, and goes on with what the run wrote before it was interrupted.

    What a run logs of steps that it takes again replaces what it logged of them.

    Args:
        log_dir: Folder of the run.
    """

    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir)
        self._file, self._rows = Path(self.metrics_file_path), list[dict[str, Any]]()
        if self._file.is_file():
            with self._file.open(newline="") as file:
                self._rows = [{k: v for k, v in row.items() if v != ""} for row in csv.DictReader(file)]

    def _check_log_dir_exists(self) -> None:
        """Keep an earlier file, which Lightning would delete."""

    def save(self) -> None:
        """Write what was logged."""
        if not self.metrics:
            return
        for row in self.metrics:
            self._rows = [old for old in self._rows if not _is_taken_again(old, row)] + [row]
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, sorted(set().union(*self._rows)))
        writer.writeheader()
        writer.writerows(self._rows)
        write_whole(self._file, text.getvalue())
        self.metrics = []


def _is_taken_again(old: dict[str, Any], row: dict[str, Any]) -> bool:
    step, alike = int(old.get("step", -1)), old.keys() & row.keys() - {"epoch", "step"}
    return step > row["step"] or (step == row["step"] and bool(alike))


class RunCSVLogger(CSVLogger):
    """Logs to ``metrics.csv`` in the run's folder.

    Args:
        save_dir: Folder of the run.
    """

    def __init__(self, save_dir: str) -> None:
        super().__init__(save_dir, name="", version="", flush_logs_every_n_steps=1)

    def log_hyperparams(self, params: Any = None) -> None:
        """Nothing to do: they are in ``config.yaml``."""

    @property
    @rank_zero_experiment
    def experiment(self) -> ExperimentWriter:
        """The writer."""
        if self._experiment is None:
            self._experiment = ContinuedWriter(self.log_dir)
        return self._experiment  # type: ignore[return-value]


BEST = {"acc": "max", "bal_acc": "max", "macro_f1": "max", "auprc": "max", "nll": "min", "ece": "min"}
"""Figures of which the runs table of W&B shows the best beside the last, and which of their values that is."""


def has_wandb() -> bool:
    """Whether W&B is installed and not turned off by ``WANDB_MODE=disabled``; if it is not installed, it is said."""
    if os.environ.get("WANDB_MODE") == "disabled":
        return False
    try:
        import wandb  # noqa: F401  # not by its metadata: what it needs may be missing, too
    except ImportError as error:
        if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
            print(f"lt: no W&B dashboard ({error}); the run's folder has all figures", file=sys.stderr)
        return False
    return True


def has_credentials() -> bool:
    """Whether W&B could log in without asking anybody; no network is used."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    entries = read_netrc()
    return entries is not None and entries.authenticators(host) is not None


def _without_secrets() -> dict[str, Any]:
    """W&B records the commit, but neither where its repository is, which may hold a token, nor uncommitted code."""
    settings: dict[str, Any] = {"git_remote": "", "save_code": False}
    if url := os.environ.get("WANDB_GIT_REMOTE_URL"):  # who wants the repository to be named, names it
        settings["git_remote_url"] = redact(url)
    return settings


class RunWandbLogger(WandbLogger):
    """Logs to Weights & Biases: online where there is an account, else into the run's folder for ``wandb sync``.

    It never asks and never ends a run: where W&B cannot start online, it says so and logs offline. The run's id is
    kept in its folder, so a resumed run goes on as the same run there.

    Args:
        project: Project of the run.
        name: Name of the run; by default that of its folder.
        save_dir: Folder of the run; the command sets it.
        offline: Whether to log into the folder only; by default, what the environment variable ``WANDB_MODE`` (online,
            offline) says. Without credentials a run is always offline, as W&B would ask for them.
        tags: Words to find the run by.
        upload_checkpoints: Whether W&B gets the checkpoints, whole; else their names, places, sizes and hashes.
    """

    def __init__(
        self,
        project: str = "lt_lightning",
        name: str | None = None,
        save_dir: str = "runs",
        offline: bool | None = None,
        tags: list[str] | None = None,
        upload_checkpoints: bool = False,
    ) -> None:
        if offline is None:
            offline = os.environ.get("WANDB_MODE") in ("offline", "dryrun")
        offline = offline or not has_credentials()
        self.upload_checkpoints = upload_checkpoints
        Path(save_dir).mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("WANDB_SILENT", "true")
        super().__init__(
            name or Path(save_dir).resolve().name,
            save_dir,
            offline=offline,
            project=project,
            resume="allow",
            tags=tags,
            mode="offline" if offline else "online",
            settings=_without_secrets(),
        )
        self._wandb_init.pop("anonymous", None)  # Lightning passes it on; wandb only warns of it

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The W&B run."""
        import wandb

        if self._experiment is None:
            self._wandb_init["id"] = self._run_id()
            mode = os.environ.get("WANDB_MODE")
            try:
                run = super().experiment
            except wandb.Error as error:
                rank_zero_warn(f"W&B cannot start online ({redact(str(error))}); this run is logged offline")
                wandb.teardown()  # its service still holds the run's id, and would refuse it
                self._offline = True
                self._wandb_init["mode"] = "offline"
                run = super().experiment
            os.environ.pop("WANDB_MODE", None)  # Lightning sets it; a later run in this process decides for itself
            if mode is not None:
                os.environ["WANDB_MODE"] = mode
            for name, best in BEST.items():
                run.define_metric(f"val/{name}", step_metric="trainer/global_step", summary=f"{best},last")
        return self._experiment

    def finalize(self, status: str) -> None:
        """End the W&B run with the command, so that the next one in this process is another run."""
        super().finalize(status)
        if self._experiment is not None:
            self._experiment.finish(exit_code=int(status != "success"))
            self._experiment = None

    def _run_id(self) -> str:
        """That of the folder; of a new one, what a sweep's agent gives the run, if one does."""
        file = Path(self.save_dir or ".") / "wandb_run_id"
        if not file.is_file():
            write_whole(file, os.environ.get("WANDB_RUN_ID") or uuid.uuid4().hex[:8])
        return file.read_text().strip()
