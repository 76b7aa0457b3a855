"""A compiled handler: what is delivered to it and what comes out of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from daprflow.protocol.deliveries import Status
from daprflow.protocol.http import JSON, Headers

if TYPE_CHECKING:
    from daprflow.handlers.registration import Registration


class Delivery(msgspec.Struct):
    """What arrived for a handler, before decoding.

    Attributes:
        kind: "topic", "binding" or "invoke".
        name: the address inside its kind, such as "pubsub/orders".
        body: the bytes as they came.
        headers: pairs with lower-case names; publishers choose most of them, so none proves anything.
    """

    kind: str
    name: str
    body: bytes
    content_type: str = JSON
    headers: Headers = ()


class Outcome(msgspec.Struct, frozen=True):
    """What a handler made of a delivery, independent of the transport.

    Attributes:
        status: the verdict; for invoke and binding handlers SUCCESS with a body.
        http_status: what an HTTP sidecar is answered.
    """

    status: Status = Status.SUCCESS
    http_status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: Headers = ()


Next = Callable[[Delivery], Awaitable[Outcome]]
Interceptor = Callable[[Delivery, Next], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Handler:
    """One handler, made at freeze: ``call`` nests interceptors, decoding and injection."""

    registration: "Registration"
    call: Next
