"""``lt quickstart``: two methods trained, tested and compared in a minute, by the commands that any run uses."""

from pathlib import Path

from lt_lightning.arguments import Arguments
from lt_lightning.commands import run
from lt_lightning.run_folder import is_finished, read_summary

DESCRIPTION = """\
Train cross-entropy and MCSM (a teacher and three students) on the digits that come with the package, test and
compare them, and write a card. It takes a minute or two on two processors, and no network. What was trained there
before is not trained again: remove the folder to begin anew."""
METHODS: dict[str, list[str]] = {"ce": [], "mcsm": ["--model.teacher", "bs.yaml"]}
"""Configurations, with what makes them quicker."""
QUICK = ["--config", "configs/on/quick.yaml"]
QUIET = ["--trainer.accelerator", "cpu", "--trainer.enable_model_summary", "false"]
NEXT = """\
Each run's folder holds its configuration, figures, checkpoints and plots: {folder}/ce, {folder}/mcsm
The table is in {folder}/compare.md, a model card in {folder}/mcsm/card.md

Next:
  lt data check DIR          what is wrong with images of your own, a folder for each class
  lt fit --config configs/mcsm.yaml --config configs/on/own_images.yaml --data.root DIR
  lt fit --help              the options that matter"""


def start(args: list[str]) -> None:
    """Run ``lt quickstart [DIR]``.

    Args:
        args: The command line after ``quickstart``.

    Raises:
        LtError: A command refuses, as where the folder holds something else.
    """
    parser = Arguments(prog="lt quickstart", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path("runs/quickstart"), metavar="DIR", help="where (runs/quickstart)"
    )
    folder: Path = parser.parse_args(args).folder
    for method, flags in METHODS.items():
        of_method = folder / method
        if is_finished(of_method):
            print(f"lt: {of_method} was trained before, and is kept")
        else:
            where = ["--trainer.default_root_dir", str(of_method), "--wandb.offline", "true"]
            _do("fit", "--config", f"configs/{method}.yaml", *QUICK, *flags, *QUIET, *where)
        if "test" not in read_summary(of_method / "summary.json"):
            _do("test", "--ckpt_path", str(of_method / "last.ckpt"), *QUIET)
    _do("card", str(folder / "mcsm"))
    _do("compare", *(str(folder / method) for method in METHODS), "--markdown", str(folder / "compare.md"))
    print(NEXT.format(folder=folder))


def _do(*words: str) -> None:
    """Say a command, and run it."""
    print(f"\n$ lt {' '.join(words)}", flush=True)
    run(list(words))
