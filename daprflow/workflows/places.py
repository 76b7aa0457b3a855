"""Where in a workflow's code something was asked for, as messages name it."""

import os
import sys
from pathlib import Path, PurePath
from types import CodeType, FrameType
from typing import Any

from daprflow.workflows.tasks import Fiber

_COMPREHENSIONS = (".<listcomp>", ".<genexpr>", ".<dictcomp>", ".<setcomp>")
_OURS = str(Path(__file__).parents[1]) + os.sep
_STANDARD = str(Path(os.__file__).parent) + os.sep

Place = tuple[CodeType, int]
"""A code object, and the instruction in it."""


def calling_place(depth: int = 1) -> Place:
    """Return the place ``depth`` callers above; cheap, since every call takes it."""
    frame = sys._getframe(depth + 1)  # noqa: SLF001 - the documented way to the caller's frame
    return frame.f_code, frame.f_lasti


def line_of(place: Place | None) -> str:
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
    for inner in _COMPREHENSIONS:
        function = function.removesuffix(inner)
    return f"{PurePath(code.co_filename).stem}.{function}:{line}"


def user_place(frame: FrameType | None) -> str:
    """Return the innermost line of the user's at or above ``frame``; empty where there is none."""
    while frame is not None:
        if _is_users(frame.f_code):
            return named(frame.f_code, frame.f_lineno)
        frame = frame.f_back
    return ""


def awaiting_place(coroutine: Any) -> str:
    """Return the innermost line of the user's that a suspended coroutine stands at."""
    found = ""
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is None:
            break
        if _is_users(frame.f_code):
            found = named(frame.f_code, frame.f_lineno)
        coroutine = coroutine.cr_await
    return found


def _is_users(code: CodeType) -> bool:
    name = code.co_filename
    return not name.startswith((_OURS, _STANDARD, "<frozen")) or "site-packages" in name


def waiting_at(fiber: Fiber) -> str:
    """Return what a fiber waits for, and the innermost line of the user's that does."""
    parked = fiber.parked
    what = "nothing" if parked is None else parked.described()
    place = awaiting_place(fiber.coroutine)
    return f"{what} ({place})" if place else what
