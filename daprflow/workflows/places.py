"""Where in a workflow's code something was asked for, as messages name it."""

import sys
from pathlib import PurePath
from types import CodeType, FrameType
from typing import Any

from daprflow.workflows.tasks import Fiber


def calling_place(depth: int = 1) -> tuple[CodeType, int]:
    """Return the place ``depth`` callers above; cheap, since every call takes it."""
    frame = sys._getframe(depth + 1)  # noqa: SLF001 - the documented way to the caller's frame
    return frame.f_code, frame.f_lasti


def line_of(place: tuple[CodeType, int] | None) -> str:
    """Return a place as ``module.function:line``; empty where there is none."""
    if place is None:
        return ""
    code, instruction = place
    line = next(
        (line for start, end, line in code.co_lines() if start <= instruction < end),
        code.co_firstlineno,
    )
    return named(code, line or code.co_firstlineno)


def named(code: CodeType, line: int) -> str:
    """Return code and a line in it as ``module.function:line``."""
    function = code.co_qualname.replace("<locals>.", "")
    return f"{PurePath(code.co_filename).stem}.{function}:{line}"


def waiting_at(fiber: Fiber) -> str:
    """Return what a fiber waits for, and the innermost line of the user's that does."""
    parked = fiber.parked
    what = "nothing" if parked is None else parked.described()
    frame = _innermost(fiber.coroutine)
    return what if frame is None else f"{what} ({named(frame.f_code, frame.f_lineno)})"


def _innermost(coroutine: Any) -> FrameType | None:
    frame: FrameType | None = None
    awaited = coroutine
    while awaited is not None:
        inner = getattr(awaited, "cr_frame", None)
        if inner is None:
            break
        frame = inner
        awaited = awaited.cr_await
    return frame
