"""An exception as fields of a log line: its type, its text, where it was raised, and its causes."""

import traceback
from collections.abc import Iterator
from typing import Final

import msgspec

from daprflow.observability.redaction import Redaction

DEEPEST: Final = 30
"""Frames of a stack that are told, the innermost ones."""
CAUSES: Final = 5


class ErrorFields(msgspec.Struct, omit_defaults=True):
    """One exception.

    Attributes:
        type: its class.
        message: its text, without secrets.
        stack: ``file:line in function``, the innermost last.
        causes: what it was raised from, or while handling what; the nearest first.
    """

    type: str
    message: str
    stack: list[str] = []
    causes: list["ErrorFields"] = []


def fields_of(error: BaseException, redaction: Redaction, *, stack: bool = True) -> ErrorFields:
    """Return the fields of an exception; values of variables and source lines are none of them."""
    found = _one(error, redaction, stack=stack)
    found.causes = [_one(each, redaction, stack=stack) for each in _causes(error)]
    return found


def text_of(error: BaseException, redaction: Redaction) -> str:
    """Return an exception as Python prints it, without secrets and control codes."""
    lines = traceback.TracebackException.from_exception(error, limit=-DEEPEST, compact=True)
    return redaction.text("".join(lines.format()).rstrip())


def _one(error: BaseException, redaction: Redaction, *, stack: bool) -> ErrorFields:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else _full_name(kind)
    frames = traceback.extract_tb(error.__traceback__, limit=-DEEPEST) if stack else ()
    where = [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
    return ErrorFields(redaction.text(name), redaction.text(_said(error)), where)


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as failed:  # noqa: BLE001 - whatever a user's class raises
        return f"<its text failed: {type(failed).__name__}>"


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen = {id(error)}
    current = error
    for _ in range(CAUSES):
        follows = current.__cause__
        if follows is None and not current.__suppress_context__:
            follows = current.__context__
        if follows is None or id(follows) in seen:
            return
        seen.add(id(follows))
        yield follows
        current = follows
