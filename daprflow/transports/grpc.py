"""The client's way to a sidecar over gRPC: channels with limits, keep-alive and credentials.

Import it inside the function that opens a channel (`daprflow.client.channels` does): the library
costs more than all of daprflow.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from grpc.aio import EOF, AioRpcError, Channel, ClientInterceptor

from daprflow.errors import SidecarUnavailable
from daprflow.handlers import trace
from daprflow.protocol.fault import FaultText
from daprflow.protocol.grpc_codes import http_status
from daprflow.protocol.http import Headers
from daprflow.settings import Settings
from daprflow.transports.events import CallRefused
from daprflow.transports.grpc_endpoint import GrpcEndpoint
from daprflow.transports.tls import grpc_files

__all__ = [
    "EOF",
    "AioRpcError",
    "Channel",
    "begun",
    "ending",
    "is_closed",
    "is_connected",
    "open_channel",
    "passes",
    "reach",
    "through",
    "unavailable",
]

MESSAGE = 4 * 1024 * 1024
"""Bytes of one message that is received where the settings leave it to gRPC: its own default."""
SENT = 64 * 1024 * 1024
"""Bytes of one message that may be sent; the sidecar's own limit, 4 MiB at first, comes before."""
METADATA = 64 * 1024
KEEPALIVE = 30_000
"""Milliseconds of silence until a ping. The runtime takes one every eight seconds at most."""
PONG = 10_000
FIRST_PAUSE, LONGEST_PAUSE = 100, 250
"""Milliseconds between attempts to connect; the library's own go up to two minutes.

A sidecar is on the same machine, and within a second of its return work must come again."""
CONNECTING = 5_000

_PASSING = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNKNOWN,
    }
)

Ready = Callable[[], Awaitable[None]]
Send = Callable[[Headers], Awaitable[Any]]
Around = Callable[[str, float | None, Send], Awaitable[Any]]
"""Makes a call, by its method and its seconds, with what sends it; adds what it does around it."""


def open_channel(
    endpoint: GrpcEndpoint, settings: Settings, interceptors: Sequence[ClientInterceptor] = ()
) -> Channel:
    """Return a channel of the running event loop; it connects with its first call."""
    options = _options(endpoint, settings)
    if endpoint.tls:
        credentials = grpc.ssl_channel_credentials(*grpc_files(settings))
        return grpc.aio.secure_channel(
            endpoint.target, credentials, options, interceptors=interceptors
        )
    return grpc.aio.insecure_channel(endpoint.target, options, interceptors=interceptors)


def is_closed(channel: Channel) -> bool:
    """Tell whether somebody closed ``channel``."""
    return channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN


def is_connected(channel: Channel) -> bool:
    """Tell whether ``channel`` has a connection, as far as it knows by now."""
    return channel.get_state() is grpc.ChannelConnectivity.READY


def passes(error: AioRpcError) -> bool:
    """Tell whether a stream ended as it does when its sidecar goes away, stops or is replaced."""
    return error.code() in _PASSING


async def reach(channel: Channel) -> None:
    """Return once ``channel`` is connected; it goes on trying."""
    while (state := channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
        await channel.wait_for_state_change(state)


async def begun(call: Any) -> None:
    """Return when the answer of a stream begins, as its head came.

    Raises:
        CallRefused: it ended with an error before.
    """
    await call.initial_metadata()
    refused = await ending(call) if call.done() else None
    if refused is not None:
        raise refused


async def ending(call: Any) -> CallRefused | None:
    """Return how a stream ended, once it has: None where that is no error."""
    code = await call.code()
    if code is grpc.StatusCode.OK:
        return None
    return _refused_as(code, await call.details())


def through(
    app_id: str, settings: Settings, ready: Ready, around: Around, opening: Around
) -> tuple[ClientInterceptor, ClientInterceptor, ClientInterceptor, ClientInterceptor]:
    """Return what sends every call of a channel to an app.

    Args:
        app_id: the app, or ``app.namespace``.
        settings: have the token.
        ready: awaited before each call; a `grpc.aio.AioRpcError` of it is the call's.
        around: what each call with one request and one answer is made in; what is sent raises
            `CallRefused` where it fails.
        opening: what each other call is opened in; what is sent is gRPC's call.
    """
    fixed = [("dapr-app-id", app_id)]
    if settings.api_token:
        fixed.append(("dapr-api-token", settings.api_token))
    passage = _Passage(tuple(fixed), ready)
    # One of each: a channel takes an interceptor for one kind of calls, even if it could do more.
    return (
        _UnaryUnary(passage, around),
        _UnaryStream(passage, opening),
        _StreamUnary(passage, opening),
        _StreamStream(passage, opening),
    )


def unavailable(text: str) -> AioRpcError:
    """Return the error of a call for which no sidecar was there."""
    return _refused(grpc.StatusCode.UNAVAILABLE, text)


def _refused(code: grpc.StatusCode, text: str) -> AioRpcError:
    return AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), text)


def _as_refused(error: AioRpcError) -> CallRefused:
    """Return an app's error as what an interceptor knows."""
    return _refused_as(error.code(), error.details())


def _refused_as(code: grpc.StatusCode, details: str | None) -> CallRefused:
    fault = FaultText(code.name, details or f"the call ended with {code.name}")
    lost = code is grpc.StatusCode.UNAVAILABLE
    return CallRefused(http_status(code.value[0]), fault, unavailable=lost)


def _options(endpoint: GrpcEndpoint, settings: Settings) -> tuple[tuple[str, Any], ...]:
    received = settings.grpc_max_message_size or MESSAGE
    return (
        ("grpc.max_receive_message_length", received),
        ("grpc.max_send_message_length", max(SENT, received)),
        ("grpc.max_metadata_size", METADATA),
        ("grpc.absolute_max_metadata_size", METADATA),
        ("grpc.keepalive_time_ms", KEEPALIVE),
        ("grpc.keepalive_timeout_ms", PONG),
        ("grpc.http2.ping_timeout_ms", PONG),  # of the library's own pings; a minute by default
        ("grpc.keepalive_permit_without_calls", 0),
        ("grpc.http2.max_pings_without_data", 0),  # an idle subscription has no other sign of life
        ("grpc.initial_reconnect_backoff_ms", FIRST_PAUSE),
        ("grpc.max_reconnect_backoff_ms", LONGEST_PAUSE),
        ("grpc.min_reconnect_backoff_ms", CONNECTING),
        ("grpc.enable_http_proxy", 0 if endpoint.loopback else 1),
        ("grpc.primary_user_agent", "daprflow"),
    )


@dataclass(frozen=True, slots=True)
class _Passage:
    """What every call to an app goes by: readiness first, then metadata."""

    fixed: tuple[tuple[str, str], ...]
    ready: Ready

    async def prepare(self, details: Any, headers: Headers = ()) -> Any:
        """Wait for the sidecar within the call's time; return the call with our metadata.

        Args:
            details: of the call.
            headers: what interceptors send in the place of what has their names.
        """
        left = details.timeout
        if left is None:
            await self.ready()
        else:
            left = await self._ready_within(left)
        return grpc.aio.ClientCallDetails(
            details.method,
            left,
            self._with_ours(details.metadata, headers),
            details.credentials,
            details.wait_for_ready,
        )

    async def _ready_within(self, seconds: float) -> float:
        """Wait and return what is left of ``seconds``."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        limit = asyncio.timeout_at(end)
        try:
            async with limit:
                await self.ready()
        except TimeoutError:
            if not limit.expired():
                raise
            text = "no sidecar became ready in the call's time"
            raise _refused(grpc.StatusCode.DEADLINE_EXCEEDED, text) from None
        return max(0.0, end - loop.time())

    def _with_ours(self, given: Any, headers: Headers) -> grpc.aio.Metadata:
        fixed = {name for name, _ in self.fixed}
        pairs = [pair for pair in headers if pair[0] not in fixed]
        taken = fixed.union(name for name, _ in pairs)
        pairs += [(name, value) for name, value in given or () if name not in taken]
        delivered = trace.DELIVERED.get()
        if delivered is not None:
            names = {name for name, _ in pairs}
            pairs += [pair for pair in trace.headers_of(delivered) if pair[0] not in names]
        return grpc.aio.Metadata(*pairs, *self.fixed)


class _UnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, passage: _Passage, around: Around) -> None:
        self._passage = passage
        self._around = around

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        failed: list[Any] = []
        now = asyncio.get_running_loop().time
        end = None if details.timeout is None else now() + details.timeout

        async def send(headers: Headers) -> Any:
            failed.clear()
            left = None if end is None else max(0.0, end - now())
            told = await self._passage.prepare(details._replace(timeout=left), headers)
            call = await continuation(told, request)
            try:
                await call
            except AioRpcError as error:
                failed.append(call)
                raise _as_refused(error) from None
            except asyncio.CancelledError:
                call.cancel()
                raise
            return call

        try:
            return await self._around(_name(details), details.timeout, send)
        except (CallRefused, SidecarUnavailable):
            if failed:  # it has the error in gRPC's own terms, with its metadata
                return failed[0]
            raise


class _Streams:
    """What the interceptors of streams have in common."""

    def __init__(self, passage: _Passage, opening: Around) -> None:
        self._passage = passage
        self._opening = opening

    async def open(self, continuation: Any, details: Any, requests: Any) -> Any:
        """Open a stream; ``requests`` is one where it has one."""

        async def start(headers: Headers) -> Any:
            return await continuation(await self._passage.prepare(details, headers), requests)

        return await self._opening(_name(details), details.timeout, start)


class _UnaryStream(_Streams, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return await self.open(continuation, details, request)


class _StreamUnary(_Streams, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(self, continuation: Any, details: Any, requests: Any) -> Any:
        return await self.open(continuation, details, requests)


class _StreamStream(_Streams, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation: Any, details: Any, requests: Any) -> Any:
        return await self.open(continuation, details, requests)


def _name(details: Any) -> str:
    method: bytes | str = details.method
    return method.decode() if isinstance(method, bytes) else method
