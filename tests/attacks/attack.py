"""What every attack tries, and how it is seen that it failed."""

import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

PLANTED = "planted_module"
"""A module in the working directory that leaves a trace when it is imported."""


class Canary:
    """What must never happen.

    Attributes:
        file: A file that a payload would write.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "canary"

    @property
    def shell(self) -> str:
        """A shell command that leaves the trace."""
        return f"touch {self.file}"

    @property
    def sings(self) -> bool:
        """Whether anything of an attacker's has run."""
        return self.file.exists() or PLANTED in sys.modules


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canary]:
    """An empty working directory, from which modules are imported, with the planted one; it is checked at the end."""
    where = tmp_path / "cwd"
    where.mkdir()
    canary = Canary(tmp_path)
    trace = f"from pathlib import Path\nPath({str(canary.file)!r}).touch()\n"
    classes = "from lt_lightning.data import DigitsLT\nfrom lt_lightning.modules import Teacher\n"
    classes += "class Data(DigitsLT): pass\nclass Model(Teacher): pass\ndef call(*args, **kwargs): return None\n"
    (where / f"{PLANTED}.py").write_text(trace + classes)
    monkeypatch.chdir(where)
    monkeypatch.syspath_prepend(where)
    yield canary
    assert not canary.sings


@pytest.fixture
def web() -> Iterator[tuple[str, list[str]]]:
    """Address of a server on this machine, and what it is asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.command} {self.path}")
            self.send_response(200)
            self.end_headers()

        do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()
