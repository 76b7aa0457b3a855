"""An event loop without a single file descriptor: what else happens, and when, somebody decides."""

import asyncio
from collections.abc import Callable
from typing import Any


class _Chooser:
    """Stands where a loop waits for sockets: it does the next thing, and there are no sockets."""

    def __init__(self, happen: Callable[[float | None], None]) -> None:
        self._happen = happen

    def select(self, timeout: float | None) -> list[Any]:
        """Do something, unless the loop itself has something to do."""
        if timeout is None or timeout > 0:
            self._happen(timeout)
        return []

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


class SimulationLoop(asyncio.BaseEventLoop):
    """A loop whose time stands still, and which asks what happens whenever it has nothing to do.

    Args:
        now: gives the time in seconds.
        happen: called with the seconds until the loop has something to do by itself, None for
            never.
    """

    def __init__(self, now: Callable[[], float], happen: Callable[[float | None], None]) -> None:
        super().__init__()
        self._now = now
        self._selector = _Chooser(happen)
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Return the time, which only `happen` moves."""
        return self._now()

    def _process_events(self, event_list: list[Any]) -> None:
        """Take what the chooser found: never anything."""

    def _write_to_self(self) -> None:
        """Wake the loop up, which never sleeps."""
