"""The words after ``lt``: what each does, and where it lives. What a command needs is imported when it is called."""

import io
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import version
from typing import NamedTuple

from lt_lightning.errors import LtError
from lt_lightning.mistakes import BUG, as_mistake, speaker
from lt_lightning.plugins import import_plugins
from lt_lightning.redaction import redact
from lt_lightning.written_secrets import refuse_in_words

DEBUG = "--debug"
"""The word, anywhere on the command line, that shows the traceback of a user's mistake, too."""
HELP = ("-h", "--help")
NOISE = (  # true, but nothing that a user of this command has to know
    "LeafSpec|does not have many workers|exists and is not empty|smaller than the logging interval"
    "|is not supported by the model summary|your dataloader is not resumable|skip_none|add_instantiator"
    "|instantiate_classes|JsonargparseDeprecationWarning|It is recommended to use .self.log"
    "|in eval mode at the start of training|The dirpath has changed|is already saved during checkpointing"
)


class Command(NamedTuple):
    """A command.

    Attributes:
        module: Where it lives.
        function: What is called with the words that follow it.
        idea: What it does, in a line.
    """

    module: str
    function: str
    idea: str


TRAINER = {
    "fit": "train a model, and its teacher first where it needs one",
    "validate": "measure a checkpoint on the validation images",
    "test": "measure a checkpoint on the test images, or on others: lt test PATH",
    "predict": "what a checkpoint says of images, as a table: lt predict PATH",
}
"""The commands of the trainer, with the idea of each."""
SMALL = {
    "test": Command("lt_lightning.on_images", "test", TRAINER["test"]),
    "predict": Command("lt_lightning.on_images", "predict", TRAINER["predict"]),
    "card": Command("lt_lightning.finished.card", "write_card", "a model card of a finished run"),
    "compare": Command("lt_lightning.finished.compare", "compare_runs", "methods over their seeds, and how sure it is"),
    "export": Command("lt_lightning.export.command", "export_checkpoint", "one file of ONNX, pt2 or safetensors"),
    "data check": Command("lt_lightning.check", "check_data", "what is wrong with a folder or a table of images"),
    "data prepare": Command("lt_lightning.prepare", "prepare_data", "what a known set needs, and whether it is there"),
    "doctor": Command(
        "lt_lightning.doctor.command", "examine", "whether this machine is fit to train, and what to mend"
    ),
    "methods": Command("lt_lightning.methods", "list_methods", "what can be trained: idea, paper, figures"),
    "push": Command("lt_lightning.finished.push", "push_run", "send a run and its card to the Hugging Face hub"),
    "quickstart": Command("lt_lightning.quickstart", "start", "two methods trained and compared, in a minute or two"),
    "reproduce": Command(
        "lt_lightning.finished.reproduce", "reproduce_run", "train a run again, and see if it is the same"
    ),
    "report": Command("lt_lightning.plots.command", "report", "draw a run's charts and report.html again"),
    "seeds": Command("lt_lightning.seeds", "compare_seeds", "bias, variance and diversity over several seeds"),
}
"""The commands that take words of their own, beside keys of a configuration or instead, by their words."""


def help_of_all() -> str:
    """Help of the command, in at most 25 lines."""
    ideas = TRAINER | {words: command.idea for words, command in SMALL.items()}
    return "\n".join(
        [
            "usage: lt COMMAND [ARGUMENT ...] [--KEY VALUE ...]     lt COMMAND --help tells more",
            "",
            "Long-tailed image classification: train, measure and use teachers and ensembles of students.",
            "",
            *(f"  {words:<13} {idea}" for words, idea in ideas.items()),
            "",
            "Begin with:",
            "  lt quickstart                                 all of it, on embedded digits",
            "  lt fit --config configs/mcsm.yaml             a teacher and three students, on embedded digits",
            "  lt test --ckpt_path runs/mcsm/last.ckpt       a checkpoint needs nothing else",
        ]
    )


def run(words: list[str]) -> None:
    """Do what a command line says.

    Args:
        words: The words after ``lt``.

    Raises:
        LtError: There is no such command, or it refuses.
    """
    name = next((name for name in SMALL if words[: len(name.split())] == name.split()), None)
    if name is not None:
        command = SMALL[name]
        getattr(import_module(command.module), command.function)(words[len(name.split()) :])
    elif not words or words[0] in HELP:
        print(help_of_all())
    elif words[0] == "--version":
        print(version("lt-lightning"))
    elif words[0] in TRAINER or words[0].startswith("-"):
        from lt_lightning.cli import LongTailCLI  # which takes seconds

        LongTailCLI(words)
    else:
        _refuse(words)


def _refuse(words: list[str]) -> None:
    """Say what was probably meant; of a word that begins several commands, which these are."""
    group = {name: command for name, command in SMALL.items() if name.split()[0] == words[0] != name}
    if group and all(word in HELP for word in words[1:]):
        print("\n".join(f"lt {name:<13} {command.idea}" for name, command in group.items()))
        return
    got = " ".join(words[: 2 if group else 1])
    nearest = get_close_matches(got, group or [*TRAINER, *SMALL, *(name.split()[0] for name in SMALL)], 1)
    fix = f"did you mean lt {nearest[0]}?" if nearest else "`lt --help` lists what there is"
    raise LtError(f"there is no command {got!r}", "the command line", fix)


def _is_no_tip(record: logging.LogRecord) -> bool:
    return "Tip:" not in str(record.msg)


def main(args: Sequence[str] | None = None) -> None:
    """Run the command; a user's mistake is three lines, after ``--debug`` below its traceback, and exit status 2.

    Args:
        args: The command line without the program's name; ``sys.argv`` by default.

    Raises:
        Exception: A bug; its last line says so.
    """
    warnings.filterwarnings("ignore", message=f".*({NOISE})")
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_is_no_tip)
    if isinstance(sys.stdout, io.TextIOWrapper):  # ± and names of files, on a terminal that knows ASCII alone
        sys.stdout.reconfigure(errors="replace")
    given = list(sys.argv[1:] if args is None else args)
    words = [word for word in given if word != DEBUG]
    try:
        refuse_in_words(words)
        run(import_plugins(words))
    except BrokenPipeError:  # of `lt methods | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("lt: interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        mistake = as_mistake(error)
        if mistake is None:
            error.add_note(f"lt: {speaker()}{BUG}")
            raise
        if DEBUG in given:
            print(redact("".join(traceback.format_exception(error))), file=sys.stderr)
        print(f"lt: error: {speaker()}{mistake}", file=sys.stderr)
        sys.exit(2)
