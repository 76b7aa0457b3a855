"""An app that speaks gRPC on a real server: functions answer, and what they were asked is noted."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc

from daprflow.protocol import messages
from daprflow.protocol.messages import Message

SERVICE = "/dapr.proto.runtime.v1.AppCallback/"
ALPHA = "/dapr.proto.runtime.v1.AppCallbackAlpha/"
HEALTH = "/dapr.proto.runtime.v1.AppCallbackHealthCheck/"

Context = Any
Answer = Callable[[Any, Context], Awaitable[Message]]
Stream = Callable[[AsyncIterator[bytes], Context], Awaitable[None]]

REQUESTS: Mapping[str, type[Message]] = {
    f"{SERVICE}OnInvoke": messages.InvokeRequest,
    f"{SERVICE}ListTopicSubscriptions": messages.Empty,
    f"{SERVICE}OnTopicEvent": messages.TopicEventRequest,
    f"{SERVICE}ListInputBindings": messages.Empty,
    f"{SERVICE}OnBindingEvent": messages.BindingEventRequest,
    f"{SERVICE}OnBulkTopicEvent": messages.TopicEventBulkRequest,
    f"{SERVICE}OnJobEvent": messages.JobEventRequest,
    f"{ALPHA}OnBulkTopicEventAlpha1": messages.TopicEventBulkRequest,
    f"{ALPHA}OnJobEventAlpha1": messages.JobEventRequest,
    f"{HEALTH}HealthCheck": messages.Empty,
}


@dataclass(frozen=True, slots=True)
class RpcCall:
    """One call that the app was asked for; ``metadata`` has a list of values for each name."""

    rpc: str
    request: Any
    metadata: Mapping[str, list[str | bytes]]
    remaining: float | None


@dataclass
class GrpcTestApp:
    """Answers callbacks with ``answers`` and other methods with ``streams``; all are noted.

    Attributes:
        answers: by the full name of a method; those of `REQUESTS`.
        streams: by the full name of a method of the app's own: messages are bytes both ways.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    streams: dict[str, Stream] = field(default_factory=dict)
    calls: list[RpcCall] = field(default_factory=list)
    port: int = 0
    server: "grpc.aio.Server | None" = None

    def seen(self, rpc: str) -> list[RpcCall]:
        """Return the calls of one method."""
        return [call for call in self.calls if call.rpc == rpc]

    async def start(self, credentials: grpc.ServerCredentials | None = None) -> None:
        """Listen, on the port of before where there was one."""
        server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        server.add_generic_rpc_handlers((_Handlers(self),))
        address = f"127.0.0.1:{self.port}"
        if credentials is None:
            self.port = server.add_insecure_port(address)
        else:
            self.port = server.add_secure_port(address, credentials)
        await server.start()
        self.server = server

    async def stop(self) -> None:
        """Listen no more; calls under way are cut."""
        server, self.server = self.server, None
        if server is not None:
            await server.stop(None)

    def note(self, rpc: str, request: Any, context: Context) -> None:
        """Note a call."""
        metadata: dict[str, list[str | bytes]] = {}
        for name, value in context.invocation_metadata() or ():
            metadata.setdefault(name, []).append(value)
        self.calls.append(RpcCall(rpc, request, metadata, context.time_remaining()))


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, app: GrpcTestApp) -> None:
        self._app = app

    def service(self, handler_call_details: Any) -> Any:
        app, rpc = self._app, handler_call_details.method
        if rpc in app.answers:
            answer = app.answers[rpc]

            async def once(request: Any, context: Context) -> Message:
                app.note(rpc, request, context)
                return await answer(request, context)

            return grpc.unary_unary_rpc_method_handler(
                once, REQUESTS[rpc].FromString, lambda message: message.SerializeToString()
            )
        if rpc in app.streams:
            stream = app.streams[rpc]

            async def both(requests: AsyncIterator[bytes], context: Context) -> None:
                app.note(rpc, None, context)
                await stream(requests, context)

            return grpc.stream_stream_rpc_method_handler(both)
        return None


@contextlib.asynccontextmanager
async def grpc_app(**answers: Answer) -> AsyncIterator[GrpcTestApp]:
    """Start an app with ``answers`` by the plain names of callbacks."""
    full = {name.rpartition("/")[2]: name for name in REQUESTS}
    app = GrpcTestApp({full[name]: answer for name, answer in answers.items()})
    await app.start()
    try:
        yield app
    finally:
        await app.stop()


def always(message: Message) -> Answer:
    """Answer every call with ``message``."""

    async def answer(_request: Any, _context: Context) -> Message:
        return message

    return answer


def refusing(code: grpc.StatusCode, text: str = "no") -> Answer:
    """Answer every call with an error."""

    async def answer(_request: Any, context: Context) -> Message:
        await context.abort(code, text)
        raise AssertionError

    return answer
