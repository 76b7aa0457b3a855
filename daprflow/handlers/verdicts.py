"""The outcomes of a delivery, made once, with the log lines that go with the bad ones.

| handler | outcome |
|---|---|
| returns None or Status.SUCCESS | 200 SUCCESS |
| returns Status.RETRY, raises Retry | 200 RETRY |
| returns Status.DROP, raises Drop | 200 DROP |
| raises anything else, SystemExit and HTTPException included | 500 and a traceback in the log |
| waits for something that was cancelled | as anything else |
| is cancelled itself, or KeyboardInterrupt | passed on: the process is ending |

The runtime drops an event on 404 and resiliency rules see 5xx, hence 500 whatever was raised.
"""

import logging
import os
from asyncio import CancelledError, current_task
from typing import Any

import msgspec

from daprflow.handlers import codec
from daprflow.handlers.handler import Delivery, Outcome
from daprflow.protocol.deliveries import Status
from daprflow.protocol.http import JSON

logger = logging.getLogger(__name__)

SUCCESS = Outcome(Status.SUCCESS, 200, b'{"status":"SUCCESS"}')
RETRY = Outcome(Status.RETRY, 200, b'{"status":"RETRY"}')
DROP = Outcome(Status.DROP, 200, b'{"status":"DROP"}')
BY_STATUS = {Status.SUCCESS: SUCCESS, Status.RETRY: RETRY, Status.DROP: DROP}

DONE = Outcome(Status.SUCCESS, 200, b"{}")
"""For bindings: an input binding counts 204 as failure where a retry policy exists."""

_LATER = (("retry-after", "1"),)

FAULTS = (Exception, SystemExit, CancelledError)
"""What counts as a handler's failure. A handler may not end the process, so SystemExit does too,
and so does a CancelledError that comes from something it waited for."""


class ErrorBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a failed request is answered: a text, or what an ``HTTPException`` has for detail.

    Attributes:
        error_id: what the log has a line about, where the text does not say the reason.
    """

    error: Any
    error_id: str = ""


class _Identified(msgspec.Struct, frozen=True):
    id: str = "?"


_ID_SHOWN = 64  # publishers choose it
_identify = msgspec.json.Decoder(_Identified)


def refusal(status: int, detail: Any, error: BaseException | None = None) -> Outcome:
    """Return an error answer with its text, or its detail as JSON where that has such a form."""
    try:
        body = codec.encode(ErrorBody(detail))
    except (TypeError, ValueError, RecursionError):
        body = codec.encode(ErrorBody(ascii(detail)))
    return Outcome(Status.RETRY, status, body, JSON, error=error)


def failed(title: str, delivery: Delivery, error: BaseException) -> Outcome:
    """Log what a handler raised and answer 500, with an id that finds the line and nothing else.

    Raises:
        CancelledError: ``error`` is one, and it is the request that was cancelled.
    """
    if isinstance(error, CancelledError) and is_being_cancelled():
        raise error
    error_id = os.urandom(8).hex()
    logger.error(
        "%s failed on '%s' (event %s, %d bytes): %s; it is answered with 500, error id %s",
        title,
        delivery.name,
        event_id(delivery),
        len(delivery.body),
        _told(error),
        error_id,
        exc_info=error,
    )
    body = codec.encode(ErrorBody("handler failed", error_id))
    return Outcome(Status.RETRY, 500, body, JSON, error=error, error_id=error_id)


def _told(error: BaseException) -> str:
    """Return an error's name, and what to do where it asked for more than a handler can have."""
    name = type(error).__name__
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return f"{name}, which ends the handler alone (send the app SIGTERM to end it)"
    return name


def busy(delivery: Delivery, error: BaseException) -> Outcome:
    """Answer that no thread is free, or no slot: an event comes again, a caller is told 503."""
    return put_off(delivery.kind, str(error) or "all threads of the app are busy", error)


def put_off(kind: str, reason: str, error: BaseException | None = None) -> Outcome:
    """Answer that a delivery is to be made again: RETRY of an event, 503 of anything else."""
    if kind == "topic":
        return Outcome(Status.RETRY, 200, RETRY.body, error=error)
    return msgspec.structs.replace(refusal(503, reason, error), headers=_LATER)


def event_id(delivery: Delivery) -> str:
    """Return the id of a delivered event for a log line; ``?`` where it has none."""
    if delivery.kind != "topic":
        return "-"
    try:
        return repr(_identify.decode(delivery.body).id[:_ID_SHOWN])
    except (ValueError, RecursionError):
        return "?"


def is_being_cancelled() -> bool:
    """Whether it is the running task itself that is cancelled."""
    task = current_task()
    return task is not None and task.cancelling() > 0
