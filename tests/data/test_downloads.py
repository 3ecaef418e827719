"""Downloads from a server on this machine: the official file or none, and one request however many ask."""

import hashlib
import multiprocessing
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from lt_lightning.data import downloads
from lt_lightning.data.downloads import RemoteFile, digest, download
from lt_lightning.errors import LtError

CONTENT = np.random.default_rng(0).bytes(3 * 2**20 + 5)
MD5, SHA256 = f"md5:{hashlib.md5(CONTENT).hexdigest()}", f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


class Handler(BaseHTTPRequestHandler):
    """Serves the content, or what the path asks to be wrong with it."""

    asked: list[str]
    sent: list[int]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/ok")
            self.end_headers()
            return
        if self.path == "/absent":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path == "/endless":
            self.end_headers()
            self.sent.append(0)
            while self.sent[-1] < 2**30:  # until the other side hangs up
                self.sent[-1] += self.wfile.write(bytes(2**20))
            return
        if self.path == "/silent":
            time.sleep(0.5)
        if self.path == "/cut":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"1000\r\nonly this")
            return
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        time.sleep(0.1)  # the others come meanwhile
        body = {"/short": CONTENT[:-7], "/wrong": CONTENT[:-1] + b"\0"}.get(self.path, CONTENT)
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:  # the other side hung up
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Handler]]:
    """The handler, with the requests and what was sent, and its address as ``url``."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = type("Fresh", (Handler,), {"asked": [], "sent": []})
    with Server(("127.0.0.1", 0), handler) as server:
        handler.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield handler
        server.shutdown()
        thread.join()


def remote(server: type[Handler], path: str, digest: str = SHA256) -> RemoteFile:
    return RemoteFile(f"{server.url}/{path}", digest, len(CONTENT), "CC0")


def left(folder: Path) -> set[str]:
    """All there is but empty locks."""
    return {p.name for p in folder.rglob("*") if not (p.name.endswith(".lock") and p.stat().st_size == 0)}


def refused(remote: RemoteFile, file: Path, *words: str) -> None:
    with pytest.raises(LtError) as caught:
        download(remote, file)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert all(word in str(caught.value) for word in words), lines
    assert remote.url in lines[2]
    assert str(file) in lines[2]


@pytest.mark.parametrize("path", ["ok", "moved"])
@pytest.mark.parametrize("official", [MD5, SHA256], ids=["md5", "sha256"])
def test_the_official_file_comes(
    path: str, official: str, server: type[Handler], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new" / "folder" / "set.tar"
    assert download(remote(server, path, official), file) == file
    assert file.read_bytes() == CONTENT
    assert left(file.parent) == {"set.tar"}
    (file.parent / "plain").touch()
    assert file.stat().st_mode == (file.parent / "plain").stat().st_mode
    said = capsys.readouterr().out
    assert len(said.splitlines()) == 1
    assert all(word in said for word in (f"{server.url}/{path}", f"{len(CONTENT):,} bytes", "CC0", str(file)))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("wrong", SHA256[7:]),
        ("short", f"{len(CONTENT) - 7:,}"),
        ("endless", "more than"),
        ("cut", "IncompleteRead"),
        ("silent", "timed out"),
        ("absent", "404"),
    ],
    ids=["wrong", "short", "endless", "cut", "silent", "absent"],
)
def test_what_is_not_the_official_file_is_not_kept(
    path: str, words: str, server: type[Handler], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "PATIENCE", 0.25)
    refused(remote(server, path), tmp_path / "set.tar", words, f"where: {server.url}/{path}")
    assert left(tmp_path) == set()
    assert server.asked == [f"/{path}"]


def test_a_file_that_is_too_long_is_not_read_to_its_end(server: type[Handler], tmp_path: Path) -> None:
    refused(remote(server, "endless"), tmp_path / "set.tar")
    assert server.sent[0] < 2**26  # what the system's buffers take


def test_no_more_is_written_than_one_byte_too_many(
    server: type[Handler], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, unlink = [], Path.unlink

    def count(path: Path, missing_ok: bool = False) -> None:
        sizes.append(path.stat().st_size)
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", count)
    refused(remote(server, "endless"), tmp_path / "set.tar")
    assert sizes == [len(CONTENT) + 1]


def test_no_network(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/set.tar"
        refused(RemoteFile(url, MD5, 1, "CC0"), tmp_path / "set.tar", "refused", f"where: {url}")
    assert left(tmp_path) == set()


def test_an_interruption_leaves_nothing_and_another_attempt_succeeds(
    server: type[Handler], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            download(remote(server, "ok"), tmp_path / "set.tar")
    assert left(tmp_path) == set()
    (tmp_path / ".set.tar.part").write_bytes(bytes(2**23))  # of a process that was killed
    download(remote(server, "ok"), tmp_path / "set.tar")
    assert left(tmp_path) == {"set.tar"}
    assert (tmp_path / "set.tar").read_bytes() == CONTENT


def test_a_file_in_place_needs_neither_network_nor_lock(
    server: type[Handler], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "set.tar"
    file.write_bytes(CONTENT)
    for official in (MD5, SHA256):
        assert download(remote(server, "ok", official), file) == file
    assert server.asked == []
    assert capsys.readouterr().out == ""
    assert [p.name for p in tmp_path.iterdir()] == ["set.tar"]  # it may be on a disk that cannot be written


@pytest.mark.parametrize(
    "content",
    [b"", CONTENT[:-1], CONTENT[:-1] + b"\0", CONTENT + b"\0"],
    ids=["empty", "short", "wrong", "long"],
)
def test_another_file_in_its_place_is_named_and_kept(content: bytes, server: type[Handler], tmp_path: Path) -> None:
    file = tmp_path / "set.tar"
    file.write_bytes(content)
    refused(remote(server, "ok", MD5), file, f"where: {file}", MD5[4:])
    assert file.read_bytes() == content
    assert server.asked == []


def test_a_full_disk_is_seen_before_anything_is_asked_for(
    server: type[Handler], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 6, 4))
    refused(remote(server, "ok"), tmp_path / "set.tar", f"{len(CONTENT):,}", "4 are free")
    assert server.asked == []


def test_a_folder_that_cannot_be_made_is_said(server: type[Handler], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(remote(server, "ok"), tmp_path / "file" / "set.tar", "set.tar")


def by_threads(call: Callable[[], object]) -> None:
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(call) for _ in range(4)]:
            done.result()


def by_processes(call: Callable[[], object]) -> None:
    processes = [multiprocessing.get_context("fork").Process(target=call) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
        assert process.exitcode == 0


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("run", [by_threads, by_processes])
def test_of_many_at_once_one_fetches(
    run: Callable[[Callable[[], object]], None], server: type[Handler], tmp_path: Path
) -> None:
    file = tmp_path / "set.tar"
    run(lambda: download(remote(server, "ok"), file))
    assert server.asked == ["/ok"]
    assert file.read_bytes() == CONTENT
    assert left(tmp_path) == {"set.tar"}


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://host/set.tar", "/etc/hostname", "data:,x"])
def test_only_https_and_http(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="https"):
        download(RemoteFile(url, MD5, 1, "CC0"), tmp_path / "set.tar")


def test_digest_of_known_content(tmp_path: Path) -> None:
    file = tmp_path / "abc"
    file.write_bytes(b"abc")
    assert digest(file, "md5") == "900150983cd24fb0d6963f7d28e17f72"
    assert digest(file, "sha256") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
