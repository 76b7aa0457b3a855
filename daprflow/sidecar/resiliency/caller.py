"""Who waits for calls on components: once they left, no further attempt is made for them."""

from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Caller:
    """Somebody who made a request and waits for its answer.

    Args:
        receive: gives what they send; asked only where their body has been read.
    """

    __slots__ = ("_receive", "answered")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.answered = False

    async def left(self) -> None:
        """Return when they went away."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


CALLER: ContextVar[Caller | None] = ContextVar("caller", default=None)
"""Who waits for what is done now; what goes on after the answer is nobody's."""


@contextmanager
def waiting(receive: Receive) -> Iterator[None]:
    """Let pauses within this end when the caller leaves."""
    caller = Caller(receive)
    token = CALLER.set(caller)
    try:
        yield
    finally:
        caller.answered = True
        CALLER.reset(token)
