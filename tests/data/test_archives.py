"""Archives: good ones unpack as they are; of bad ones nothing is left, inside the folder or out of it."""

import bz2
import gzip
import io
import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from lt_lightning.data import archives
from lt_lightning.data.archives import extract
from lt_lightning.errors import LtError

SUFFIXES = [".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip"]
COMPRESS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
CONTENT = {
    "set/train/a.jpg": bytes(range(256)) * 3,
    "set/train/empty.txt": b"",
    "set/val/ü 漢.json": b"[]",
    f"set/{'long' * 40}.txt": b"a name that needs an extended header",
    "set/large.bin": np.random.default_rng(0).bytes(2**17 + 1),
    "README": b"read me",
}
TIB = 2**40


def member(name: str, content: bytes = b"evil", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def link(name: str, target: Path | str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, b"", type=kind, linkname=str(target))


def special(kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    return member("bad", b"", type=kind, devmajor=1, devminor=3)


def tar_bytes(members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zip_bytes(*names: str, content: bytes = b"evil", **fields: object) -> bytes:
    """A zip whose central directory says of its last member what the fields say."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names:
            file.writestr(zipfile.ZipInfo(name), content, compress_type=zipfile.ZIP_DEFLATED)
        for field, value in fields.items():
            setattr(file.filelist[-1], field, value)
    return buffer.getvalue()


def overlapping_zip() -> bytes:
    """One member lies within the bytes of another, as in the bombs that grow with the square of their size."""
    inner = zip_bytes("bad")
    inner = inner[: inner.index(b"PK\1\2")]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("outer", inner)
        info = zipfile.ZipInfo("bad")
        info.header_offset, info.file_size, info.CRC = 30 + len("outer"), 4, zlib.crc32(b"evil")
        info.compress_type, info.compress_size = zipfile.ZIP_DEFLATED, len(inner) - 30 - len("bad")
        file.filelist.append(info)
    return buffer.getvalue()


@cache
def good(suffix: str) -> bytes:
    return plain(suffix, CONTENT)


def plain(suffix: str, content: dict[str, bytes]) -> bytes:
    if suffix == ".zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
            file.mkdir("set/folder") if hasattr(file, "mkdir") else file.writestr("set/folder/", b"")
            for name, data in content.items():
                file.writestr(name, data)
        return buffer.getvalue()
    entries = [member("./", b"", type=tarfile.DIRTYPE), member("set/folder", b"", type=tarfile.DIRTYPE)]
    entries += [member(f"./{name}", data, mode=0o6777) for name, data in content.items()]
    return COMPRESS[suffix.replace(".tgz", ".gz").replace(".tar", "")](tar_bytes(entries))


@cache
def bomb(suffix: str) -> bytes:
    """65 kB, or 300, that become 64 MiB and a little."""
    zeros = bytes(archives.ALWAYS_ALLOWED + 1)
    return zip_bytes("bad", content=zeros) if suffix == ".zip" else gzip.compress(tar_bytes([member("bad", zeros)]), 1)


HOSTILE: dict[str, tuple[str, str, Callable[[Path], bytes]]] = {  # suffix, the member to be named, archive for a canary
    "dots": (".tar", "../", lambda c: tar_bytes([member("fine"), member(f"../{c.parent.name}/{c.name}")])),
    "dots within": (".tar", "a/../b", lambda c: tar_bytes([member("a/../b")])),
    "dots for Windows": (".tar", ".. /", lambda c: tar_bytes([member(".. /canary")])),
    "absolute": (".tar", "/", lambda c: tar_bytes([member(str(c))])),
    "drive": (".tar", "C:", lambda c: tar_bytes([member("C:canary")])),
    "backslash": (".tar", "canary", lambda c: tar_bytes([member("..\\canary")])),
    "NUL": (".tar", "a.txt", lambda c: tar_bytes([member("x", pax_headers={"path": "a.txt\0.jpg"})])),
    "through a symlink": (".tar", "way", lambda c: tar_bytes([link("way", c.parent), member(f"way/{c.name}")])),
    "symlink within": (".tar", "bad", lambda c: tar_bytes([member("fine"), link("bad", "fine")])),
    "hard link": (".tar", "bad", lambda c: tar_bytes([link("bad", c, tarfile.LNKTYPE), member("bad")])),
    "hard link within": (".tar", "bad", lambda c: tar_bytes([member("fine"), link("bad", "fine", tarfile.LNKTYPE)])),
    "character device": (".tar", "bad", lambda c: tar_bytes([special(tarfile.CHRTYPE)])),
    "block device": (".tar", "bad", lambda c: tar_bytes([special(tarfile.BLKTYPE)])),
    "fifo": (".tar", "bad", lambda c: tar_bytes([special(tarfile.FIFOTYPE)])),
    "sparse": (".tar", "bad", lambda c: tar_bytes([special(tarfile.GNUTYPE_SPARSE)])),
    "unknown kind": (".tar", "bad", lambda c: tar_bytes([special(b"Z")])),
    "twice": (".tar", "bad", lambda c: tar_bytes([member("bad"), member("bad", b"other")])),
    "twice by spelling": (".tar", "bad", lambda c: tar_bytes([member("a/bad"), member("./a//bad", b"other")])),
    "twice but for case": (".tar", "BAD", lambda c: tar_bytes([member("bad"), member("BAD", b"other")])),
    "deep": (".tar", "a/a/", lambda c: tar_bytes([member("a/" * 2000)])),
    "declares a TiB": (
        ".tar",
        "bad",
        lambda c: tar_bytes([member("fine")])[:1024] + member("bad", size=TIB)[0].tobuf(),
    ),
    "gzip bomb": (".tar.gz", "bad", lambda c: bomb(".tar.gz")),
    "steers the terminal": (".tar", "\\x1b", lambda c: tar_bytes([member("../\x1b[2J\n\n\n\nall is well")])),
    "zip: dots": (".zip", "../", lambda c: zip_bytes("fine", f"../{c.parent.name}/{c.name}")),
    "zip: absolute": (".zip", "/", lambda c: zip_bytes(str(c))),
    "zip: drive": (".zip", "C:", lambda c: zip_bytes("C:/canary")),
    "zip: share": (".zip", "//host", lambda c: zip_bytes("//host/share/canary")),
    "zip: backslash": (".zip", "canary", lambda c: zip_bytes("a\\..\\..\\canary")),
    "zip: NUL": (".zip", "a.txt", lambda c: zip_bytes("a.txt~.jpg").replace(b"~", b"\0")),
    "zip: symlink": (".zip", "bad", lambda c: zip_bytes("bad", content=bytes(c), external_attr=stat.S_IFLNK << 16)),
    "zip: twice but for case": (".zip", "BAD", lambda c: zip_bytes("bad", "BAD")),
    "zip: encrypted": (".zip", "bad", lambda c: zip_bytes("bad", flag_bits=1)),
    "zip: another method": (".zip", "bad", lambda c: zip_bytes("bad", compress_type=zipfile.ZIP_BZIP2)),
    "zip: bomb": (".zip", "bad", lambda c: bomb(".zip")),
    "zip: overlap": (".zip", "bad", lambda c: overlapping_zip()),
}


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file beside the folders ``there``, which holds a file and two links, and ``absent``."""
    canary = tmp_path / "outside" / "canary"
    canary.parent.mkdir()
    canary.write_text("alive")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine").write_text("mine")
    (tmp_path / "there" / "out").symlink_to(canary.parent)
    (tmp_path / "there" / "dangling").symlink_to("nothing")
    return canary


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes that lay in each temporary folder when it was removed."""
    sizes, cleanup = [], tempfile.TemporaryDirectory.cleanup

    def count(self: tempfile.TemporaryDirectory[str]) -> None:
        sizes.append(sum(path.stat().st_size for path in Path(self.name).rglob("*") if path.is_file()))
        cleanup(self)

    monkeypatch.setattr(tempfile.TemporaryDirectory, "cleanup", count)
    return sizes


def tree(root: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of all there is, links not followed."""
    found = {}
    for path in root.rglob("*"):
        content = bytes(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[path.relative_to(root).as_posix()] = (path.lstat().st_mode, content)
    return found


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def refused(world: Path, archive: Path, folder: Path, *words: str, **limits: int) -> LtError:
    """Nothing is unpacked, nothing is changed, and three lines hold these words."""
    before = tree(world)
    with pytest.raises(LtError) as caught:
        extract(archive, folder, **limits)
    assert tree(world) == before
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert "".join(lines).isprintable()
    assert all(word in str(caught.value) for word in words), lines
    return caught.value


@pytest.mark.parametrize("folder", ["absent", "there"])
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_is_refused_before_a_byte_is_written(
    case: str, folder: str, canary: Path, tmp_path: Path, written: list[int]
) -> None:
    suffix, name, make = HOSTILE[case]
    archive = tmp_path / f"hostile{suffix}"
    archive.write_bytes(make(canary))
    error = refused(tmp_path, archive, tmp_path / folder, name)
    assert error.where.startswith(f"{archive}: ")
    assert written == []


@pytest.mark.parametrize("case", ["dots", "absolute", "through a symlink"])
def test_the_hostile_archives_are_live(case: str, canary: Path, tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(HOSTILE[case][2](canary))) as tar:
        tar.extractall(tmp_path / "naive", filter="fully_trusted")
    assert canary.read_text() == "evil"


def test_the_overlapping_zip_is_live() -> None:
    with zipfile.ZipFile(io.BytesIO(overlapping_zip())) as file:
        outer, bad = (file.getinfo(name) for name in ("outer", "bad"))
        assert outer.header_offset < bad.header_offset < outer.header_offset + outer.compress_size
        assert file.read("bad") == b"evil"


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("folder", ["absent", "parents/absent/too", "there"])
def test_a_good_archive_unpacks_as_it_is(suffix: str, folder: str, canary: Path, tmp_path: Path) -> None:
    archive, target = tmp_path / f"GOOD{suffix.upper()}", tmp_path / folder
    archive.write_bytes(good(suffix))
    before = tree(tmp_path)
    extract(archive, target)
    assert {name: data for name, data in files(target).items() if name in CONTENT} == CONTENT
    assert (target / "set" / "folder").is_dir()
    after = tree(tmp_path)
    assert {name: after[name] for name in before} == before
    new = {name: mode for name, (mode, _) in after.items() if name not in before}
    assert not [name for name in new if "lt-" in name]
    (tmp_path / "plain").touch()
    (tmp_path / "folder").mkdir()
    usual = {(tmp_path / "plain").stat().st_mode, (tmp_path / "folder").stat().st_mode}
    assert set(new.values()) == usual


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_again_changes_nothing(suffix: str, tmp_path: Path) -> None:
    archive, target = tmp_path / f"good{suffix}", tmp_path / "target"
    archive.write_bytes(good(suffix))
    extract(archive, target)
    first = {path: path.stat().st_ino for path in target.rglob("*")}
    (target / "set" / "train" / "a.jpg").unlink()  # is put back
    extract(archive, target)
    assert {path: path.stat().st_ino for path in target.rglob("*") if path.name != "a.jpg"} == {
        path: inode for path, inode in first.items() if path.name != "a.jpg"
    }
    assert files(target) == CONTENT


@pytest.mark.parametrize(
    "name",
    ["mine", "mine/within", "out", "out/new", "dangling", "dangling/new"],
)
@pytest.mark.parametrize("suffix", [".tar", ".zip"])
def test_what_is_there_is_neither_replaced_nor_gone_through(
    name: str, suffix: str, canary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / f"good{suffix}"
    archive.write_bytes(plain(suffix, {name: b"evil", **{f"fine {i}": b"" for i in range(20)}}))
    moved: list[Path] = []
    monkeypatch.setattr(Path, "rename", lambda path, _: moved.append(path))
    error = refused(tmp_path, archive, tmp_path / "there", "replace")
    assert error.where == str(tmp_path / "there" / name.removesuffix("/within").removesuffix("/new"))
    assert moved == []
    assert canary.read_text() == "alive"


def test_the_folder_itself_may_be_a_link_and_a_member_a_folder_twice(canary: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("there")
    twice = [member("a", b"", type=tarfile.DIRTYPE), member("a/b"), member("a/", b"", type=tarfile.DIRTYPE)]
    archive = tmp_path / "good.tar"
    archive.write_bytes(tar_bytes(twice))
    extract(archive, tmp_path / "link")
    assert (tmp_path / "there" / "a" / "b").read_bytes() == b"evil"


@pytest.mark.parametrize(("folder", "home"), [("absent", "."), ("absent/too", "."), ("there", "there")])
def test_all_is_written_on_the_disk_of_the_folder(
    folder: str, home: str, canary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, made, cleanup = tmp_path / "good.zip", [], tempfile.TemporaryDirectory.cleanup
    archive.write_bytes(good(".zip"))

    def note(self: tempfile.TemporaryDirectory[str]) -> None:
        made.append(Path(self.name).parent)
        cleanup(self)

    monkeypatch.setattr(tempfile.TemporaryDirectory, "cleanup", note)
    extract(archive, tmp_path / folder)
    assert made == [tmp_path / home]


def test_a_folder_that_is_a_file_is_refused(canary: Path, tmp_path: Path) -> None:
    archive = tmp_path / "good.zip"
    archive.write_bytes(good(".zip"))
    refused(tmp_path, archive, canary, "canary")
    refused(tmp_path, archive, canary / "below", "canary")


@pytest.mark.parametrize("suffix", [".tar", ".zip"])
def test_a_member_that_is_a_file_and_a_folder_is_refused(suffix: str, tmp_path: Path) -> None:
    archive = tmp_path / f"bad{suffix}"
    for names in (["a", "a/b"], ["a/b", "a"]):
        archive.write_bytes(plain(suffix, dict.fromkeys(names, b"")))
        refused(tmp_path, archive, tmp_path / "target", "'")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_limits_are_exact(suffix: str, tmp_path: Path) -> None:
    archive = tmp_path / f"good{suffix}"
    archive.write_bytes(good(suffix))
    size, number = sum(map(len, CONTENT.values())), len(CONTENT) + (1 if suffix == ".zip" else 2)
    if suffix != ".zip":
        size = len(good(".tar"))  # of a tar its headers count
    extract(archive, tmp_path / "fits", max_bytes=size, max_files=number)
    assert files(tmp_path / "fits") == CONTENT
    refused(tmp_path, archive, tmp_path / "absent", f"{size - 1:,}", max_bytes=size - 1)
    refused(tmp_path, archive, tmp_path / "absent", f"more than {number - 1}", max_files=number - 1)


def test_the_ratio_is_a_limit_above_64_mib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (archives.MAX_RATIO, archives.ALWAYS_ALLOWED) == (100, 2**26)
    archive, size = tmp_path / "zeros.zip", 2**20
    archive.write_bytes(zip_bytes("zeros", content=bytes(size)))
    ratio = size // archive.stat().st_size  # about 900
    monkeypatch.setattr(archives, "MAX_RATIO", ratio + 1)
    extract(archive, tmp_path / "allowed")
    monkeypatch.setattr(archives, "ALWAYS_ALLOWED", size - 1)
    extract(archive, tmp_path / "still")
    monkeypatch.setattr(archives, "MAX_RATIO", ratio)
    refused(tmp_path, archive, tmp_path / "target", "'zeros'")
    monkeypatch.setattr(archives, "ALWAYS_ALLOWED", size)
    extract(archive, tmp_path / "again")


def test_bombs_outside_members_are_stopped_in_time_and_memory(tmp_path: Path, written: list[int]) -> None:
    long_header = member("fine", b"", pax_headers={"comment": "x" * 2**25})
    cases = {
        "becomes more than": gzip.compress(tar_bytes([member("fine")]), 1) + bomb(".tar.gz"),
        "has a header of": gzip.compress(tar_bytes([long_header]), 1),
    }
    for words, content in cases.items():
        archive = tmp_path / "bomb.tar.gz"
        archive.write_bytes(content)
        tracemalloc.start()
        refused(tmp_path, archive, tmp_path / "target", words, str(archive))
        assert tracemalloc.get_traced_memory()[1] < 2**24
        tracemalloc.stop()
    assert written == []


def test_a_zip_that_lies_about_sizes_writes_no_more_than_it_declares(tmp_path: Path, written: list[int]) -> None:
    content = b"0" * 2**22
    lies = (
        {"file_size": 10},
        {"file_size": 2**23},
        {"compress_size": 10},
        {"file_size": 0},
    )
    for lie in lies:
        archive = tmp_path / "lies.zip"
        archive.write_bytes(zip_bytes("bad", content=content, **lie))
        refused(tmp_path, archive, tmp_path / "target", "lies.zip")
        assert written.pop() <= lie.get("file_size", 2**22)
    assert written == []


@pytest.mark.parametrize(("true", "most"), [(2**22, 5), (3, 3)])
def test_bytes_are_counted_while_they_are_written(
    true: int, most: int, tmp_path: Path, written: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "lies.zip"
    archive.write_bytes(zip_bytes("bad"))
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: io.BytesIO(bytes(true)))
    refused(tmp_path, archive, tmp_path / "target", "'bad'", "4 bytes")
    assert written == [most]


def test_a_full_disk_is_seen_before_a_byte_is_written(
    tmp_path: Path, written: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, size = tmp_path / "good.zip", sum(map(len, CONTENT.values()))
    archive.write_bytes(good(".zip"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(2 * size, size, size - 1))
    refused(tmp_path, archive, tmp_path / "target", f"{size:,}", f"{size - 1:,}", "room")
    assert written == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize(("owner", "method", "call"), [(zipfile.ZipFile, "open", 3), (Path, "rename", 2)])
def test_an_interruption_leaves_nothing(
    owner: type,
    method: str,
    call: int,
    error: type[BaseException],
    canary: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    archive = tmp_path / "good.zip"
    archive.write_bytes(good(".zip"))
    before, calls, original = tree(tmp_path), [], getattr(owner, method)

    def fail(*args: object) -> object:
        calls.append(args)
        if len(calls) == call:
            raise error
        return original(*args)

    monkeypatch.setattr(owner, method, fail)
    with pytest.raises((KeyboardInterrupt, LtError)):
        extract(archive, tmp_path / "there")
    assert len(calls) >= call
    assert tree(tmp_path) == before


def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        for content in (b"", b"<html>404</html>", bytes(100), os.urandom(5000)):
            archive = tmp_path / f"bad{suffix}"
            archive.write_bytes(content)
            refused(tmp_path, archive, tmp_path / "target", str(archive), "fetch it again")
    refused(tmp_path, tmp_path / "absent.tar.gz", tmp_path / "target", "absent.tar.gz", "missing")
    rar = tmp_path / "images.rar"
    rar.write_bytes(b"Rar!")
    refused(tmp_path, rar, tmp_path / "target", "images.rar", ".tar.gz")


def test_only_the_compression_of_its_name_is_undone(tmp_path: Path) -> None:
    for suffix, content in ((".tar", good(".tar.gz")), (".tar.gz", gzip.compress(good(".tar.xz")))):
        archive = tmp_path / f"bad{suffix}"
        archive.write_bytes(content)
        refused(tmp_path, archive, tmp_path / "target", str(archive))


def test_a_chain_of_headers_is_refused(tmp_path: Path) -> None:
    header = tarfile.TarInfo.create_pax_global_header({"comment": "x"})
    archive = tmp_path / "chain.tar.gz"
    archive.write_bytes(gzip.compress(header * 3000 + tar_bytes([member("fine")])))
    refused(tmp_path, archive, tmp_path / "target", "chain.tar.gz")


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".zip"])
def test_damage_is_refused_or_harmless(suffix: str, canary: Path, tmp_path: Path) -> None:
    content = {"a/b.txt": b"hello " * 50, "c.bin": np.random.default_rng(1).bytes(500), "d": b""}
    whole, rng = plain(suffix, content), np.random.default_rng(2)
    archive, target = tmp_path / f"damaged{suffix}", tmp_path / "target"
    outside, refusals = tree(tmp_path / "there") | tree(canary.parent), 0
    cases = [whole[:cut] for cut in rng.integers(len(whole), size=30)]
    for position, bit in zip(rng.integers(len(whole), size=60), rng.integers(8, size=60), strict=True):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << bit
        cases.append(bytes(damaged))
    for number, case in enumerate(cases):
        archive.write_bytes(case)
        try:
            extract(archive, target)
        except LtError:
            refusals += 1
            assert not target.exists()
        else:
            if suffix != ".tar" or number < 30:  # a tar has no checksum of its content
                assert files(target) == content
            shutil.rmtree(target)
    assert refusals > 20
    assert tree(tmp_path / "there") | tree(canary.parent) == outside
