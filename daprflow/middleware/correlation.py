"""Correlation ids: accepted or made, bound for logs and calls, and given back."""

import re
from collections.abc import Callable, Collection
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daprflow.client.interception import CallNext, ClientCall, ClientResponse
from daprflow.middleware.paths import Paths, passes
from daprflow.observability.correlation import CORRELATION_ID

HEADER = "x-correlation-id"
LONGEST = 128
_fit = re.compile(rb"[A-Za-z0-9._:/@+=-]+")


def new_id() -> str:
    """Return an id of 32 hex digits."""
    return uuid4().hex


class Correlation:
    """Gives every request an id: the caller's, where it has one that can be used, or a new one.

    On the way in: the id is checked (letters, digits and ``._:/@+=-``, at most 128), put into the
    request's header, and bound: ``correlation_id()`` of `daprflow.observability.correlation` tells
    it, log lines have it, and with `CorrelationHeader` calls of the client take it along. On the
    way out: the answer has it. It goes outermost, so that whatever is logged has an id.

    Args:
        app: what is called inside.
        header: the header's name.
        make: returns a new id.
        exclude: paths that get none.

    Raises:
        ValueError: ``header`` is no header's name.

    Example:
        ```python
        shop = DaprFlow("shop", middleware=[Middleware(Correlation, header="x-request-id")])
        ```
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        header: str = HEADER,
        make: Callable[[], str] = new_id,
        exclude: Collection[str] = (),
    ) -> None:
        if not re.fullmatch(r"[A-Za-z0-9-]+", header):
            raise ValueError(f"header {header!r} is no header's name")
        self.app = app
        self._header = header.lower().encode()
        self._make = make
        self._excluded = Paths(exclude)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Bind the id around the request."""
        if passes(scope, self._excluded):
            await self.app(scope, receive, send)
            return
        header = self._header
        given = [value for name, value in scope["headers"] if name == header]
        if len(given) == 1 and len(given[0]) <= LONGEST and _fit.fullmatch(given[0]):
            value = given[0]
        else:
            value = self._make().encode("latin-1", "replace")
            kept = [pair for pair in scope["headers"] if pair[0] != header]
            scope = {**scope, "headers": [*kept, (header, value)]}

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message.get("headers", ()) if pair[0] != header]
                message = {**message, "headers": [*kept, (header, value)]}
            await send(message)

        token = CORRELATION_ID.set(value.decode("latin-1"))
        try:
            await self.app(scope, receive, send_with_id)
        finally:
            CORRELATION_ID.reset(token)


class CorrelationHeader:
    """A client's interceptor that sends the id of the request being handled along.

    ``Client(interceptors=[CorrelationHeader()])``, or ``app.client.add_interceptors(...)``. A call
    that has such a header of its own keeps it.

    Args:
        header: the header's name.

    Example:
        ```python
        client = Client(interceptors=[CorrelationHeader()])
        ```
    """

    def __init__(self, header: str = HEADER) -> None:
        self._header = header.lower()

    async def __call__(self, call: ClientCall, call_next: CallNext) -> ClientResponse:
        """Add the header."""
        value = CORRELATION_ID.get()
        if value and not any(name == self._header for name, _ in call.headers):
            call = call.with_headers((self._header, value))
        return await call_next(call)
