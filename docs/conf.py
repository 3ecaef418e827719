"""The site: ``make docs``. Nothing is fetched."""

import importlib
import re
from pathlib import Path
from typing import Any

from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import lt_lightning  # noqa: F401 - it declares torchvision's operators

project = "lt_lightning"
author = "The lt_lightning authors"
copyright = "The lt_lightning authors, Apache-2.0"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "lt_lightning"

myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_execution_show_tb = True
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring, napoleon_numpy_docstring = True, False
napoleon_use_ivar = True
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!lt_lightning).*"),  # what others document; their pages would have to be fetched
]


ROOT = Path(__file__).parents[1]
AT_ROOT = ("security", "changelog", "contributing")
"""Pages whose text lies beside the README, where people look for it."""


def read(app: Sphinx, page: str, source: list[str]) -> None:
    """Take such a page from there, and lead links to it."""
    if page in AT_ROOT:
        source[0] = (ROOT / f"{page.upper()}.md").read_text().replace("](docs/", "](")
    for name in AT_ROOT:
        source[0] = re.sub(rf"\]\((\.\./)?{name.upper()}\.md\)", f"]({name}.md)", source[0])


def public_name(target: str) -> str | None:
    """Where a name of the package is documented: ``lt_lightning.data.base.Batch`` is in ``lt_lightning.data``."""
    module, _, name = target.rpartition(".")
    parent = module.rpartition(".")[0]
    if parent.count(".") < 1:
        return None
    return f"{parent}.{name}" if name in getattr(importlib.import_module(parent), "__all__", ()) else None


def exists(target: str) -> bool:
    """Whether a name of the package can be imported."""
    module, _, name = target.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), name)
    except ImportError:
        return module.count(".") > 0 and exists(module)


def find(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: Any) -> Any:
    """Resolve a reference to a public name by the path of its module, or by the name alone; others stay text."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    name = public_name(target) if target.startswith("lt_lightning.") else None
    objects = env.get_domain("py").objects
    names = [name] if name in objects else [key for key in objects if key.rpartition(".")[2] == target]
    if len(names) != 1:
        return content if target.startswith("lt_lightning.") and exists(target) else None
    domain, place = env.get_domain("py"), node.get("refdoc", "")
    found = domain.resolve_xref(env, place, app.builder, node["reftype"], names[0], node, content)
    return found or domain.resolve_xref(env, place, app.builder, "obj", names[0], node, content)


def setup(app: Sphinx) -> None:
    """Register."""
    app.connect("source-read", read)
    app.connect("missing-reference", find)
