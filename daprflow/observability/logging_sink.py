"""Where log lines go: one stream, whole lines, whoever writes and from whatever thread."""

import asyncio
import contextlib
import os
import sys
import threading
import time
from typing import BinaryIO, Protocol

TOGETHER = 64
"""Lines that wait at most: what they hold is in the garbage collector's way."""
PAUSE = 0.002
"""Seconds between two pieces, so that an app under load writes few of many lines."""


class Later(Protocol):
    """A line that is made when it is written: many at once cost far less than one by one."""

    def line(self) -> bytes:
        """Return the line; it must not raise."""
        ...


class Sink:
    """Writes lines.

    Args:
        stream: takes bytes; None is whatever standard error is at the time of writing.
    """

    def __init__(self, stream: BinaryIO | None = None) -> None:
        self._stream = stream
        self._waiting: list[bytes | Later] = []
        self._lock = threading.Lock()
        self._rests_until = 0.0

    @property
    def is_terminal(self) -> bool:
        """Whether a person watches, who likes colours."""
        if os.environ.get("NO_COLOR"):
            return False
        with contextlib.suppress(OSError, ValueError, AttributeError):
            return (self._stream or sys.stderr).isatty()
        return False

    def write(self, line: bytes) -> None:
        """Write a line now, after those that wait."""
        with self._lock:
            self._put([*self._taken(), line])

    def soon(self, line: bytes | Later) -> None:
        """Write a line when the event loop gets to it: together with others, in one piece.

        That is before it waits for anything, or `PAUSE` after the last piece, and before any line
        of `write`. At the end of the app nothing waits any more; who kills the process loses the
        lines of that time.
        """
        waiting = self._waiting
        waiting.append(line)
        if len(waiting) == 1:
            loop = asyncio.get_running_loop()
            rest = self._rests_until - time.monotonic()
            if rest > 0:
                loop.call_later(rest, self.flush)
            else:
                loop.call_soon(self.flush)
        elif len(waiting) >= TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        self._rests_until = time.monotonic() + PAUSE
        with self._lock:
            self._put(self._taken())

    def _taken(self) -> list[bytes]:
        taken, self._waiting = self._waiting, []
        return [each if isinstance(each, bytes) else each.line() for each in taken]

    def _put(self, lines: list[bytes]) -> None:
        if not lines:
            return
        stream = self._stream
        try:
            if stream is None:
                sys.stderr.flush()
                stream = sys.stderr.buffer
            stream.write(b"".join(lines))
            stream.flush()
        except (OSError, ValueError, AttributeError):
            return  # nobody may read any more, the disk may be full: an app goes on without its log


class Stamp:
    """The time as Dapr's logs have it: UTC; to the millisecond, which many lines share."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known = (-1, "")

    def now(self) -> str:
        """Return the time now."""
        return self.at(time.time())

    def at(self, moment: float) -> str:
        """Return a time in seconds since 1970; it is made once a millisecond."""
        millisecond = int(moment * 1000)
        known, text = self._known
        if millisecond != known:
            second, rest = divmod(millisecond, 1000)
            start = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            text = f"{start}.{rest:03}Z"
            self._known = (millisecond, text)
        return text
