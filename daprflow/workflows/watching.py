"""Watching a workflow's code while it runs: clocks, chance, networks, threads, the environment.

In development and tests alone. Nothing is patched: the interpreter says which functions are called
(``sys.setprofile``), and those that give something else on replay are refused where they stand.
"""

import _thread
import asyncio
import datetime as dt
import gc
import io
import os
import random
import socket
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import BuiltinFunctionType, CodeType, FrameType
from typing import Any

from daprflow.workflows.context import WorkflowContext
from daprflow.workflows.runner import Runner
from daprflow.workflows.sets import set_loop
from daprflow.workflows.trap import TrapLoop

_CLOCK = "the clock", "ctx.now is the workflow's time"
_SLEEP = "time.sleep", "await ctx.sleep(...) waits durably"
_CHANCE = "the module 'random'", "ctx.random gives the same on every replay"
_UUID = "a random id", "ctx.uuid() gives the same on every replay"
_ENTROPY = "the system's randomness", "ctx.random and ctx.uuid() give the same on every replay"
_ENVIRONMENT = "the environment", "read it in an activity, or give it to the workflow as its input"
_NETWORK = "the network", "do it in an activity and await ctx.call(...)"
_FILES = "files", "do it in an activity and await ctx.call(...)"
_THREADS = "threads", "a plain 'def' activity runs in a thread; await ctx.call(...)"
_PROCESSES = "processes", "do it in an activity and await ctx.call(...)"
_SETS = (
    "the order of a set",
    "it differs from process to process; go through sorted(...) of it, or a list",
)

_MAY = ("daprflow.", "importlib", "linecache", "logging", "traceback", "warnings")
"""Modules whose calls are no part of a workflow."""

Rule = tuple[str, str]
_LIBRARIES: Mapping[str, Rule] = {
    **dict.fromkeys(("urllib", "http", "requests", "urllib3", "httpx", "aiohttp"), _NETWORK),
    **dict.fromkeys(("concurrent", "threading"), _THREADS),
    **dict.fromkeys(("subprocess", "multiprocessing"), _PROCESSES),
}
"""What those are for, whatever they use first: the environment, or the clock."""


@dataclass(frozen=True, slots=True)
class _Rules:
    """What is refused: built-in functions, methods by owner and name, and Python code."""

    functions: Mapping[BuiltinFunctionType, Rule]
    methods: Mapping[tuple[type, str], Rule]
    code: Mapping[CodeType, Rule]


class CallGuard:
    """Refuses calls that give something else on replay, in the line that makes them."""

    def __init__(self) -> None:
        self._rules = _rules()

    @contextmanager
    def watching(self, _: Runner, /) -> Iterator[None]:
        """Watch the code of this thread until the block ends; another profiler is left alone."""
        before = sys.getprofile()
        if before is not None:  # somebody measures; a watched step would end that
            yield
            return
        sys.setprofile(self._look)
        try:
            yield
        finally:
            sys.setprofile(None)

    def _look(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call":
            rule = self._of_builtin(argument)
        elif event == "call":
            rule = self._rules.code.get(frame.f_code)
            if rule is None and frame.f_code in _ASKING:
                rule = _SETS if set_loop(frame.f_back) else None
        else:
            return
        if rule is None or (rule is not _SETS and _is_ours(frame)):
            return
        loop = asyncio._get_running_loop()  # noqa: SLF001 - what the trap has set
        if isinstance(loop, TrapLoop):
            rule = _of_library(frame) or rule
            loop.refuse_with(f"a workflow cannot use {rule[0]}: {_reason(rule)}")

    def _of_builtin(self, function: Any) -> Rule | None:
        try:
            rule = self._rules.functions.get(function)
        except TypeError:  # what cannot be hashed is none of ours
            return None
        if rule is not None:
            return rule
        owner = getattr(function, "__self__", None)
        if owner is None:
            return None
        if owner is _SHARED_CHANCE:
            return _CHANCE
        kind = owner if isinstance(owner, type) else type(owner)
        name = getattr(function, "__name__", "")
        for base in kind.__mro__:
            found = self._rules.methods.get((base, name))
            if found is not None:
                return found
        return None


def _reason(rule: Rule) -> str:
    return rule[1] if rule is _SETS else f"it gives something else on replay; {rule[1]}"


def _is_ours(frame: FrameType) -> bool:
    """Whether a call is made for us, or by what may: logging looks at the clock, too."""
    above: FrameType | None = frame
    while above is not None:
        module = above.f_globals.get("__name__", "")
        if module == "daprflow.workflows.runner":
            return False
        if module.startswith(_MAY) or _is_collecting(above.f_code):
            return True
        above = above.f_back
    return True


def _of_library(frame: FrameType) -> Rule | None:
    """Return what the outermost of the known libraries that led to a call is for."""
    found = None
    above: FrameType | None = frame
    while above is not None:
        module = above.f_globals.get("__name__", "")
        if module == "daprflow.workflows.runner":
            break
        found = _LIBRARIES.get(module.partition(".")[0], found)
        above = above.f_back
    return found


def _is_collecting(code: CodeType) -> bool:
    """Whether code belongs to the collection of garbage, which comes at any time."""
    if code.co_name == "__del__":
        return True
    return any(getattr(each, "__code__", None) is code for each in gc.callbacks)


def _rules() -> _Rules:
    functions: dict[Any, Rule] = {}
    for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"):
        functions[getattr(time, name)] = _CLOCK
    for name in ("localtime", "gmtime", "ctime", "process_time", "strftime"):
        functions[getattr(time, name)] = _CLOCK
    functions |= {
        time.sleep: _SLEEP,
        os.urandom: _ENTROPY,
        os.putenv: _ENVIRONMENT,
        io.open: _FILES,
        os.open: _FILES,
        os.listdir: _FILES,
        os.scandir: _FILES,
        os.stat: _FILES,
        os.system: _PROCESSES,
        _thread.start_new_thread: _THREADS,
        getattr(_thread, "start_joinable_thread", _thread.start_new_thread): _THREADS,  # 3.13
    }
    for name in ("getaddrinfo", "gethostbyname", "gethostname"):
        functions[getattr(__import__("_socket"), name)] = _NETWORK
    for name in ("fork", "forkpty", "posix_spawn"):
        if hasattr(os, name):
            functions[getattr(os, name)] = _PROCESSES
    lowest: type = socket.socket.__mro__[1]
    methods: dict[tuple[type, str], Rule] = {
        (lowest, name): _NETWORK
        for name in ("connect", "connect_ex", "bind", "send", "sendall", "sendto", "recv")
    }
    for kind in (dt.datetime, dt.date):
        for name in ("now", "utcnow", "today"):
            if hasattr(kind, name):
                methods[(kind, name)] = _CLOCK
    code: dict[CodeType, Rule] = {
        uuid.uuid4.__code__: _UUID,
        uuid.uuid1.__code__: _UUID,
        os.getenv.__code__: _ENVIRONMENT,
    }
    for name in ("__getitem__", "__setitem__", "__iter__", "__delitem__"):
        code[getattr(os._Environ, name).__code__] = _ENVIRONMENT  # noqa: SLF001 - the type of os.environ
    code[socket.socket.__init__.__code__] = _NETWORK
    return _Rules(functions, methods, code)


_SHARED_CHANCE: Any = random.random.__self__  # type: ignore[attr-defined]  # a bound method's owner


_ASKING: frozenset[CodeType] = frozenset(
    {
        WorkflowContext.call.__code__,
        WorkflowContext.start.__code__,
        WorkflowContext.sleep.__code__,
        WorkflowContext.wait.__code__,
    }
)
