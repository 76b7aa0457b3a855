"""A compiled handler: what is delivered to it and what comes out of it."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from daprflow.handlers.registration import Registration
from daprflow.protocol.deliveries import Status
from daprflow.protocol.http import JSON, Headers


class Delivery(msgspec.Struct):
    """What arrived for a handler, before decoding.

    Attributes:
        kind: "topic", "binding", "cron", "job", "configuration", "invoke", "actor" or "activity".
        name: the address inside its kind, such as "pubsub/orders".
        body: the bytes as they came.
        raw_headers: header pairs as they came, names in lower case; publishers choose most of
            them, so none proves anything.
        scope: the ASGI scope of the request, where there was one.

    Example:
        ```python
        @app.topic(orders)
        async def on_order(order: Order, *, delivery: Delivery) -> None:
            print(delivery.kind, delivery.name)
        ```
    """

    kind: str
    name: str
    body: bytes
    raw_headers: Sequence[tuple[bytes, bytes]] = ()
    scope: MutableMapping[str, Any] | None = None

    @property
    def content_type(self) -> str:
        """The body's media type; JSON where the request does not say."""
        found = (value for name, value in self.raw_headers if name == b"content-type")
        return text(next(found, JSON.encode()))

    @property
    def headers(self) -> Headers:
        """Header pairs as text, names in lower case."""
        return tuple((name.decode("latin-1"), text(value)) for name, value in self.raw_headers)


class Outcome(msgspec.Struct, frozen=True):
    """What a handler made of a delivery, independent of the transport.

    Attributes:
        status: the verdict on an event. An interceptor needs to give no more than this,
            ``Outcome(Status.DROP)``: the answer that says it is made of it. For invoke handlers
            it means nothing.
        http_status: what an HTTP sidecar is answered.
        body: what an invoke handler answers; of events it says the verdict.
        content_type: of ``body``.
        headers: name and value pairs that are answered besides.
        error: what the handler raised, for interceptors to look at; it was logged already.
        error_id: what the caller is told in its place; the log's line has it too. Empty where
            the reason itself is told.

    Example:
        ```python
        async def timing(delivery: Delivery, go_on: Next) -> Outcome:
            outcome = await go_on(delivery)
            print(delivery.name, outcome.status)
            return outcome
        ```
    """

    status: Status = Status.SUCCESS
    http_status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: Headers = ()
    error: BaseException | None = None
    error_id: str = ""


Next = Callable[[Delivery], Awaitable[Outcome]]
Interceptor = Callable[[Delivery, Next], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Handler:
    """One handler, made at freeze: ``call`` nests interceptors, decoding and injection."""

    registration: Registration
    call: Next


def text(value: bytes) -> str:
    """Return a header's value; UTF-8 where it is, since sidecars send metadata so."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
