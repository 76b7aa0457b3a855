"""How a call of the gRPC library ended, where the library itself does not tell it right."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from daprflow.sidecar.channel.rpc import Metadata

PATIENCE = 5.0
"""Seconds to wait for a status that is on its way already."""
_UNSENT = "Internal error from Core"
_UNSENT_WHY = 'Failed "execute_batch"'

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Status:
    """What an app ended a call with; ``code`` is the library's."""

    code: Any
    text: str
    trailers: Metadata


class Ending:
    """Listens to how a call that streams both ways ends.

    An app may end a call before it was sent everything: refuse it at once, for one. The library
    then puts an error of its own, that it could not send, before or in the place of the app's
    status. That one is kept here.

    Args:
        call: one that has just begun.
    """

    def __init__(self, call: Any) -> None:
        self._status: asyncio.Future[Status] = asyncio.get_running_loop().create_future()
        call.add_done_callback(self._note)

    async def of(self, error: Any) -> Status:
        """Return the status of the app, for an error of the library."""
        if _is_unsent(error.details(), error.debug_error_string()):
            await asyncio.wait({self._status}, timeout=PATIENCE)
        if self._status.done():
            return self._status.result()
        return Status(error.code(), error.details() or "", _pairs(error.trailing_metadata()))

    def _note(self, call: Any) -> None:
        """Look at a status that has just come; another one may follow."""
        text = _present(call.details())
        if self._status.done() or _is_unsent(text, _present(call.debug_error_string())):
            return
        trailers = _pairs(_present(call.trailing_metadata()))
        self._status.set_result(Status(_present(call.code()), text or "", trailers))


def _is_unsent(text: str | None, why: str | None) -> bool:
    return text == _UNSENT and (why or "").startswith(_UNSENT_WHY)


def _pairs(metadata: Any) -> Metadata:
    return tuple((name, value) for name, value in metadata or ())


def _present(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise RuntimeError("the status of a call is not there yet")
