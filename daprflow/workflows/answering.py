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


class Outcome(Enum):
    """What became of an answer.

    Attributes:
        TAKEN: the sidecar has it, or does not wait for it any more.
        TOO_LARGE: no message may be as large.
        LOST: it was not taken, whatever was tried; the sidecar has to ask again.
    """

    TAKEN = "taken"
    TOO_LARGE = "too large"
    LOST = "lost"


async def deliver(send: Callable[[Any], Coroutine[Any, Any, None]], response: Any) -> Outcome:
    """Send an answer, again where it was not taken.

    A sidecar asks again for what it got no answer to when the stream of work has ended, and not
    before: whoever is told that an answer is lost has to end that.
    """
    pause = PAUSE
    for attempt in range(1, ATTEMPTS + 1):
        try:
            await send(response)
        except CallRefused as refused:
            if _TOO_LARGE in str(refused):
                return Outcome.TOO_LARGE
            if _UNKNOWN in str(refused):
                logger.debug("an answer for '%s': %s", response.instanceId, refused)
                return Outcome.TAKEN
            if attempt >= _attempts(refused):
                _tell(response.instanceId, refused)
                return Outcome.LOST
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        else:
            return Outcome.TAKEN
    return Outcome.LOST


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


def _tell(instance: str, refused: CallRefused) -> None:
    if refused.unavailable:  # the worker says that the sidecar is away
        logger.debug("an answer for '%s' has to wait: %s", instance, refused)
        return
    logger.warning(
        "the sidecar did not take an answer for workflow '%s' (%s); it is made to ask again",
        instance,
        refused,
    )
