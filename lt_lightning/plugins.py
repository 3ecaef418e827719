"""``--plugins FILE.py``: classes of the user's own, which configurations may name from then on.

A plugin is code, so only the command line brings it: neither a configuration nor a checkpoint can.
"""

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path

from jsonargparse import set_parsing_settings

from lt_lightning.errors import LtError

FLAG = "--plugins"
IMPORTED: dict[str, Path] = {}
"""The plugins of the command that runs: files by the names of their modules."""


def import_plugins(words: list[str]) -> list[str]:
    """Import the plugins that a command line names, each by its own ``--plugins FILE.py``.

    Those of an earlier command in this process are trusted no more.

    Args:
        words: The command line.

    Returns:
        The command line without them.

    Raises:
        LtError: A file is missing, is no module, would hide an installed one, or raises an error.
    """
    set_parsing_settings(import_path_denylist=list(IMPORTED))
    IMPORTED.clear()
    rest: list[str] = []
    coming = iter(words)
    for word in coming:
        flag, equals, value = word.partition("=")
        if flag == FLAG:
            _import(Path(value if equals else next(coming, "")).absolute())
        else:
            rest.append(word)
    return rest


def plugin_flags() -> list[str]:
    """The flags by which another process of this command imports the same plugins."""
    return [word for file in IMPORTED.values() for word in (FLAG, str(file))]


def _import(file: Path) -> None:
    name = file.stem
    if file.suffix != ".py" or not file.is_file() or not name.isidentifier():
        raise LtError("expected a Python file", f"{FLAG} {file}", f"name one, as in {FLAG} my_losses.py")
    importlib.invalidate_caches()  # the file may be younger than what Python remembers of its folder
    sys.path.append(str(file.parent))  # last, so that it hides nothing
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None or Path(found.origin).resolve() != file.resolve():
        raise LtError(f"a module called {name} is installed already", str(file), "give your file another name")
    try:
        importlib.import_module(name)
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        line = lines[-1] if lines else getattr(error, "lineno", 1)
        raise LtError(f"{type(error).__name__}: {error}", f"{file}, line {line}", "mend this file") from error
    IMPORTED[name] = file
    set_parsing_settings(import_path_allowlist=[name])
