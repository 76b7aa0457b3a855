"""Processes of runs: since when they run, and how they are asked to end."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from daprflow.launcher.folder import start_time

PAUSE = 0.05


def started_at(pid: int) -> float:
    """Return when a process started, in seconds since 1970; 0 where the system does not say."""
    try:
        ticks = int(start_time(pid))
        uptime = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        return 0.0
    return time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")


def ask_to_end(pid: int) -> None:
    """Send a process the signal that ends it politely; one that is gone needs none.

    Raises:
        PermissionError: it is another user's.
    """
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return


def end(pid: int, seconds: float) -> bool:
    """Ask a process to end and wait for that; False where it is still there afterwards."""
    began = start_time(pid)
    try:
        ask_to_end(pid)
    except PermissionError:
        return False
    return waited(lambda: start_time(pid) != began or is_zombie(pid), seconds)


def waited(over: Callable[[], bool], seconds: float) -> bool:
    """Wait until something is over; False where it is not after so many seconds."""
    deadline = time.monotonic() + seconds
    while not over():
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE)
    return True


def has_ended(pid: int) -> bool:
    """Tell whether a process is no more, or nothing but waits for its parent to notice."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False  # another user's
    return is_zombie(pid)


def is_zombie(pid: int) -> bool:
    """Tell whether a process has ended and waits for its parent to notice."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[0] == b"Z"
