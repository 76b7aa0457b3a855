"""The wish that a run ends: who asks for it, who hears it, and how fast it shall be."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Asked once, everything ends within its grace; asked twice, at once.

    One owner in the process takes the signals; as many supervisors as there are apps wait for it.

    Args:
        heard: told once, when a signal ends what runs.

    Attributes:
        asked: set from the first time on.
        hurry: set from the second time on.
        number: the signal that is passed on.
    """

    def __init__(self, heard: Callable[[], None] = lambda: None) -> None:
        self.asked = asyncio.Event()
        self.hurry = asyncio.Event()
        self.number = signal.SIGTERM
        self._heard = heard

    def ask(self, number: signal.Signals) -> None:
        """Take a signal."""
        if self.asked.is_set():
            self.hurry.set()
        else:
            self._heard()
        self.number = number
        self.asked.set()

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Own the signals of this process that end it."""
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self.ask, number)
        try:
            yield
        finally:
            for number in STOP_SIGNALS:
                loop.remove_signal_handler(number)

    async def linger(self, others: Coroutine[Any, Any, None]) -> None:
        """Stay until ``others`` are done with what is in this process, or until the next signal."""
        if self.hurry.is_set():
            others.close()
            return
        self.asked.set()  # from here on, any signal is the second one
        waiting = {asyncio.create_task(others), asyncio.create_task(self.hurry.wait())}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
