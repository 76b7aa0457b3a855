"""What a span says of an error: its class, its text without secrets, its stack, its causes."""

import traceback
from typing import Final

from opentelemetry.trace import Span, StatusCode

from daprflow.addresses import type_name
from daprflow.observability.redaction import Redaction
from daprflow.protocol.history import Failure

CAUSES: Final = 8
"""Causes of an error that are told."""


class SpanErrors:
    """Writes errors into spans.

    Args:
        redaction: takes the secrets out of them.
    """

    def __init__(self, redaction: Redaction) -> None:
        self.redaction = redaction

    def tell(self, span: Span, error: BaseException) -> None:
        """Say that a span failed, with what was raised and what that was raised from."""
        kind = error_type(error)
        span.set_attribute("error.type", kind)
        stack = "".join(traceback.format_exception(error))
        self._event(span, kind, _text(error), stack, 0)
        cause, depth = _cause(error), 1
        while cause is not None and depth <= CAUSES:
            self._event(span, error_type(cause), _text(cause), "", depth)
            cause, depth = _cause(cause), depth + 1
        span.set_status(StatusCode.ERROR, kind)

    def tell_failure(self, span: Span, failure: Failure) -> None:
        """As `tell`, for a failure that came over the wire."""
        span.set_attribute("error.type", failure.type)
        told: Failure | None = failure
        depth = 0
        while told is not None and depth <= CAUSES:
            self._event(span, told.type, told.message, told.stack, depth)
            told, depth = told.cause, depth + 1
        span.set_status(StatusCode.ERROR, failure.type)

    def _event(self, span: Span, kind: str, message: str, stack: str, depth: int) -> None:
        attributes: dict[str, str | int] = {
            "exception.type": kind,
            "exception.message": self.redaction.text(message),
        }
        if stack:
            attributes["exception.stacktrace"] = self.redaction.text(stack)
        if depth:
            attributes["daprflow.exception.cause"] = depth
        span.add_event("exception", attributes)


def refuse(span: Span, kind: str) -> None:
    """Say that a span failed by an answer, such as a status of 500."""
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)


def error_type(error: BaseException) -> str:
    """Return the name of an error's class; with its module where that is no builtin."""
    kind = type(error)
    name = type_name(kind)
    return name if kind.__module__ == "builtins" else f"{kind.__module__}.{name}"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a user's class raises what it likes
        return ""


def _cause(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__
