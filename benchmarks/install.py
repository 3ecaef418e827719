"""What an installation takes beyond torch and torchvision, in MB by package: ``python benchmarks/install.py``."""

from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def closure(*names: str) -> dict[str, Distribution]:
    """Packages and all that they need, of those that are installed here."""
    found: dict[str, Distribution] = {}
    waiting = [(name, "") for name in names]
    while waiting:
        name, extra = waiting.pop()
        if not extra and canonicalize_name(name) in found:
            continue
        found[canonicalize_name(name)] = package = distribution(name)
        for requirement in map(Requirement, package.requires or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                waiting += [(requirement.name, e) for e in ("", *requirement.extras)]
    return found


def megabytes(package: Distribution) -> float:
    """Size of a package's files, without what Python compiles when it imports them."""
    paths = (Path(str(package.locate_file(file))) for file in package.files or [])
    return sum(path.stat().st_size for path in paths if path.suffix != ".pyc" and path.is_file()) / 1e6


if __name__ == "__main__":
    torch, ours = closure("torch", "torchvision"), closure("lt-lightning")
    sizes = {name: megabytes(package) for name, package in ours.items() if name not in torch}
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        print(f"{size:8.1f} {name}")
    print(f"{sum(sizes.values()):8.1f} in all, {len(sizes)} packages")
