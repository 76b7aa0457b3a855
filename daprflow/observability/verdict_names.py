"""What became of a delivery, in the one word that metrics and logs use."""

from typing import Final

from daprflow.errors import Drop, Retry
from daprflow.handlers.handler import Outcome
from daprflow.protocol.deliveries import Status

SUCCESS: Final = "success"
RETRY: Final = "retry"
DROP: Final = "drop"
REFUSED: Final = "refused"
ERROR: Final = "error"
CANCELLED: Final = "cancelled"

VERDICTS: Final = (SUCCESS, RETRY, DROP, REFUSED, ERROR, CANCELLED)
_OF_STATUS: Final = {Status.SUCCESS: SUCCESS, Status.RETRY: RETRY, Status.DROP: DROP}
_BAD_REQUEST: Final = 400
_SERVER_ERROR: Final = 500


def verdict_of(outcome: Outcome) -> str:
    """Return the word for an outcome.

    ``retry`` and ``drop`` are what a handler asked for, or what a full pool is answered with;
    ``error`` is whatever it raised besides, and ``refused`` an answer of 4xx to an invocation.
    """
    status = outcome.http_status
    if status >= _SERVER_ERROR:
        return RETRY if isinstance(outcome.error, Retry) else ERROR
    if status >= _BAD_REQUEST:
        return REFUSED
    if outcome.error is None:
        return _OF_STATUS[outcome.status]
    if outcome.status is not Status.SUCCESS or isinstance(outcome.error, Drop | Retry):
        return _OF_STATUS[outcome.status]
    return ERROR  # an actor's method that raised is answered 200
