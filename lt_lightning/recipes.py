"""A teacher given as a recipe is trained first, once, into the folder of the run that needs it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

from lt_lightning.callbacks.report import TEACHER
from lt_lightning.checkpoints import is_finished, read_checkpoint, stored_config
from lt_lightning.errors import LtError

LAUNCHERS = ("SLURM_", "TORCHELASTIC_", "MASTER_", "GROUP_", "ROLE_", "PL_", "LOCAL_", "NODE_", "RANK", "WORLD_SIZE")
"""How the variables begin by which torchrun, SLURM and Lightning tell a process its rank."""


def trained_teacher(teacher: str, configs: list[str], data: dict[str, Any], seed: int, run: Path) -> str:
    """Find the teacher's checkpoint, training it first where a recipe names it.

    A recipe is a configuration, such as ``teacher.yaml``; it is looked for beside the run's own first configuration,
    then in the working directory. It takes that first configuration's place; the others (data, hardware) apply to the
    teacher too, and it sees the run's data and seed. It is trained in a process of its own, under a lock: of the many
    ranks of a run, one trains it and the others wait. Its last epoch teaches, as the best may be chosen on test.

    Args:
        teacher: A checkpoint or a recipe.
        configs: The run's own configuration files.
        data: Its data module, as ``class_path`` and ``init_args``.
        seed: Its seed.
        run: The run's folder.

    Returns:
        Absolute path of the teacher's checkpoint.

    Raises:
        LtError: There is no such file, the recipe fails, or the folder holds a teacher of other data.
    """
    if not teacher.endswith((".yaml", ".yml")):
        read_checkpoint(teacher)
        return str(Path(teacher).resolve())
    recipe = next((p for p in (*(Path(c).parent / teacher for c in configs[:1]), Path(teacher)) if p.is_file()), None)
    if recipe is None:
        raise LtError("the teacher's recipe does not exist", teacher, "name a .yaml or a .ckpt by --model.teacher")
    folder = (run / TEACHER).resolve()
    checkpoint = folder / "last.ckpt"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not is_finished(folder):
            _train([str(recipe), *configs[1:], yaml.safe_dump({"seed_everything": seed, "data": data})], folder)
        elif _images((stored_config(str(checkpoint)) or {"data": data})["data"]) != _images(data):
            raise LtError(
                "this teacher was trained on other data", str(folder), "remove it, or name another run folder"
            )
    return str(checkpoint)


def _train(configs: list[str], folder: Path) -> None:
    print(f"lt: training the teacher first: {configs[0]} -> {folder}", flush=True)
    command = [sys.executable, "-m", "lt_lightning", "fit", *(arg for c in configs for arg in ("--config", c))]
    command += ["--trainer.default_root_dir", str(folder), "--trainer.num_nodes", "1"]
    command += ["--wandb.name", f"{folder.parent.name}-{folder.name}"]
    if (folder / "last.ckpt").is_file():  # an earlier attempt was interrupted
        command += ["--ckpt_path", str(folder / "last.ckpt")]
    env = {name: value for name, value in os.environ.items() if not name.startswith(LAUNCHERS)}
    if subprocess.run(command, env=env, check=False).returncode != 0:
        raise LtError("the teacher could not be trained", configs[0], "mend what it says above")


def _images(data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """What decides which images a set holds, without how they are found, batched and augmented."""
    how = ("batch_size", "eval_batch_size", "num_workers", "root", "augment", "mix")
    return data["class_path"], {k: v for k, v in data.get("init_args", {}).items() if k not in how}
