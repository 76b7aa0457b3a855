"""The calls of stubs on a channel to one app, by the rules of all calls of the client."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from daprflow.client.circuit import CircuitOpen
from daprflow.client.describing import Purpose
from daprflow.client.grpc_calls import GrpcCall, carry
from daprflow.client.open_stream import OpenStream
from daprflow.client.opening import Opening
from daprflow.errors import SidecarUnavailable
from daprflow.protocol.http import Headers
from daprflow.transports.events import CallRefused

logger = logging.getLogger(__name__)

Send = Callable[[Headers], Awaitable[Any]]

OPENING = 1.0
"""Seconds that a stream counts as a call of its app until its answer begins: one that is silent is
no call that hangs, and may stay open for days."""


class Stubs:
    """Makes the calls of one app's stubs.

    Args:
        way: of the client.
        app_id: the app, or ``app.namespace``.
        library: `daprflow.transports.grpc`, which is loaded late.
    """

    def __init__(self, way: Opening, app_id: str, library: Any) -> None:
        self._way = way
        self._app_id = app_id
        self._library = library

    async def call(self, method: str, seconds: float | None, send: Send) -> Any:
        """Make a call with one request and one answer.

        Raises:
            CallRefused: it failed.
            SidecarUnavailable: its connection did.
        """

        async def sent(headers: Headers, _: float | None) -> Any:
            return await send(headers)

        try:
            return await carry(self._way, self._call("call", method, seconds, sent))
        except CircuitOpen as error:
            raise self._library.unavailable(str(error)) from error

    async def open(self, method: str, seconds: float | None, start: Send) -> Any:
        """Open a stream; its interceptors, which wait for its answer, go on beside its user.

        Args:
            method: its name.
            seconds: what all of it may take; None for no limit.
            start: makes gRPC's call of it.
        """
        opened: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        stream = _Stream(self._library, start, opened)
        call = self._call("stream", method, seconds, stream.send, stream.life)
        give_up = self._way.channels.beside(self._run(call, stream))
        try:
            return await opened
        except asyncio.CancelledError:
            give_up()
            raise

    def _call(
        self,
        operation: str,
        method: str,
        seconds: float | None,
        send: Callable[[Headers, float | None], Awaitable[Any]],
        stream: OpenStream | None = None,
    ) -> GrpcCall[Any]:
        return GrpcCall(
            Purpose("invoke", operation, self._app_id, method.removeprefix("/")),
            method,
            seconds,
            send,
            f"/v1.0/invoke/{self._app_id}",
            None if stream is None else OPENING,
            app_id=self._app_id,
            stream=stream,
        )

    async def _run(self, call: GrpcCall[Any], stream: "_Stream") -> None:
        """Take a stream through the interceptors, and tell them of its end."""
        opened = stream.opened
        try:
            answer = await carry(self._way, call)
        except asyncio.CancelledError:
            opened.cancel()
            raise
        except CircuitOpen as error:
            stream.refuse(self._library.unavailable(str(error)))
        except (CallRefused, SidecarUnavailable) as error:
            stream.refuse(error)  # an open one has it in gRPC's own terms
        except Exception as error:
            if opened.done() and not opened.cancelled():
                logger.exception("an interceptor failed, so that stream '%s' ends", call.method)
                opened.result().cancel()
            stream.refuse(error)
        else:
            if not opened.done():
                opened.set_result(answer)  # an interceptor's own
                return
        await stream.ended()


class _Stream:
    """One stream, from its start to its end."""

    __slots__ = ("_library", "_start", "life", "opened")

    def __init__(self, library: Any, start: Send, opened: "asyncio.Future[Any]") -> None:
        self._library = library
        # Taken out when it is started: that is done once, and what it holds is not needed then.
        self._start: list[Send] = [start]
        self.opened = opened
        self.life: OpenStream = OpenStream()

    async def send(self, headers: Headers, _: float | None) -> Any:
        """Start it, and return once its answer begins.

        Raises:
            CallRefused: it ended before.
        """
        if not self._start:
            raise RuntimeError("an interceptor went on twice; a stream is opened once")
        call = await self._start.pop()(headers)
        if self.opened.done():
            call.cancel()
        else:
            self.opened.set_result(call)
        await self._library.begun(call)
        return call

    def refuse(self, error: BaseException) -> None:
        """Have the error raised that kept it from being opened."""
        if not self.opened.done():
            self.opened.set_exception(error)

    async def ended(self) -> None:
        """Return when it has ended, and tell so."""
        if self.opened.cancelled() or self.opened.exception() is not None:
            self.life.finish(499, "CANCELLED")
            return
        refused = await self._library.ending(self.opened.result())
        if refused is None:
            self.life.finish()
        else:
            self.life.finish(refused.status, refused.fault.code)
