"""What the thread of an event loop is at: which handler, and which line of it."""

import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType, FrameType

_OWN = str(Path(__file__).parents[1])
_LOOP = frozenset({"_run", "_run_once"})
"""Functions of asyncio that a callback of its loop is called by."""


@dataclass(frozen=True, slots=True)
class Place:
    """A line of code.

    Attributes:
        handler: the handler that it was called from, as messages call it; empty where it is none.
        where: module and line, the innermost of the user's own code.
        function: the name of the function there.
        inner: module and line that this one waits for, where that is not the user's; else empty.
    """

    handler: str
    where: str
    function: str
    inner: str = ""

    def __str__(self) -> str:
        called = f", which called {self.inner}" if self.inner else ""
        return f"{self.where} in '{self.function}'{called}"


@cache
def _foreign_roots() -> tuple[str, ...]:
    """Return what the names of files of others begin with; it takes a millisecond to find out."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    found = {str(Path(path)) for name in names if (path := sysconfig.get_path(name))}
    return ("<frozen", *(f"{root}/" for root in (*found, _OWN)))


class Foreign:
    """Tells the user's files from those of Python, of installed packages and of this one."""

    def __init__(self) -> None:
        self._roots = _foreign_roots()

    def __contains__(self, frame: FrameType) -> bool:
        return frame.f_code.co_filename.startswith(self._roots)


def base_of(frame: FrameType | None) -> FrameType | None:
    """Return the frame that runs the loop, of ``frame``, which called a callback of it."""
    while frame is not None and frame.f_code.co_name in _LOOP:
        frame = frame.f_back
    return frame


def running(top: FrameType | None, base: FrameType | None) -> list[FrameType]:
    """Return the frames of the callback that a loop runs, the outermost first.

    Empty where it runs none: it waits for something to do, or its thread is at something else.
    """
    frames = []
    while top is not None and top is not base:
        frames.append(top)
        top = top.f_back
    if top is None and base is not None:
        return []
    frames.reverse()
    if frames and frames[0].f_code.co_name == "_run_once":
        if len(frames) < 2 or frames[1].f_code.co_name != "_run":  # noqa: PLR2004 - the two of asyncio
            return []
        return frames[2:]
    return frames


def place_of(
    frames: Sequence[FrameType], names: Sequence[Mapping[CodeType, str]], foreign: Foreign
) -> Place:
    """Name the innermost line of the user's code, and the handler that it was called from.

    Args:
        frames: of a callback, the outermost first; at least one.
        names: how messages call handlers, by their code.
        foreign: tells whose code is whose.
    """
    title, package = "", ""
    own = innermost = frames[-1]
    found = False
    for frame in frames:
        if not title and (title := _title(frame.f_code, names)):
            package = _module(frame).partition(".")[0]
        # An app may be installed as a package: what is beside its handler is its own, too.
        if frame not in foreign or (package and _module(frame).partition(".")[0] == package):
            own, found = frame, True
    inner = _line(innermost) if found and own is not innermost else ""
    return Place(title, _line(own), own.f_code.co_name, inner)


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "?"))


def _line(frame: FrameType) -> str:
    return f"{_module(frame)}:{frame.f_lineno}"


def _title(code: CodeType, names: Sequence[Mapping[CodeType, str]]) -> str:
    return next((known[code] for known in names if code in known), "")
