"""``lt push``: a run's checkpoints, figures and card to the Hugging Face hub."""

import re
from importlib import util
from pathlib import Path

from rich.console import Console

from lt_lightning.arguments import Arguments
from lt_lightning.errors import LtError
from lt_lightning.finished.card import card
from lt_lightning.finished.run import Run, read_run
from lt_lightning.redaction import redact
from lt_lightning.written_secrets import refuse_in_text

DESCRIPTION = """\
Send a run to a model repository of the Hugging Face hub: its card as README.md, best.ckpt and last.ckpt, configuration,
figures, and what it was made with. The repository is made, and private, if it is not there. Needs
`pip install 'lt-lightning[hub]'` and a token of yours (`hf auth login`, or HF_TOKEN); a dry run needs neither."""
CHECKPOINTS = ("best.ckpt", "last.ckpt")
TEXTS = ("config.yaml", "summary.json", "per_class.csv", "env.json")
REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def push_run(args: list[str]) -> None:
    """Run ``lt push RUN --repo OWNER/NAME [--dry_run] [--public] [--license ID]``.

    Args:
        args: The command line after ``push``.

    Raises:
        LtError: The run is not finished, a file holds a secret, there is no token, or the hub refuses.
    """
    parser = Arguments(prog="lt push", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--repo", required=True, metavar="OWNER/NAME", help="the repository")
    parser.add_argument("--dry_run", action="store_true", help="list what would be sent, and send nothing")
    parser.add_argument("--public", action="store_true", help="make a repository that all can see, if there is none")
    parser.add_argument("--license", metavar="ID", help="licence of the weights, such as apache-2.0; yours to choose")
    options = parser.parse_args(args)
    if not REPOSITORY.fullmatch(options.repo):
        raise LtError(f"expected OWNER/NAME, got {options.repo!r}", "--repo", "as in --repo grace/flowers")
    run = read_run(options.run)
    files = files_of(run)
    text = card(run, options.license)
    refuse_secrets(files, text)
    sizes = {"README.md": len(text.encode())} | {file.name: file.stat().st_size for file in files}
    console = Console(highlight=False)
    for name, size in sizes.items():
        console.print(f"{size / 1e6:12,.3f} MB  {name}", markup=False)
    console.print(f"{sum(sizes.values()) / 1e6:12,.3f} MB  in all, to {options.repo}", markup=False)
    console.print("configuration and checkpoints name the folders that the run was trained with", soft_wrap=True)
    if not options.dry_run:
        console.print(f"sent: {send(options.repo, files, text, private=not options.public)}", markup=False)


def files_of(run: Run) -> list[Path]:
    """What of a run is sent, beside its card.

    Raises:
        LtError: It has no checkpoint.
    """
    files = [run.folder / name for name in (*CHECKPOINTS, *TEXTS)]
    if not any(file.is_file() for file in files[: len(CHECKPOINTS)]):
        raise LtError("this run has no checkpoint", str(run.folder), "train it (`lt fit`), then push it")
    return [file for file in files if file.is_file()]


def refuse_secrets(files: list[Path], text: str) -> None:
    """Look for secrets in all texts, and in the configurations that checkpoints carry.

    Raises:
        LtError: There is one.
    """
    from lt_lightning.checkpoints import stored_config  # imports torch, which takes seconds

    refuse_in_text(text, "the card")
    for file in files:
        if file.name in TEXTS:
            refuse_in_text(file.read_text(encoding="utf-8", errors="replace"), str(file))
        else:
            stored_config(str(file))


def send(repository: str, files: list[Path], text: str, private: bool) -> str:
    """Make a commit of all files, in a repository that is made if it is not there.

    Returns:
        The address of the commit.

    Raises:
        LtError: The package or a token is missing, or the hub refuses.
    """
    if util.find_spec("huggingface_hub") is None:
        raise LtError("huggingface_hub is not installed", "lt push", "pip install 'lt-lightning[hub]'")
    from huggingface_hub import CommitOperationAdd, HfApi, get_token

    if get_token() is None:
        raise LtError("there is no token for the hub", "lt push", "log in by `hf auth login`, or set HF_TOKEN")
    sent = [("README.md", text.encode()), *((file.name, str(file)) for file in files)]
    operations = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=content) for name, content in sent]
    try:
        api = HfApi()
        api.create_repo(repository, private=private, exist_ok=True)
        commit = api.create_commit(repository, operations, commit_message="A run of lt_lightning")
    except Exception as error:  # whatever the hub, its client or the network says
        what = f"the hub refuses ({type(error).__name__}: {error})"[:300]
        raise LtError(redact(what), repository, "see that it is yours, and that the token may write") from error
    return str(commit.commit_url)
