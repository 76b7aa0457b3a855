"""The app channel over gRPC."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from daprflow.protocol.messages import Empty, Message
from daprflow.sidecar.channel.base import AppAway, AppUnreachable
from daprflow.sidecar.channel.probing import accepts_connections
from daprflow.sidecar.channel.rpc import Metadata, RpcAnswer, RpcFailed
from daprflow.sidecar.channel.slots import Slots
from daprflow.sidecar.channel.tls_relay import TlsRelay

if TYPE_CHECKING:
    from daprflow.sidecar.telemetry.app_watch import AppWatch

CONNECT_TIMEOUT = 5.0
NOTICED = 0.1
"""Seconds after an UNAVAILABLE for the connection to show that it broke."""
CALLBACKS = "/dapr.proto.runtime.v1.AppCallback/"
ALPHA_CALLBACKS = "/dapr.proto.runtime.v1.AppCallbackAlpha/"
_HEALTH = "/dapr.proto.runtime.v1.AppCallbackHealthCheck/HealthCheck"
_METADATA_LIMIT = 4 * 1024 * 1024
_PING = 360_000
"""Milliseconds without traffic before a ping: common servers end connections that ping oftener."""
_PONG = 20_000

M = TypeVar("M", bound=Message)


class GrpcChannel:
    """Calls an app over gRPC on loopback.

    It connects with the first call, and at once with the next one after the app was started anew:
    the library's own pauses between attempts are passed by. No call has a deadline of its own.

    Args:
        host: address of the app.
        port: where it listens.
        tls: whether it speaks TLS; its certificate is not verified, as with the real runtime.
        app_token: sent as ``dapr-api-token``; None sends none.
        max_concurrency: calls at one time; None means no limit, health checks and streams pass it.
        message_limit: bytes of one message, both ways; negative means no limit.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: bool = False,
        app_token: str | None = None,
        max_concurrency: int | None = None,
        message_limit: int = 4 * 1024 * 1024,
    ) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._relay = TlsRelay(host, port) if tls else None
        self._slots = Slots(max_concurrency)
        self._options = _options(message_limit)
        self.token: Metadata = () if app_token is None else (("dapr-api-token", app_token),)
        self._channel: grpc.aio.Channel | None = None
        self._connecting: asyncio.Lock | None = None
        self._closed = False
        self._watch: AppWatch | None = None

    async def call(self, rpc: str, request: Message, answer: type[M], metadata: Metadata = ()) -> M:
        """Make a call and return the answer.

        Args:
            rpc: name of the method with its service: ``/service/Method``.
            request: what is sent.
            answer: the type of what comes back.
            metadata: goes along; the token is added.

        Raises:
            RpcFailed: the app answered with an error.
            AppAway: the app does not listen.
            AppUnreachable: no sound answer came.
        """
        return (await self.exchange(rpc, request, answer, metadata)).message

    async def exchange(
        self, rpc: str, request: Message, answer: type[M], metadata: Metadata = ()
    ) -> RpcAnswer[M]:
        """Make a call with metadata both ways; see `call`."""
        metadata = (*metadata, *self.token)
        if self._watch is not None:
            metadata = self._watch.sent(metadata)
        if not self._slots.limited:
            return await self._watched(rpc, request, answer, metadata)
        await self._slots.take()
        try:
            return await self._watched(rpc, request, answer, metadata)
        finally:
            self._slots.give()

    def watch(self, watch: "AppWatch") -> None:
        """Have calls watched from now on."""
        self._watch = watch

    async def _watched(
        self, rpc: str, request: Message, answer: type[M], metadata: Metadata
    ) -> RpcAnswer[M]:
        if self._watch is None:
            return await self._exchange(rpc, request, answer, metadata)
        work = self._exchange(rpc, request, answer, metadata)
        return await self._watch.rpc(rpc, request.ByteSize(), work)

    async def check(self) -> None:
        """Make a health check; see `call`. It carries no token and passes the limit on calls."""
        work = self._exchange(_HEALTH, Empty(), Empty, ())
        await (work if self._watch is None else self._watch.rpc_probe(work))

    async def stream(
        self,
        method: str,
        requests: AsyncIterator[bytes],
        metadata: Metadata,
        timeout: float | None,  # noqa: ASYNC109 - it travels to the app
    ) -> "grpc.aio.StreamStreamCall[bytes, bytes]":
        """Begin a call of any kind with messages as they are on the wire.

        Args:
            method: as it stands in the caller's request.
            requests: what is sent, message by message.
            metadata: all of it; the token is added.
            timeout: seconds until the caller's deadline; None where there is none.

        Raises:
            AppAway: the app does not listen.
        """
        channel = await self.reach()
        begin: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(method)
        return begin(requests, metadata=(*metadata, *self.token), timeout=timeout)

    async def probe(self) -> bool:
        """Tell whether the app accepts a connection now."""
        return await accepts_connections(self._host, self._port, tls=self._tls)

    async def close(self) -> None:
        """Give back the connection; calls under way fail."""
        self._closed = True
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()
        if self._relay is not None:
            await self._relay.close()

    async def _exchange(
        self, rpc: str, request: Message, answer: type[M], metadata: Metadata
    ) -> RpcAnswer[M]:
        channel = await self.reach()
        begin: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(rpc)
        call = begin(request.SerializeToString(), metadata=metadata)
        try:
            body = await call
            headers = pairs_of(await call.initial_metadata())
            trailers = pairs_of(await call.trailing_metadata())
        except grpc.aio.AioRpcError as error:
            await _noticed(channel, error)
            raise self.failure(error) from error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # The library cancels the calls of a channel that is closed, not whoever made them.
            lost = "the sidecar is shutting down" if self._closed else "the connection was given up"
            raise AppUnreachable(lost) from None
        try:
            return RpcAnswer(answer.FromString(body), headers, trailers)
        except Exception as error:
            raise AppUnreachable(f"the app's answer to {rpc} cannot be read") from error

    def failure(self, error: grpc.aio.AioRpcError) -> RpcFailed | AppUnreachable:
        """Return what an error of the library means."""
        channel, code = self._channel, error.code()
        connected = channel is not None and channel.get_state() is _READY
        text = error.details() or ""
        if code is grpc.StatusCode.UNAVAILABLE and not connected:
            return AppUnreachable(text)
        headers, trailers = error.initial_metadata(), error.trailing_metadata()
        return RpcFailed(code.value[0], text, pairs_of(headers), pairs_of(trailers))

    async def reach(self) -> grpc.aio.Channel:
        """Return a channel that is connected.

        Raises:
            AppAway: the app does not listen.
        """
        channel = self._channel
        if channel is not None and channel.get_state() is _READY:
            return channel
        if self._connecting is None:
            self._connecting = asyncio.Lock()
        async with self._connecting:
            return await self._connect()

    async def _connect(self) -> grpc.aio.Channel:
        """Return a channel that is connected; a failed one is replaced, as it would pause first."""
        if self._closed:
            raise AppAway("the sidecar is shutting down")
        channel = self._channel
        if channel is None or channel.get_state() is _FAILED:
            if channel is not None:
                await channel.close()
            channel = self._channel = await self._open()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                while (state := channel.get_state(try_to_connect=True)) is not _READY:
                    if self._closed:
                        raise AppAway("the sidecar is shutting down")
                    if state is _FAILED:
                        raise AppAway(f"the app does not accept connections on {self._address}")
                    await channel.wait_for_state_change(state)
        except TimeoutError:
            raise AppAway(f"what listens on {self._address} does not speak gRPC") from None
        return channel

    @property
    def _address(self) -> str:
        return f"{f'[{self._host}]' if ':' in self._host else self._host}:{self._port}"

    async def _open(self) -> grpc.aio.Channel:
        target = self._address if self._relay is None else await self._relay.open()
        return grpc.aio.insecure_channel(target, self._options)


_READY = grpc.ChannelConnectivity.READY
_FAILED = grpc.ChannelConnectivity.TRANSIENT_FAILURE


async def _noticed(channel: grpc.aio.Channel, error: grpc.aio.AioRpcError) -> None:
    """Let a channel learn that its connection broke: the calls on it may hear of it before.

    By the error alone nobody can tell that from an app which calls itself unavailable.
    """
    if error.code() is not grpc.StatusCode.UNAVAILABLE:
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(NOTICED):
            while channel.get_state() is _READY:
                await channel.wait_for_state_change(_READY)


def pairs_of(metadata: Any) -> Metadata:
    """Return metadata of the library as plain pairs."""
    return tuple((name, value) for name, value in metadata or ())


def _options(message_limit: int) -> tuple[tuple[str, int], ...]:
    limit = max(message_limit, -1)
    return (
        ("grpc.max_receive_message_length", limit),
        ("grpc.max_send_message_length", limit),
        ("grpc.max_metadata_size", _METADATA_LIMIT),
        ("grpc.absolute_max_metadata_size", _METADATA_LIMIT),
        ("grpc.keepalive_time_ms", _PING),
        ("grpc.keepalive_timeout_ms", _PONG),
        ("grpc.enable_http_proxy", 0),
        ("grpc.min_reconnect_backoff_ms", int(CONNECT_TIMEOUT * 1000)),  # limits an attempt, too
        # One of its own: no pause is taken over from another channel to the same address.
        ("grpc.use_local_subchannel_pool", 1),
    )
