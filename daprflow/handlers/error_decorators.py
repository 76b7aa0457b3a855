"""What ``app.on_error(...)`` returns and keeps; looked at when the app freezes."""

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import msgspec

from daprflow.handlers.registration import Source, name_of

E = TypeVar("E", bound=Exception)
R = TypeVar("R")
P = ParamSpec("P")


class ErrorDecorator(Protocol[E]):
    """What ``app.on_error(ValueError)`` returns: takes a function whose argument is the error."""

    def __call__(
        self, function: Callable[Concatenate[E, P], R], /
    ) -> Callable[Concatenate[E, P], R]:
        """Register ``function`` and return it as it is."""
        ...


class ErrorRegistration(msgspec.Struct, frozen=True):
    """One decorated error handler; compiled at freeze.

    Attributes:
        error: the class it is for.
        status: what a caller is answered where it returns a value.
    """

    error: Any
    status: Any
    function: Callable[..., Any]
    source: Source

    @property
    def title(self) -> str:
        """How messages call it."""
        return f"error handler '{name_of(self.function)}' ({self.source})"
