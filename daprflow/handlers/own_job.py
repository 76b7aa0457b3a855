"""The handle that ``@app.job`` returns: a job of this app, still callable."""

from collections.abc import Callable
from typing import Any, TypeVar

from daprflow.addresses import Job
from daprflow.handlers.registration import JobOptions, Registration

T = TypeVar("T")


class OwnJob(Job[T]):
    """A job handler as a typed handle; calling it calls the function as it was written.

    Its type is read from the signature when first asked for, since annotations may name classes
    that are defined later.
    """

    __slots__ = ("__wrapped__", "_registration")

    def __init__(self, registration: Registration, /) -> None:
        options = registration.options
        self.name: str = options.name if isinstance(options, JobOptions) else registration.name
        self._payload: Any = None
        self._registration = registration
        self.__wrapped__: Callable[..., Any] = registration.function

    @property
    def payload(self) -> type[T]:
        """The type of the job's data; ``NoneType`` where there is none."""
        if self._payload is None:
            self._payload = _payload_of(self._registration)
        payload_type: type[T] = self._payload
        return payload_type

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function as it was written."""
        return self.__wrapped__(*args, **kwargs)


def _payload_of(registration: Registration) -> Any:
    # Importing daprflow does not pay for the reading of signatures.
    from daprflow.handlers.signature import (  # noqa: PLC0415 - see above
        MISSING,
        SignatureError,
        read_handler,
    )

    try:
        payload = read_handler(registration.function, registration.source).payload
    except SignatureError as error:
        raise TypeError(f"{registration.title} {error}") from None
    if payload is None:
        return type(None)
    return Any if payload.type is MISSING else payload.type
