"""The guard: a tiny process between the supervisor and the app that leaves no process behind.

Run as ``python -S -E -s guard.py CONTROL GRACE KEEP -- COMMAND…`` in a session of its own, with the
standard library only. ``CONTROL`` is the reading end of a pipe from the supervisor. One byte ``k``
there kills everything at once; end of file, which also comes when the supervisor is killed, ends
everything within ``GRACE`` seconds. ``KEEP`` lists descriptors for the app ("3,5", or "-").
Signals are passed on to the app's process group. The exit status is the app's (128+n for a signal,
127 and 126 where the command is missing or cannot be run).

On Linux the guard is a subreaper: whatever the app starts and abandons becomes its child, so it
knows every process to end. Elsewhere it ends the app's process group.
"""

import contextlib
import ctypes
import errno
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
NOT_FOUND, NOT_EXECUTABLE = 127, 126
LEFTOVER_GRACE = 1.0
"""Seconds for what an app that ended has left behind: all of it is gone within two."""
FORWARDED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
LINUX = sys.platform.startswith("linux")


def main(arguments: Sequence[str]) -> int:
    """Run the command and return the status to exit with."""
    control, grace, keep, _, *command = arguments
    os.set_inheritable(int(control), False)  # noqa: FBT003 - takes no keyword
    guard = Guard(int(control), float(grace))
    if LINUX:
        prctl(PR_SET_CHILD_SUBREAPER, 1)
    guard.listen()
    descriptors = [int(number) for number in keep.split(",")] if keep != "-" else []
    try:
        guard.start(command)
    except OSError as error:
        sys.stderr.write(f"daprflow: cannot run '{command[0]}': {error.strerror}\n")
        return NOT_FOUND if error.errno == errno.ENOENT else NOT_EXECUTABLE
    for number in descriptors:
        os.close(number)
    return guard.watch()


class Guard:
    """Watches one app and everything it starts."""

    def __init__(self, control: int, grace: float) -> None:
        self.control = control
        self.watched = [control]
        self.grace = grace
        self.app = 0
        self.status: int | None = None
        self.wakeup = -1

    def listen(self) -> None:
        """Turn signals into bytes on a pipe, so that one ``select`` sees everything."""
        self.wakeup, writing = os.pipe()
        self.watched.append(self.wakeup)
        for descriptor in (self.wakeup, writing):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        for number in (*FORWARDED, signal.SIGCHLD):
            signal.signal(number, _noted)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)

    def start(self, command: Sequence[str]) -> None:
        """Start the app in a process group of its own; raises OSError when that is impossible."""
        reading, writing = os.pipe()
        self.app = os.fork()
        if self.app == 0:
            _become(command, writing)
        os.close(writing)
        failure = os.read(reading, 16)
        os.close(reading)
        if failure:
            os.waitpid(self.app, 0)
            number = int(failure)
            raise OSError(number, os.strerror(number))

    def watch(self) -> int:
        """Wait for the app's end or the supervisor's wish; return the app's status."""
        while self.status is None:
            ready, _, _ = select.select(self.watched, [], [])
            if self.wakeup in ready:
                self._take_signals()
            if self.control in ready:
                self._end(0.0 if self._told_to_kill() else self.grace)
        self._end(LEFTOVER_GRACE)
        return self.status

    def _told_to_kill(self) -> bool:
        """Read the pipe: True for ``k``; at end of file there is nothing more to watch there."""
        if os.read(self.control, 1) == b"k":
            return True
        self.watched.remove(self.control)
        return False

    def _take_signals(self) -> None:
        for number in os.read(self.wakeup, 512):
            if number == signal.SIGCHLD:
                self._reap()
            elif self.status is None:
                _signal_group(self.app, number)

    def _reap(self) -> bool:
        """Collect the dead; return whether any child is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.app:
                code = os.waitstatus_to_exitcode(status)
                self.status = code if code >= 0 else 128 - code

    def _end(self, grace: float) -> None:
        """Ask everything to end, and kill what is left after ``grace`` seconds."""
        deadline = time.monotonic() + grace
        if grace and self._reap():
            self._signal_all(signal.SIGTERM)
        while self._reap():
            left = deadline - time.monotonic()
            if left <= 0:
                self._signal_all(signal.SIGKILL)
                left = 0.05  # more may have been started between listing and killing
            ready, _, _ = select.select(self.watched, [], [], min(left, 0.1))
            if self.wakeup in ready:
                os.read(self.wakeup, 512)
            if self.control in ready and self._told_to_kill():
                deadline = 0.0

    def _signal_all(self, number: int) -> None:
        _signal_group(self.app, number)
        for pid in descendants(os.getpid()) if LINUX else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _become(command: Sequence[str], failure: int) -> NoReturn:
    """Turn this forked child into the app."""
    try:
        os.setpgid(0, 0)
        if LINUX:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        for number in (*FORWARDED, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.execvp(command[0], list(command))  # noqa: S606 - the user's own command, without a shell
    except OSError as error:
        os.write(failure, str(error.errno).encode())
    finally:
        os._exit(NOT_FOUND)


def prctl(option: int, value: int) -> None:
    """Set a property of this process (Linux)."""
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _noted(number: int, frame: FrameType | None) -> None:
    """Do nothing: the wakeup pipe has the number."""


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def descendants(root: int) -> list[int]:
    """Return every process below ``root``, from /proc; zombies are left out."""
    children: dict[int, list[int]] = {}
    with os.scandir("/proc") as entries:
        numbers = [int(entry.name) for entry in entries if entry.name.isdigit()]
    for pid in numbers:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - pathlib is slow to import
                state, parent = file.read().rpartition(b")")[2].split()[:2]
        except OSError:
            continue
        if state != b"Z":
            children.setdefault(int(parent), []).append(pid)
    found: list[int] = []
    queue = [root]
    while queue:
        below = children.get(queue.pop(), ())
        found.extend(below)
        queue.extend(below)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
