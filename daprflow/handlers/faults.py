"""What becomes of what a handler, or an interceptor around it, raises.

The app's error handlers are asked first; without one, a kind's table of verdicts decides.
"""

import logging
from asyncio import CancelledError
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec import structs
from starlette.exceptions import HTTPException

from daprflow.addresses import type_name
from daprflow.errors import Drop, Retry
from daprflow.handlers import verdicts
from daprflow.handlers.decoding import Undecodable
from daprflow.handlers.handler import Delivery, Outcome
from daprflow.handlers.pool import PoolFull
from daprflow.protocol.deliveries import Status

if TYPE_CHECKING:
    from daprflow.handlers.on_error import ErrorHandler

logger = logging.getLogger(__name__)

Table = Callable[[str, Delivery, BaseException], Outcome]
"""Logs what was raised, by the title of what raised it, and returns the verdict it stands for."""

Settle = Callable[[Delivery, Outcome], Outcome]
"""Gives the outcome of an interceptor or error handler the status and body that say its verdict."""

Convert = Callable[[Any, int], Outcome | None]
"""Makes an outcome of what an error handler returned, and of its status; None where it is none."""

ANSWERS = (Retry, Drop, HTTPException, Undecodable, PoolFull)
"""What is an answer already: an error handler for ``Exception`` alone is not asked."""
_DECIDED = (Retry, Drop, HTTPException)
"""What an error handler may raise for its answer."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What becomes of what is raised in one handler.

    Attributes:
        title: what messages call the handler.
        table: decides where no error handler does.
        settle: completes an outcome that an error handler made; None leaves it as it is.
        convert: makes outcomes of what error handlers return.
        handlers: the error handlers by what they are for, the nearest of each.
    """

    title: str
    table: Table
    settle: Settle | None
    convert: Convert
    handlers: "Mapping[type[BaseException], ErrorHandler]"

    async def outcome(self, delivery: Delivery, error: BaseException, title: str = "") -> Outcome:
        """Return the verdict on what was raised, by the handler or by what ``title`` names.

        Raises:
            CancelledError: ``error`` is one, and it is the request that was cancelled.
        """
        if self.handlers and (handler := self._handler_of(error)) is not None:
            outcome = await self._turned(handler, delivery, error)
            if outcome is not None:
                return outcome
        return self.table(title or self.title, delivery, error)

    def _handler_of(self, error: BaseException) -> "ErrorHandler | None":
        """Return the handler of the most specific class."""
        answers = isinstance(error, ANSWERS)
        for kind in type(error).__mro__:
            if kind is Exception and answers:
                return None
            found = self.handlers.get(kind)
            if found is not None:
                return found
        return None

    async def _turned(
        self, handler: "ErrorHandler", delivery: Delivery, error: BaseException
    ) -> Outcome | None:
        """Return what an error handler makes of an error; None leaves it to the table."""
        result: Any = None
        try:
            result = await handler.call(delivery, error)
            if result is None:
                return None
            outcome = result if type(result) is Outcome else self.convert(result, handler.status)
        except _DECIDED as decided:
            if decided is error:
                return None
            outcome = self.table(f"{handler.title} of {self.title}", delivery, decided)
        except verdicts.FAULTS as raised:
            if isinstance(raised, CancelledError) and verdicts.is_being_cancelled():
                raise
            if raised is not error:
                logger.exception(
                    "%s failed on '%s' of %s; the default holds",
                    handler.title,
                    type(error).__name__,
                    self.title,
                )
            return None
        if outcome is None:
            logger.error(
                "%s returned '%s' for %s, which is no verdict; return an Outcome or a Status, or "
                "raise Retry or Drop; the default holds",
                handler.title,
                type_name(type(result)),
                self.title,
            )
            return None
        if outcome.error is None:
            outcome = structs.replace(outcome, error=error)
        return outcome if self.settle is None else self.settle(delivery, outcome)


def status_only(result: Any, _: int) -> Outcome | None:
    """Make an outcome of a `Status`, as for events."""
    return Outcome(result) if type(result) is Status else None


def nothing(_: Any, __: int) -> Outcome | None:
    """Make an outcome of nothing."""
    return None


def plain(title: str, *, passes: type[BaseException] | tuple[()] = ()) -> Faults:
    """Return what logs and answers 500, without error handlers; ``passes`` is raised again."""

    def table(title: str, delivery: Delivery, error: BaseException) -> Outcome:
        if isinstance(error, passes):
            raise error
        return verdicts.failed(title, delivery, error)

    return Faults(title, table, None, nothing, {})
