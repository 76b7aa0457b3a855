"""Counts the errors that calls on a sidecar ended in, by Dapr's codes, where that is asked for."""

from collections.abc import Sequence
from typing import Final

from daprflow.sidecar.telemetry.metrics import Cell, Family

_CATEGORIES: Final[Sequence[tuple[str, str]]] = (
    ("_ACTOR", "actor"),
    ("WORKFLOW", "workflow"),
    ("INSTANCE_ID", "workflow"),
    ("CONFIGURATION", "configuration"),
    ("STATE", "state"),
    ("CRYPTO", "crypto"),
    ("SECRET", "secret"),
    ("PERMISSION", "secret"),
    ("PUB", "pubsub"),
    ("TOPIC", "pubsub"),
    ("CONVERSATION", "conversation"),
    ("DIRECT_INVOKE", "service-invocation"),
    ("BINDING", "binding"),
    ("LOCK", "lock"),
    ("SCHEDULER", "job"),
    ("HEALTH", "health"),
)
"""Part of a code, and the category it has then in the real runtime; the first one counts."""
_OTHER: Final = "common"


class ErrorCodes:
    """The counts.

    Args:
        counts: by category and code.
    """

    __slots__ = ("_counts",)

    def __init__(self, counts: Family[Cell]) -> None:
        self._counts = counts

    def count(self, code: str) -> None:
        """Count an error; ``code`` is that of the HTTP API, on both APIs."""
        self._counts(category_of(code), code).add()


def category_of(code: str) -> str:
    """Return the category of an error's code."""
    return next((category for part, category in _CATEGORIES if part in code), _OTHER)
