"""Mutated files: each is read, or refused by the one error, in bounded time and memory."""

import io
import json
import os
import re
import resource
import shutil
import signal
import time
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from commands import ROOT
from PIL import Image

from lt_lightning.checkpoints import read_checkpoint, stored_config
from lt_lightning.cli import LongTailCLI
from lt_lightning.data.images import open_image
from lt_lightning.data.table import TableLT
from lt_lightning.errors import LtError
from lt_lightning.ranges import check_numbers

SECONDS, MIB = 5, 1024
"""What a case may take of a processor's time, and all of them together of memory."""
NASTY = [
    "null",
    "~",
    "true",
    '""',
    "''",
    "[]",
    "{}",
    "[[]]",
    "{a}",
    "-1",
    "0",
    "1e99",
    ".nan",
    "-.inf",
    "99999999999999999999",
    "0x10",
    "1_0",
    "2020-01-01",
    "*a",
    "&a",
    "!",
    "|",
    ">",
    "-",
    ":",
    "?",
    "#",
    "\\0",
    "é",
    "漢",
    "nan",
    "os.",
    "../..",
    "//",
    "0.1.2",
    "<<",
]
"""Values in the place of others."""


def blow(content: bytes, draw: Random) -> bytes:
    """Change bytes, cut, repeat, insert or move some of them."""
    for _ in range(draw.choice([1, 1, 2, 4])):
        a, b = sorted((draw.randrange(len(content) + 1), draw.randrange(len(content) + 1)))
        if draw.random() < 0.5:  # headers are where damage is interesting
            a, b = min(a, 64), min(b, 64 + b % 64)
        match draw.choice([0, 0, 0, 0, 0, 1, 2, 3, 4, 5]):
            case 0:
                changed = bytearray(content)
                for place in range(a, min(b, a + draw.choice([1, 1, 8]))):
                    changed[place] ^= 1 << draw.randrange(8)
                content = bytes(changed)
            case 1:
                content = content[:b]
            case 2:
                content = content[:a] + content[b:]
            case 3:
                content = content[:b] + content[a:b] + content[b:]
            case 4:
                content = (
                    content[:a] + draw.choice([b"\0", b"\xff" * 4, b"\n", b'"', b"\x7f\xff\xff\xff"]) + content[a:]
                )
            case 5:
                content = content[b:] + content[:b]
        content = content or b"\0"
    return content


def edit(content: bytes, draw: Random) -> bytes:
    """Drop, repeat, indent or move lines, or give them other values."""
    lines = content.decode().splitlines()
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(lines))
        match draw.randrange(6):
            case 0:
                del lines[at]
            case 1:
                lines.insert(draw.randrange(len(lines) + 1), lines[at])
            case 2:
                lines[at] = draw.choice(["", " ", "  ", "\t"]) + lines[at].lstrip(draw.choice(" -"))
            case 3:
                lines[at] = re.sub(r"(:|\[|,) ?[^,:\]}]+", lambda m: f"{m[1]} {draw.choice(NASTY)}", lines[at], count=1)
            case 4:
                values = list(re.finditer(r"[\w./-]+", lines[at]))
                if values:
                    one = draw.choice(values)
                    lines[at] = lines[at][: one.start()] + draw.choice(NASTY) + lines[at][one.end() :]
            case 5:
                return blow("\n".join(lines).encode(), draw)
        lines = lines or [""]
    return "\n".join(lines).encode()


def exchange(content: bytes, draw: Random) -> bytes:
    """Exchange, drop or change files of a zip, or its bytes."""
    if draw.random() < 0.6:
        return blow(content, draw)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = [(info.filename, archive.read(info)) for info in archive.infolist()]
    one, other = draw.sample(range(len(files)), 2)
    match draw.randrange(3):
        case 0:
            files[one], files[other] = (files[one][0], files[other][1]), (files[other][0], files[one][1])
        case 1:
            del files[one]
        case 2:
            files[one] = files[one][0], blow(files[one][1] or b"\0", draw)
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w") as archive:
        for name, data in files:
            archive.writestr(name, data)
    return changed.getvalue()


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


class ParsedCLI(LongTailCLI):
    """The command up to its configuration."""

    def parse_arguments(self, parser: Any, args: Any) -> None:
        self.parse = lambda file: parser.parse_args(["fit", "--config", str(file)])
        self.config = self.parse(args[0])

    def _set_seed(self) -> None: ...

    def instantiate_classes(self) -> None: ...

    def _run_subcommand(self, subcommand: str) -> None: ...


Kind = tuple[list[bytes], Callable[[bytes, Random], bytes], Callable[[bytes], object]]
"""Sound files, how to damage them, and what reads them."""


def configurations(folder: Path) -> Kind:
    shutil.copytree(ROOT / "configs", folder / "configs")
    sound = sorted((folder / "configs").glob("*.yaml"))
    cli = ParsedCLI([str(ROOT / "configs" / "ce.yaml")])

    def read(content: bytes) -> None:
        (folder / "configs" / "bad.yaml").write_bytes(content)
        check_numbers(cli.parse(folder / "configs" / "bad.yaml").fit)

    return [file.read_bytes() for file in sound if b"\nmodel:" in file.read_bytes()], edit, read


def images(folder: Path) -> Kind:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8))
    alpha, grey = image.convert("RGBA"), image.convert("L")
    sound = [encoded(image, kind) for kind in ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "JPEG2000", "PPM")]
    sound += [encoded(alpha, kind) for kind in ("PNG", "TIFF", "WEBP")]
    sound += [encoded(grey.convert("I;16"), "PNG"), encoded(image, "JPEG", progressive=True)]
    sound += [encoded(image, "TIFF", compression=name) for name in ("tiff_lzw", "tiff_adobe_deflate", "jpeg")]
    sound += [encoded(grey, "GIF", save_all=True, append_images=[grey.rotate(90)])]

    def read(content: bytes) -> None:
        (folder / "a").write_bytes(content)
        assert open_image(folder / "a").mode == "RGB"

    return sound, blow, read


def checkpoints(folder: Path) -> Kind:
    config = "model: {class_path: Teacher}\ndata: {class_path: DigitsLT}\ntrainer: {max_epochs: 3, precision: null}\n"
    state = {"a.weight": torch.ones(3, 4), "a.bias": torch.zeros(3, dtype=torch.bfloat16)}
    torch.save({"state_dict": state, "lt_config": config, "epoch": 1, "lt_class_names": ["a", "b"]}, folder / "good")

    def read(content: bytes) -> None:
        (folder / "bad.ckpt").write_bytes(content)
        read_checkpoint(str(folder / "bad.ckpt"))
        stored_config(str(folder / "bad.ckpt"))

    return [(folder / "good").read_bytes()], exchange, read


def tables(folder: Path) -> Kind:
    rows = [
        (f"x/{i}.jpg", ("lynx", "otter", "Ägypten")[i % 3], ("train", "val", "test", "train")[i % 4]) for i in range(24)
    ]
    sound = [
        "\n".join(delimiter.join(row) for row in [("path", "class", "split"), *rows]).encode() for delimiter in ",;\t"
    ]
    sound += [b"\xef\xbb\xbf" + sound[0], sound[0].replace(b"\n", b"\r\n")]
    sound += [b"path,class\n" + b"".join(b'"a, %d.jpg","x ""%d"""\n' % (i, i % 2) for i in range(9))]

    def read(content: bytes) -> None:
        (folder / "t.csv").write_bytes(content)
        assert len(TableLT(str(folder / "t.csv")).class_counts) > 1

    return (
        sound,
        lambda content, draw: (edit if draw.random() < 0.3 and content.isascii() else blow)(content, draw),
        read,
    )


def survive(kind: Kind, seed: int, number: int) -> dict[str, Any]:
    """Read damaged files; what it took, and what came out of it that should not."""
    sound, damage, read = kind
    for content in sound:
        read(content)
    draw, began = Random(seed), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report: dict[str, Any] = {"read": 0, "refused": 0, "seconds": 0.0, "wrong": []}
    for _ in range(number):
        content = damage(draw.choice(sound), draw)
        start = time.process_time()
        try:
            read(content)
            report["read"] += 1
        except LtError as error:
            report["refused"] += 1
            if len(str(error).splitlines()) != 3:
                report["wrong"].append(str(error))
        except Exception:
            report["wrong"].append(f"{content[:300]!r}\n{traceback.format_exc()[-1500:]}")
        report["seconds"] = max(report["seconds"], time.process_time() - start)
    return report | {"mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - began) / 1024}


def in_a_child(run: Callable[[], dict[str, Any]], seconds: int) -> dict[str, Any]:
    """What a function says in a process of its own, which a hang or a crash ends alone."""
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        signal.alarm(seconds)
        try:
            os.write(writer, json.dumps(run()).encode()[:60_000])
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        text = stream.read()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, "it hung, or crashed"
    return json.loads(text)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize(
    ("seed", "share"),
    [(0, 0.5), *(pytest.param(seed, 20, marks=pytest.mark.soak) for seed in (1,))],
    ids=["quick", "soak"],
)
@pytest.mark.parametrize(
    ("make", "number"),
    [(configurations, 100), (images, 100), (checkpoints, 25), (tables, 25)],
    ids=["configurations", "images", "checkpoints", "tables"],
)
def test_a_damaged_file_is_read_or_refused(
    make: Callable[[Path], Kind], number: int, seed: int, share: float, tmp_path: Path
) -> None:
    damaged = int(number * share)
    report = in_a_child(lambda: survive(make(tmp_path), seed, damaged), int(300 * max(share, 1)))
    print(make.__name__, {key: value for key, value in report.items() if key != "wrong"})
    assert not report["wrong"], "\n\n".join(report["wrong"][:5])
    assert report["read"] + report["refused"] == damaged
    assert report["refused"] > damaged / 10
    assert report["seconds"] < SECONDS
    assert report["mib"] < MIB
