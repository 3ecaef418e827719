"""When one process of several is gone or stuck, all end, and the last lines say which one and why."""

import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lt_lightning.errors import LtError
from lt_lightning.mistakes import introduce

LOOK_EVERY, PATIENCE = 0.2, 10.0
"""Seconds between looks, and those that a process whose work fails waits for another's end to be found the cause."""
SPOKEN = 3.0
"""Seconds that the first process waits for the others to say where they are stuck."""
STUCK = 75
"""Exit status of a process that is stuck: the system's EX_TEMPFAIL, "try again"."""


class Watchdog(Callback):
    """Ends a run of several processes that cannot go on.

    Lightning waits for ever for a process that stands still, and kills the others, without a word, five seconds after
    one has died. Here a thread of each process looks whether batches still come to their end, whether the processes
    that this one started still run, and whether the one that started it does.

    Args:
        timeout: Seconds without the end of a batch after which a process is stuck. Reading the data, saving and the
            first steps of a compiled network must take less.

    Raises:
        ValueError: ``timeout`` is not positive.
    """

    def __init__(self, timeout: float = 1800.0) -> None:
        if not timeout > 0:
            raise ValueError(f"the watchdog's timeout must be positive, got {timeout}")
        self.timeout = timeout
        self._over = threading.Event()
        self._children: list[subprocess.Popen[bytes]] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Begin to look, where there are several processes."""
        if trainer.world_size == 1:
            return
        self._name = f"process {trainer.global_rank} of {trainer.world_size}"
        introduce(self._name)
        self._parent, self._is_first = os.getppid(), trainer.local_rank == 0
        started = getattr(trainer.strategy.launcher, "procs", [])  # by Lightning; torchrun and SLURM start all
        self._children = list(started)
        started.clear()  # so that Lightning's own observer, which kills without a word, has nothing to do
        self._touch()
        threading.Thread(target=self._look, daemon=True, name="watchdog").start()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Look no more."""
        self._over.set()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Look no more, and end the processes that wait for this one, unless all of them stop.

        A collective fails when another process is gone: the thread has the time to say so.
        """
        if isinstance(exception, RuntimeError) and trainer.world_size > 1:
            time.sleep(PATIENCE)
        self._over.set()
        if not isinstance(exception, SystemExit):
            self._kill()

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        """Work goes on."""
        self._touch()

    on_validation_batch_end = on_test_batch_end = on_predict_batch_end = on_train_batch_end

    def _touch(self) -> None:
        self._last = time.monotonic()

    def _look(self) -> None:
        while not self._over.wait(LOOK_EVERY):
            for rank, child in enumerate(self._children, 1):
                if (status := child.poll()) == STUCK:
                    self._end_as_stuck()
                elif status:
                    said = "what it said stands above" if status > 0 else "the system's log may say more"
                    self._end(f"process {rank} {_how(status)}", said, "mend what it says, and go on by --resume RUN", 1)
            if not self._is_first and os.getppid() != self._parent:
                self._end("the first process is gone", self._name, "see what it said, and go on by --resume RUN", 1)
            # the first process waits a little longer, so that the others have said where they are
            if time.monotonic() - self._last > self.timeout + SPOKEN * self._is_first:
                self._end_as_stuck()

    def _end_as_stuck(self) -> None:
        frame = traceback.extract_stack(sys._current_frames()[threading.main_thread().ident or 0])[-1]
        where = f"{self._name} is at {frame.filename}:{frame.lineno} in {frame.name}: {frame.line}"
        fix = "mend what hangs, or raise --watchdog.timeout; go on by --resume RUN"
        self._end(f"no batch has come to its end for {self.timeout:.0f} s", where, fix, STUCK)

    def _end(self, what: str, where: str, fix: str, status: int) -> None:
        print(f"lt: error: {LtError(what, where, fix)}", file=sys.stderr, flush=True)
        self._kill()
        os._exit(status)  # the main thread may be in a collective that nothing ends

    def _kill(self) -> None:
        for child in self._children:
            child.kill()


def _how(status: int) -> str:
    if status == -signal.SIGKILL:
        return "was killed (SIGKILL), as happens when memory runs out"
    if status < 0:
        return f"was ended by signal {-status} ({signal.strsignal(-status)})"
    return f"ended with status {status}"
