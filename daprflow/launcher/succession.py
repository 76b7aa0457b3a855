"""The processes of one app, one after the other: the next gets ready while one still runs."""

import asyncio
from typing import Protocol, Self

from daprflow.launcher.app_process import AppProcess


class Make(Protocol):
    """Starts a process of an app."""

    def __call__(self, *, held: bool) -> AppProcess:
        """Start one; where it is held, it gets ready and waits for `AppProcess.release`."""
        ...


class Succession:
    """Starts each process of an app.

    Args:
        make: starts a process.
        ahead: whether processes may be started ahead of their time.
    """

    def __init__(self, make: Make, *, ahead: bool) -> None:
        self._make = make
        self._ahead = ahead
        self._next: tuple[AppProcess, asyncio.Task[int]] | None = None

    def take(self) -> tuple[AppProcess, asyncio.Task[int]]:
        """Return a process that begins now, and what waits for its end."""
        waiting, self._next = self._next, None
        if waiting is not None and not waiting[1].done():
            waiting[0].release()
            return waiting
        return self._started(held=False)

    def prepare(self) -> None:
        """Have the next process ready, so that an edit costs no more than what was edited."""
        if self._ahead and (self._next is None or self._next[1].done()):
            self._next = self._started(held=True)

    def drop(self) -> None:
        """Let no process follow; the one that waits is killed."""
        self._ahead = False
        if self._next is not None:
            self._next[0].kill()

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Wait until no process waits any more."""
        self.drop()
        if self._next is not None:
            await self._next[1]
            self._next = None

    def _started(self, *, held: bool) -> tuple[AppProcess, asyncio.Task[int]]:
        process = self._make(held=held)
        return process, asyncio.create_task(process.follow())
