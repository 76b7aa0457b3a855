"""Giving a sidecar the answers of a worker."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any

from daprflow.protocol.history import Failure
from daprflow.transports.events import CallRefused
from daprflow.workflows.failures import failure_of

logger = logging.getLogger(__name__)

PAUSE = 0.1
"""Seconds after the first attempt; twice as many after each further one."""
LONGEST_PAUSE = 2.0
ATTEMPTS = 8
AWAY = 3
"""Attempts where the sidecar cannot be reached."""
SILENT = 2
"""Attempts where it does not answer in time, which takes long."""
_TIMED_OUT = 504
_TOO_LARGE = "larger than max"
"""What gRPC says of a message above its limit, in every language; the status is not its alone."""
_UNKNOWN = "unknown instance ID"
"""What a runtime says of an answer that nobody waits for any more."""


Reset = Callable[[], bool]
"""Ends a stream of work; tells whether it had not ended before."""


class Outcome(Enum):
    """What became of an answer.

    Attributes:
        TAKEN: the sidecar has it, or does not wait for it any more.
        TOO_LARGE: no message may be as large.
        LOST: it was not taken, whatever was tried; the sidecar will ask again.
    """

    TAKEN = "taken"
    TOO_LARGE = "too large"
    LOST = "lost"


async def deliver(
    send: Callable[[Any], Coroutine[Any, Any, None]], response: Any, reset: Reset
) -> Outcome:
    """Send an answer, again where it was not taken.

    A sidecar asks again for what it got no answer to when the stream of work has ended, and not
    before: that is ended where an answer is lost.
    """
    pause, attempt = PAUSE, 0
    while True:
        attempt += 1
        try:
            await send(response)
        except CallRefused as refused:
            if _TOO_LARGE in str(refused):
                return Outcome.TOO_LARGE
            if _UNKNOWN in str(refused):
                logger.debug("an answer for '%s': %s", response.instanceId, refused)
                return Outcome.TAKEN
            if attempt >= _attempts(refused):
                _end(reset, response.instanceId, refused)
                return Outcome.LOST
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        else:
            return Outcome.TAKEN


def oversize(what: str, size: int) -> Failure:
    """Return why an answer is not taken that is more than a message may hold."""
    error = ValueError(
        f"{what} has {size} bytes, more than the sidecar takes (--max-body-size); keep what is "
        "large in a store, and pass its key"
    )
    return failure_of(error)


def _attempts(refused: CallRefused) -> int:
    if refused.unavailable:
        return AWAY
    return SILENT if refused.status == _TIMED_OUT else ATTEMPTS


def _end(reset: Reset, instance: str, refused: CallRefused) -> None:
    logger.debug("an answer for '%s' has to wait: %s", instance, refused)
    if reset() and not refused.unavailable:  # of many answers that are lost, one is told
        logger.warning(
            "the sidecar did not take an answer for workflow '%s' (%s); it is made to ask again "
            "for all that it has no answer to",
            instance,
            refused,
        )
