"""A teacher or first stage given as a recipe is trained first, once, into the folder of the run that needs it."""

import sys
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

from lt_lightning.checkpoints import read_facts, stored_config
from lt_lightning.child import run_lt
from lt_lightning.errors import LtError
from lt_lightning.run_folder import TRAINED_FIRST, is_finished
from lt_lightning.signals import SIGNALS

NESTED = 4
"""Models that may not be trained one for another: none needs so many."""

RECIPES = (".yaml", ".yml")
"""How the names of recipes end."""

OWN = ("batch_size", "augment", "num_views", "view_augment", "mix", "order")
"""What of the data a recipe, or an overlay, decides for its model."""


def trained_first(model: str, configs: list[str], inherited: dict[str, Any], folder: Path) -> str:
    """Find the checkpoint of a teacher or a first stage, training it first where a recipe names it.

    A recipe is a configuration, such as ``teacher.yaml``; it is looked for beside the run's own first configuration,
    then in the working directory. It takes that first configuration's place: the others (benchmark, hardware) apply to
    its model too, flags do not. It has the run's images, seed and hardware; how images are drawn, batched, augmented
    and mixed is its own. It is trained in a process of its own, under a lock: of the many ranks of a run, one trains it
    and the others wait. Its last epoch counts: the best may be chosen on test.

    Args:
        model: A checkpoint or a recipe.
        configs: The run's own configuration files.
        inherited: What the model takes from the run: ``seed_everything``, ``data``, and of the ``trainer`` the
            hardware.
        folder: Where it is trained: the run's ``teacher`` or ``first_stage``, named as the argument that names it.

    Returns:
        Absolute path of its checkpoint.

    Raises:
        LtError: There is no such file, the recipe fails, or the folder holds a model of other data.
    """
    if not model.endswith(RECIPES):
        read_facts(model)
        return str(Path(model).resolve())
    recipe = next((p for p in (*(Path(c).parent / model for c in configs[:1]), Path(model)) if p.is_file()), None)
    if recipe is None:
        fix = f"name a .yaml or a .ckpt by --model.{folder.name}"
        raise LtError(f"the {_called(folder)}'s recipe does not exist", model, fix)
    data = inherited["data"]
    images = {key: value for key, value in data["init_args"].items() if key not in OWN}
    inherited = {**inherited, "data": {**data, "init_args": images}}
    folder = folder.resolve()
    if [part for part in folder.parts[-NESTED:] if part in TRAINED_FIRST] == list(folder.parts[-NESTED:]):
        raise LtError("recipes name one another in a circle", str(recipe), "name a .ckpt in one of them")
    checkpoint = folder / "last.ckpt"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if not is_finished(folder):
            _train([str(recipe), *configs[1:], yaml.safe_dump(inherited)], folder)
        elif _images((stored_config(str(checkpoint)) or inherited)["data"]) != _images(inherited["data"]):
            what = f"this {_called(folder)} was trained on other data"
            raise LtError(what, str(folder), "remove it, or name another run folder")
    return str(checkpoint)


def _train(configs: list[str], folder: Path) -> None:
    print(f"lt: training the {_called(folder)} first: {configs[0]} -> {folder}", flush=True)
    words = ["fit", *(arg for c in configs for arg in ("--config", c))]
    words += ["--trainer.default_root_dir", str(folder), "--trainer.num_nodes", "1"]
    words += ["--wandb.name", f"{folder.parent.name}-{folder.name}"]
    if (folder / "last.ckpt").is_file():  # an earlier attempt was interrupted
        words += ["--ckpt_path", str(folder / "last.ckpt")]
    status = run_lt(words)
    if status - 128 in SIGNALS:
        print(f"lt: stopped while it trained the {_called(folder)}; go on by the same command", file=sys.stderr)
        raise SystemExit(status)
    if status != 0 or not is_finished(folder):
        raise LtError(f"the {_called(folder)} could not be trained", configs[0], "mend what it says above")


def _called(folder: Path) -> str:
    return folder.name.replace("_", " ")


def _images(data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """What decides which images a set holds, without how they are found, drawn, batched, augmented and grouped."""
    how = (*OWN, "eval_batch_size", "num_workers", "root", "many", "few")
    return data["class_path"], {k: v for k, v in data.get("init_args", {}).items() if k not in how}
