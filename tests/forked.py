"""The command in a fork of this process: a process of its own, which need not import everything again.

It inherits all that this one has, and so what a test has patched. What a new process makes of its environment, or of a
signal in its first second, is for tests that start one.
"""

import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

from lt_lightning.commands import main


class Lt:
    """``lt``, running.

    Args:
        arguments: Its command line.
        said: The file that all it prints is added to.
        first: Done in the process before.
    """

    def __init__(self, arguments: list[str], said: Path, first: Callable[[], object] = lambda: None) -> None:
        self.said = said
        self._status: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            self._be(arguments, first)

    def _be(self, arguments: list[str], first: Callable[[], object]) -> None:
        status = 1
        try:
            file = os.open(self.said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for number in (1, 2):
                os.dup2(file, number)
            sys.stdout, sys.stderr = (os.fdopen(number, "w", 1, closefd=False) for number in (1, 2))
            signal.signal(signal.SIGINT, signal.default_int_handler)
            first()
            main(arguments)
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else status
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)

    def poll(self) -> int | None:
        """Its exit status, negative for a signal that ended it; None while it runs."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status

    def send_signal(self, number: int) -> None:
        """Tell it something."""
        os.kill(self.pid, number)

    def wait(self, timeout: float) -> int:
        """Its exit status, when it has ended.

        Raises:
            AssertionError: It has not within so many seconds; it is killed.
        """
        end = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > end:
                self.send_signal(signal.SIGKILL)
                raise AssertionError(f"it goes on\n{self.said.read_text()}")
            time.sleep(0.01)
        return status


def run(command: list[str], env: dict[str, str]) -> int:
    """In the place of :func:`lt_lightning.signals.run`: the exit status of ``python -m lt_lightning ARGUMENT ...``."""

    def take_environment() -> None:
        os.environ.clear()
        os.environ.update(env)

    return Lt(command[3:], Path(os.devnull), take_environment).wait(300)


def two(arguments: list[str], said: Path) -> None:
    """``lt`` as two processes that know of each other by what torchrun tells them.

    Raises:
        AssertionError: One of them fails, or both take minutes.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        told = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free.getsockname()[1], "TORCHELASTIC_RUN_ID": "two"}
    told |= {"WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "GROUP_RANK": 0}

    def be(rank: int) -> None:
        rank_zero_only.rank = rank  # type: ignore[attr-defined]  # Lightning asked when it was imported
        ranks = {"RANK": rank, "LOCAL_RANK": rank}
        os.environ.update({name: str(value) for name, value in (told | ranks).items()})

    processes = [Lt(arguments, said, partial(be, rank)) for rank in range(2)]
    assert [process.wait(300) for process in processes] == [0, 0], said.read_text()
