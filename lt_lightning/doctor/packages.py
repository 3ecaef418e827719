"""Whether the packages that are installed are those that this one asks for."""

import importlib.metadata
import sys
from collections.abc import Iterator

from packaging.requirements import Requirement  # lightning asks for it, too
from packaging.specifiers import SpecifierSet

from lt_lightning.doctor.finding import Finding, error, ok, warning
from lt_lightning.environment import PACKAGE

FOR_DEVELOPERS = ("dev", "pinned", "docs")
"""Extras that a user does not need."""


def check_python() -> Finding:
    """The version of Python."""
    bounds = importlib.metadata.metadata(PACKAGE)["Requires-Python"]
    version = ".".join(map(str, sys.version_info[:3]))
    if SpecifierSet(bounds).contains(version):
        return ok("python", version)
    return error("python", f"{version}, expected {bounds}", f"make an environment of Python {bounds}")


def check_requirements() -> Iterator[Finding]:
    """Each package that this one needs."""
    for requirement in _requirements():
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield check_requirement(requirement)


def check_requirement(requirement: Requirement) -> Finding:
    """One package: whether it is there, and within its bounds."""
    fix = f"pip install '{requirement.name}{requirement.specifier}'"
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return error(requirement.name, "not installed", fix)
    if not requirement.specifier.contains(version, prereleases=True):
        return error(requirement.name, f"{version}, expected {requirement.specifier}", fix)
    return ok(requirement.name, version)


def check_extras() -> Iterator[Finding]:
    """Extras, each with the packages of it that are there; to lack one is well."""
    metadata = importlib.metadata.metadata(PACKAGE)
    for extra in metadata.get_all("Provides-Extra") or []:
        if extra in FOR_DEVELOPERS:
            continue
        of_extra = [r for r in _requirements() if r.marker is not None and r.marker.evaluate({"extra": extra})]
        of_extra = [r for r in of_extra if not r.marker or not r.marker.evaluate({"extra": ""})]
        found = [check_requirement(requirement) for requirement in of_extra]
        absent = [finding.what for finding in found if finding.found == "not installed"]
        wrong = [f"{finding.what} {finding.found}" for finding in found if finding.state == "error"]
        what, install = f"extra [{extra}]", f"pip install '{PACKAGE}[{extra}]'"
        if not absent and wrong:
            yield warning(what, "; ".join(wrong), install)
        else:
            yield ok(what, f"not installed: {install}" if absent else ", ".join(f"{f.what} {f.found}" for f in found))


def check_torchvision() -> Finding:
    """Whether torchvision was made for the torch that is there, and whether its compiled operators load."""
    what = "torchvision for torch"
    try:
        vision = importlib.metadata.requires("torchvision") or []
        torch = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return error(what, "not both are installed", f"pip install {PACKAGE}")
    wanted = next(r for r in map(Requirement, vision) if r.name == "torch")
    if not wanted.specifier.contains(torch, prereleases=True):
        fix = "install the two together, of one index: pip install --upgrade torch torchvision"
        return error(what, f"torchvision asks for torch{wanted.specifier}, torch is {torch}", fix)
    from torchvision.extension import _has_ops  # imports torch, which takes seconds

    if not _has_ops():
        return ok(what, f"they go together; compiled operators do not load beside {torch}, and are not needed")
    return ok(what, "they go together, and compiled operators load")


def _requirements() -> list[Requirement]:
    return [Requirement(line) for line in importlib.metadata.requires(PACKAGE) or []]
