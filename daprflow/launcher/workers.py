"""Several processes that serve one app on one listening socket, and what looks after them."""

import contextlib
import logging
import os
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from daprflow.launcher.exits import Exit
from daprflow.launcher.report import AppServing, decode

logger = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
MORE = 2.0
"""Seconds beyond the grace period after which a worker that has not ended is killed."""
BRIEF = 1.0
"""Seconds that a worker lives at least; after a shorter life the next one waits as long."""
CONCURRENCY = "WEB_CONCURRENCY"
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


@dataclass(slots=True)
class _Worker:
    """One process; ``reports`` is where it says that it serves."""

    reports: int
    started: float
    said: bytes = b""

    def serves(self) -> bool:
        """Whether it has said so."""
        with contextlib.suppress(BlockingIOError):
            self.said += os.read(self.reports, 65536)
        lines = self.said.splitlines()
        return bool(lines) and isinstance(decode(lines[0]), AppServing)


class Workers:
    """Runs so many processes that each do the same, and replaces those that end.

    Args:
        count: how many.
        serve: what each does; given a file descriptor to report to once it serves, it returns
            an exit status.
        grace: seconds that a worker gets after a stop signal.
    """

    def __init__(self, count: int, serve: Callable[[int], int], grace: float) -> None:
        self._count = count
        self._serve = serve
        self._grace = grace
        self._workers: dict[int, _Worker] = {}
        self._code: int = Exit.OK
        self._stopping = False
        self._life, self._lifeline = os.pipe()

    def run(self) -> int:
        """Run until a signal ends it, or until a worker cannot serve; return the exit status."""
        with _signals(self._on_signal), _metrics_folder() as folder:
            os.environ[CONCURRENCY] = str(self._count)
            first = self._start()
            select.select([first.reports], [], [])  # what is wrong with the app is told once
            while first.serves() and not self._stopping and len(self._workers) < self._count:
                self._start()
            while self._workers:
                pid, status = os.wait()
                _forget(folder, pid)
                self._ended(pid, os.waitstatus_to_exitcode(status))
        return self._code

    def _start(self) -> _Worker:
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            self._work(writing)
        os.close(writing)
        os.set_blocking(reading, False)
        worker = self._workers[pid] = _Worker(reading, time.monotonic())
        return worker

    def _work(self, writing: int) -> None:
        """Be a worker; does not return."""
        code: int = Exit.FAILED
        try:
            for number in (*STOP_SIGNALS, signal.SIGALRM):
                signal.signal(number, signal.SIG_DFL)
            os.close(self._lifeline)
            threading.Thread(target=_end_with, args=(self._life,), daemon=True).start()
            code = self._serve(writing)
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _ended(self, pid: int, code: int) -> None:
        worker = self._workers.pop(pid, None)
        if worker is None:
            return
        served = worker.serves()
        os.close(worker.reports)
        if self._stopping:
            return
        if not served:
            self._code = code if code > 0 else Exit.FAILED
            self._stop()
            return
        logger.error("worker process %d ended with status %d; another one begins", pid, code)
        if time.monotonic() - worker.started < BRIEF:
            time.sleep(BRIEF)
        if not self._stopping:  # a signal may have come meanwhile
            self._start()

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGALRM or (number == signal.SIGINT and self._stopping):
            self._send(signal.SIGKILL)
            return
        self._stop()

    def _stop(self) -> None:
        if self._stopping:
            return
        self._stopping = True
        self._send(signal.SIGTERM)
        signal.setitimer(signal.ITIMER_REAL, self._grace + MORE, 0.5)

    def _send(self, number: signal.Signals) -> None:
        for pid in list(self._workers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _end_with(life: int) -> None:
    """Stop this process when the one that looks after it is gone, however it ended."""
    with contextlib.suppress(OSError):
        os.read(life, 1)
    os.kill(os.getpid(), signal.SIGTERM)


@contextlib.contextmanager
def _signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {each: signal.signal(each, handler) for each in (*STOP_SIGNALS, signal.SIGALRM)}
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, old in before.items():
            signal.signal(number, old)


@contextlib.contextmanager
def _metrics_folder() -> Iterator[Path]:
    """Give all workers a folder for the values of their metrics, new at each start.

    prometheus-client wants it named before it is imported. One that the author names is kept.
    """
    given = os.environ.get(METRICS_FOLDER)
    if given:
        Path(given).mkdir(parents=True, exist_ok=True)
        yield Path(given)
        return
    folder = os.environ[METRICS_FOLDER] = tempfile.mkdtemp(prefix="daprflow-metrics-")
    try:
        yield Path(folder)
    finally:
        os.environ.pop(METRICS_FOLDER, None)
        shutil.rmtree(folder, ignore_errors=True)


def _forget(folder: Path, pid: int) -> None:
    """Leave the gauges of a process that has ended out of the sums."""
    for file in folder.glob(f"gauge_live*_{pid}.db"):
        file.unlink(missing_ok=True)
