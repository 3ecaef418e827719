"""``lt data prepare``: what a set needs, whether it is there, and what can be built of it."""

import hashlib
import os
import tempfile
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from rich.console import Console

from lt_lightning import data
from lt_lightning.arguments import Arguments
from lt_lightning.data.archives import extract
from lt_lightning.data.base import Split
from lt_lightning.data.cifar import CIFARLT
from lt_lightning.data.downloads import RemoteFile, download
from lt_lightning.data.inaturalist import INaturalist2018, list_of
from lt_lightning.data.index import ImageIndex
from lt_lightning.data.listed import ListedDataModule
from lt_lightning.errors import LtError

ANNOTATIONS: dict[Split, str] = {"train": "train2018.json", "val": "val2018.json"}


def prepare_data(args: list[str]) -> None:
    """Run ``lt data prepare NAME [--root DIR] [--lists DIR] [--download]``.

    Says what to fetch, from whom, how large, on which terms, and where to put it; checks what is there: hashes and
    counts of lists, and that each image is a file. CIFAR is downloaded, iNaturalist's lists are built of its
    annotations.

    Args:
        args: The words after ``prepare``.

    Raises:
        LtError: An argument is wrong, or a list is another one.
        SystemExit: With 1, if something is missing.
    """
    official: dict[str, type[ListedDataModule | CIFARLT]] = {
        name: cls
        for name, cls in vars(data).items()
        if isinstance(cls, type) and issubclass(cls, (ListedDataModule, CIFARLT))
    }
    parser = Arguments(prog="lt data prepare", description="What a set needs, and whether it is there.")
    parser.add_argument("name", metavar="NAME", help=", ".join(sorted(official)))
    parser.add_argument("--root", type=Path, default=Path("data"), metavar="DIR", help="folder of the images (data)")
    parser.add_argument("--lists", type=Path, metavar="DIR", help="folder of the lists (that of the images)")
    parser.add_argument("--download", action="store_true", help="fetch the lists that are missing, by their hashes")
    options = parser.parse_args(args)
    if options.name not in official:
        nearest = get_close_matches(options.name, official, 1)
        fix = f"did you mean {nearest[0]}?" if nearest else f"name one of {', '.join(sorted(official))}"
        raise LtError(f"no set that has to be prepared is called {options.name}", "lt data prepare", fix)
    chosen = official[options.name]
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"{options.name}: {(chosen.__doc__ or '').splitlines()[0].partition(': ')[2]}")
    if issubclass(chosen, ListedDataModule):
        listed = chosen(root=str(options.root), lists=str(options.lists or options.root))
        _say_sources(listed, console)
        if options.download:
            _download_lists(listed)
        _prepare_listed(listed, console)
    else:
        module = chosen(root=str(options.root))
        module.prepare_data()
        console.print(f"ready: {sum(module.class_counts)} training images, classes {_span(module.class_counts)}")


def _say_sources(module: ListedDataModule, console: Console) -> None:
    console.print(f"terms: {module.terms}")
    for source in module.sources:
        _say(console, *source)
    for listed in module.published.values():
        size = f"{listed.size / 1e6:.1f} MB" if listed.size else "made of the annotations"
        _say(console, f"list {listed.name}", listed.url, size, f"lists/{listed.name}", listed.digests[0])
    console.print(f"root is {module.root}, lists is {module.lists}")


def _say(console: Console, what: str, url: str, size: str, place: str, digest: str) -> None:
    console.print(f"  {what}, {size}\n    from {url}\n    to {place}\n    {digest}")


def _prepare_listed(module: ListedDataModule, console: Console) -> None:
    name = type(module).__name__
    if type(module) is INaturalist2018:
        _build_lists(module, console)
    missing = [listed.name for listed in module.published.values() if not (module.lists / listed.name).is_file()]
    if missing:
        console.print(
            f"missing: {', '.join(missing)} in {module.lists}; fetch them, or add --download, then run this again"
        )
        raise SystemExit(1)
    for split, listed in module.published.items():
        module.parse(split, module.style(module.read(split)))
        known = any(file_digest(module.lists / listed.name, digest) == digest for digest in listed.digests)
        says = "the published file" if known else "the published numbers, in a file whose hash is not known"
        console.print(f"  {listed.name}: {listed.images} images, {says}")
    absent = 0
    for split, index in module.find()[1].items():
        if split in module.published:
            gone = [path for path in map(index.path, range(len(index))) if not (module.root / path).is_file()]
            console.print(f"  {split}: {len(index) - len(gone)} of {len(index)} images are there")
            absent += len(gone)
            for path in gone[:3]:
                console.print(f"    missing: {path}")
    if absent:
        console.print(f"missing: {absent} images; unpack the archives again")
        raise SystemExit(1)
    console.print(
        f"ready: classes {_span(module.class_counts)}; `lt data check {name} --root {module.root}` reads them all"
    )


def _span(counts: list[int]) -> str:
    return f"{len(counts)}, from {max(counts)} to {min(counts)} training images"


def _download_lists(module: ListedDataModule) -> None:
    for listed in module.published.values():
        if listed.size and not (module.lists / listed.name).exists():
            licence = "that of the repository, if it states one"
            download(RemoteFile(listed.url, listed.digests[0], listed.size, licence), module.lists / listed.name)


def _build_lists(module: ListedDataModule, console: Console) -> None:
    """Make the lists that are missing of the official annotations, where those are there."""
    for split, annotations in ANNOTATIONS.items():
        file = module.lists / module.published[split].name
        if file.is_file():
            continue
        with tempfile.TemporaryDirectory() as folder:
            plain, archive = module.root / annotations, module.root / f"{annotations}.tar.gz"
            if not plain.is_file() and archive.is_file():
                extract(archive, Path(folder, "unpacked"))
                plain = Path(folder, "unpacked", annotations)
            if plain.is_file():
                text = list_of(plain)
                ImageIndex.parse(np.frombuffer(text.encode(), np.uint8), str(plain))
                write_whole(file, text)
                console.print(f"  built {file} of {plain.name}")


def write_whole(file: Path, text: str) -> None:
    """Write a file at once: whole or not at all.

    Raises:
        LtError: Its folder cannot be written.
    """
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text)
        part.replace(file)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise LtError(
            f"this file cannot be written ({error.strerror})", str(file), "name a folder by --lists"
        ) from error


def file_digest(file: Path, like: str) -> str:
    """Digest of a file by the algorithm that another digest names: ``sha256:...``, or ``git:...``, a git blob's."""
    algorithm = like.partition(":")[0]
    content = file.read_bytes()
    if algorithm == "git":
        header = b"blob %d\0" % len(content)
        return f"git:{hashlib.sha1(header + content, usedforsecurity=False).hexdigest()}"
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
