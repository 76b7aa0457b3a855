"""One call on the gRPC API, and what a handler of a method looks like."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from daprflow.protocol import messages
from daprflow.sidecar.blocks.pubsub_publish import NO_CONTEXT, Trace
from daprflow.sidecar.grpc_api.baggage import echo_of

if TYPE_CHECKING:
    import grpc

    from daprflow.sidecar.runtime import Runtime

SERVICE = "/dapr.proto.runtime.v1.Dapr/"
TOKEN = "dapr-api-token"  # noqa: S105 - the name of the metadata

_parent = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

Unary = Callable[["GrpcCall", Any], Awaitable[messages.Message]]
ServerStream = Callable[["GrpcCall", Any], AsyncIterator[messages.Message]]
BothStream = Callable[["GrpcCall", AsyncIterator[Any]], AsyncIterator[messages.Message]]


class GrpcCall:
    """A call as a handler sees it.

    Attributes:
        runtime: the sidecar it came to.
        context: the library's, for what a handler seldom needs.
    """

    __slots__ = ("context", "runtime")

    def __init__(self, runtime: "Runtime", context: "grpc.aio.ServicerContext[Any, Any]") -> None:
        self.runtime = runtime
        self.context = context

    @property
    def metadata(self) -> Mapping[str, str]:
        """What came before the message, names in small letters; binary entries are left out."""
        return text_metadata(self.context.invocation_metadata())

    @property
    def trace(self) -> Trace:
        """The caller's trace context, `NO_CONTEXT` where there is none or a broken one.

        A ``tracestate`` gets lost, as it does in the real runtime's gRPC. (That one looks at
        ``grpc-trace-bin`` first, which the library here keeps to itself.)
        """
        parent = self.metadata.get("traceparent", "")
        return Trace(parent) if _parent.fullmatch(parent) else NO_CONTEXT

    async def send_headers(self, *pairs: tuple[str, str]) -> None:
        """Send metadata before the answer, and the caller's baggage with it; once in a call."""
        headers = (*pairs, *echo_of(self.context.invocation_metadata()))
        if headers:
            await self.context.send_initial_metadata(headers)


class Shape(Enum):
    """Who sends how many messages."""

    UNARY = "unary"
    SERVER_STREAM = "server stream"
    BOTH_STREAM = "stream both ways"


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the API.

    Attributes:
        handler: answers a call; of a stream, an async generator.
        request: the type of what the client sends.
        shape: who sends how many messages.
        whole: once begun it goes on to its end, though the client cancels: it changes something
            in more than one step.
        headers: it calls `GrpcCall.send_headers` itself.
    """

    handler: Unary | ServerStream | BothStream
    request: type[messages.Message]
    shape: Shape = Shape.UNARY
    whole: bool = False
    headers: bool = False


def text_metadata(pairs: Any) -> Mapping[str, str]:
    """Return metadata as text; of a name that comes twice the last one counts."""
    return {name: value for name, value in pairs or () if isinstance(value, str)}
