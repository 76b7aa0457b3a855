"""A process under the guard: started, signalled, waited for, and gone with everything it began."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

from daprflow.launcher import guard
from daprflow.launcher.guard import FORWARDED, LINUX, PR_SET_CHILD_SUBREAPER, descendants, prctl

START_LOOKS, LOOK_PAUSE = 100, 0.01
"""How often, and how far apart, to look for a command that its guard is about to start."""


class GuardedProcess:
    """A command running under `daprflow.launcher.guard`.

    Args:
        command: program and arguments, found through PATH.
        grace: seconds between asking and killing when this process dies.
        keep: descriptors the command inherits, besides the standard three.
        quiet: take nothing from the terminal.
        output: a descriptor for standard output and standard error; None shares ours.
        folder: where it runs; None is ours.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        grace: float,
        keep: Sequence[int] = (),
        quiet: bool = False,
        output: int | None = None,
        folder: Path | None = None,
    ) -> None:
        reading, self._control = os.pipe()
        arguments = [
            *(sys.executable, "-I", "-S", str(Path(guard.__file__))),
            *(str(reading), str(grace), ",".join(map(str, keep)) or "-", "--", *command),
        ]
        # Blocked until the guard has its handlers: a signal in its first moments is not lost.
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the user's own command
                arguments,
                env=environment,
                pass_fds=(reading, *keep),
                start_new_session=True,
                stdin=subprocess.DEVNULL if quiet else None,
                stdout=output,
                stderr=output,
                cwd=folder,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, previous)
            os.close(reading)
        self._ended: Future[int] = Future()
        self._ended.set_running_or_notify_cancel()
        threading.Thread(target=self._watch, name="daprflow-guard", daemon=True).start()

    @property
    def pid(self) -> int:
        """The guard's process id, which is also the id of the session of everything below."""
        return self._process.pid

    async def command_pid(self) -> int:
        """Return the command's own process id, where the system tells; else the guard's."""
        for _ in range(START_LOOKS):
            if not LINUX or self.status is not None:
                break
            if below := descendants(self.pid):
                return below[0]
            await asyncio.sleep(LOOK_PAUSE)
        return self.pid

    @property
    def status(self) -> int | None:
        """The exit status, 128+n for a signal; None while it runs."""
        return self._ended.result() if self._ended.done() else None

    async def wait(self) -> int:
        """Wait until the command and everything it started is gone; return its exit status."""
        status = await asyncio.wrap_future(self._ended)
        self.release()
        return status

    def signal(self, number: int) -> None:
        """Pass a signal on to the command's process group."""
        self._process.send_signal(number)

    def release(self) -> None:
        """Have the guard ask everything to end, and kill the rest after its grace."""
        if self._control >= 0:
            os.close(self._control)
            self._control = -1

    def kill(self) -> None:
        """Have the guard kill everything now."""
        if self._control >= 0:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._control, b"k")

    async def stop(self, number: int, grace: float) -> int:
        """Send a signal, wait ``grace`` seconds, kill what is left; return the exit status."""
        self.signal(number)
        try:
            async with asyncio.timeout(grace):
                return await self.wait()
        except TimeoutError:
            self.kill()
            return await self.wait()

    def _watch(self) -> None:
        code = self._process.wait()
        self._ended.set_result(code if code >= 0 else 128 - code)


def adopt_orphans() -> None:
    """Become the parent of whatever a killed guard leaves behind (Linux)."""
    if LINUX:
        prctl(PR_SET_CHILD_SUBREAPER, 1)


def end_orphans() -> None:
    """Kill every process below this one: nothing of a run is left when its guards are gone."""
    if not LINUX:
        return
    while left := descendants(os.getpid()):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
