"""Giving a sidecar the answers of a worker."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from daprflow.protocol.history import Failure
from daprflow.transports.events import CallRefused
from daprflow.workflows.failures import failure_of

logger = logging.getLogger(__name__)

TOO_LARGE = 429
DROPPED = frozenset({408, 504})
"""Statuses of calls that a sidecar cancelled, or did not answer in time."""
ATTEMPTS = 3
"""How often an answer is sent while the sidecar cannot be reached; then it asks again."""


async def deliver(send: Callable[[Any], Coroutine[Any, Any, None]], response: Any) -> int:
    """Send an answer; return 0, or the status with which it was not taken.

    A sidecar that dropped it, as a busy one does, is there and would not ask again: it is sent
    until it is taken.
    """
    status = attempt = 0
    while attempt < ATTEMPTS:
        try:
            await send(response)
        except CallRefused as refused:
            status = refused.status
            if refused.unavailable:
                attempt += 1
            elif status not in DROPPED:
                logger.debug("an answer for '%s': %s", response.instanceId, refused)
                return status
            await asyncio.sleep(0.1 * 2**attempt)
        else:
            return 0
    return status


def oversize(what: str, size: int) -> Failure:
    """Return why an answer is not taken that is more than a message may hold."""
    error = ValueError(
        f"{what} has {size} bytes, more than the sidecar takes (--max-body-size); keep what is "
        "large in a store, and pass its key"
    )
    return failure_of(error)
