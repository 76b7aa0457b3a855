"""What ``app.job(...)`` returns, as type checkers see it."""

from collections.abc import Callable
from typing import Any, Concatenate, Protocol, TypeVar, overload

from daprflow.addresses import Job

In = TypeVar("In")


class JobDecorator(Protocol):
    """Takes a function with a payload, whose type is the job's, or without one."""

    @overload
    def __call__(self, function: Callable[Concatenate[In, ...], Any], /) -> Job[In]: ...
    @overload
    def __call__(self, function: Callable[..., Any], /) -> Job[None]: ...


class EmptyJobDecorator(Protocol):
    """Takes a function without a payload."""

    def __call__(self, function: Callable[..., Any], /) -> Job[None]:
        """Register ``function`` and return its handle."""
        ...
