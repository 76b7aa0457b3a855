"""How messages call an app's functions, by their code: what a stack shows of a handler."""

from collections.abc import Iterable, Mapping
from types import CodeType
from typing import Any

from daprflow.handlers.registration import Kind, Registration

_COROUTINE = 0x80


def names_of(registrations: Iterable[Registration]) -> Mapping[CodeType, str]:
    """Return the titles of handlers, activities, workflows, providers and methods of actors."""
    found: dict[CodeType, str] = {}
    for each in registrations:
        if each.kind is Kind.ACTOR and isinstance(each.function, type):
            for name, method in _methods(each.function):
                found.setdefault(method, f"'{name}' of {each.title}")
        elif (code := code_of(each.function)) is not None:
            found[code] = each.title
    return found


def code_of(function: Any) -> CodeType | None:
    """Return the code that runs when something is called; None where it is not Python's."""
    inner = getattr(function, "func", function)
    while hasattr(inner, "__wrapped__"):  # what a decorator stands around
        inner = inner.__wrapped__
    if not hasattr(inner, "__code__") and callable(inner):
        inner = getattr(type(inner), "__call__", None)  # noqa: B004 - its code is wanted
    found = getattr(inner, "__code__", None)
    return found if isinstance(found, CodeType) else None


def is_async(function: Any) -> bool:
    """Whether something was declared with ``async def``."""
    code = code_of(function)
    return code is not None and bool(code.co_flags & _COROUTINE)


def takes_nothing(method: Any) -> bool:
    """Whether a bound method, or a function, can be called without arguments."""
    code, inner = code_of(method), getattr(method, "__func__", method)
    if code is None:
        return False
    given = len(getattr(inner, "__defaults__", None) or ()) + (inner is not method)
    named = len(getattr(inner, "__kwdefaults__", None) or ())
    return code.co_argcount <= given and code.co_kwonlyargcount <= named


def _methods(actor: type) -> Iterable[tuple[str, CodeType]]:
    for base in actor.__mro__[:-1]:
        for name, value in vars(base).items():
            code = code_of(getattr(value, "__func__", value))
            if code is not None and not base.__module__.startswith("daprflow."):
                yield name, code
