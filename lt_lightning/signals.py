"""Being told to stop: by a scheduler, or by Ctrl-C."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = signal.SIGTERM, signal.SIGINT, signal.SIGUSR1
"""What schedulers and terminals send."""
AGAIN = 1.0
"""Seconds after which a signal is another one: schedulers send one to a process and to those that it started."""


class StopRequest:
    """Remembers that a process was told to stop; told again, a second later or more, it stops at once.

    Attributes:
        signum: The signal that told it; None as long as none did.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._before: dict[int, Any] = {}
        self._process, self._since = 0, 0.0

    @property
    def exit_status(self) -> int:
        """Of a process that a signal ends, as shells have it: 128 and its number."""
        return 128 + (self.signum or signal.SIGTERM)

    def listen(self) -> None:
        """Take the place of the signals' handlers."""
        self._process = os.getpid()
        if threading.current_thread() is threading.main_thread():  # only there can they be set
            self._before = {number: signal.signal(number, self._receive) for number in SIGNALS}

    def release(self) -> None:
        """Give the signals back to who had them."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a loading process, which inherits handlers, ends with its parent
            if signum == signal.SIGTERM:
                os._exit(128 + signum)
        elif self.signum is None:
            self.signum, self._since = signum, time.monotonic()
            print(f"lt: {signal.Signals(signum).name}: stopping after this step", file=sys.stderr, flush=True)
        elif time.monotonic() - self._since > AGAIN:
            os._exit(128 + signum)  # checkpoints are whole at any moment


def run(command: list[str], env: dict[str, str]) -> int:
    """Run a command, pass on to it what tells this process to stop, and wait for it.

    Returns:
        Its exit status.
    """
    child = subprocess.Popen(command, env=env, process_group=0)  # a group of its own: a terminal tells both otherwise

    def pass_on(signum: int, frame: FrameType | None) -> None:
        child.send_signal(signum)

    with told_to(pass_on):
        return child.wait()


@contextmanager
def told_to(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Within the block, let a function receive what tells this process to stop."""
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():  # only there can handlers be set
        before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def end_as_told(signum: int, frame: FrameType | None) -> None:
    """Handler of a process that has nothing to save.

    Raises:
        SystemExit: Always, with 128 and the signal's number.
    """
    raise SystemExit(128 + signum)
