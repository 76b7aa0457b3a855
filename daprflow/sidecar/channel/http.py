"""The app channel over plain HTTP: a small pool of keep-alive connections."""

import asyncio
from functools import partial

from daprflow.protocol.http import (
    Headers,
    HttpRequest,
    HttpResponse,
    StreamedRequest,
    StreamedResponse,
)
from daprflow.sidecar.channel.base import AppAway, AppUnreachable
from daprflow.sidecar.channel.http_wire import Body, Connection, HeadMaker
from daprflow.sidecar.channel.probing import accepts_connections
from daprflow.sidecar.channel.slots import Slots

MAX_CONNECTIONS = 1024
MAX_IDLE = 64
IDLE_TIME = 4.0
REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "DELETE", "TRACE"})
"""Verbs of calls that an app may get twice: not PUT, by which an actor is told to do something."""
CONNECT_TIMEOUT = 5.0
BODY_LIMIT = 64 * 1024 * 1024


class HttpChannel:
    """Calls an app over HTTP/1.1 on loopback.

    Redirects are not followed and no call has a deadline of its own. A pooled connection that the
    app has closed is not used; an idempotent call on one that turns out to be dead all the same,
    before any byte of an answer, is made once more. Others are not, as the app may have taken them.
    Connections are left alone after `IDLE_TIME`, before common servers close them.

    Args:
        host: address of the app.
        port: where it listens.
        app_token: sent as ``dapr-api-token``; None sends none.
        max_concurrency: calls at one time; None means no limit, probes pass it by.
        head_limit: bytes of the headers of an answer; more is an error, as with the real runtime.
        body_limit: bytes of an answer that is collected; None means no limit.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        app_token: str | None = None,
        max_concurrency: int | None = None,
        head_limit: int = 4096,
        body_limit: int | None = BODY_LIMIT,
    ) -> None:
        self._host = host
        self._port = port
        name = f"[{host}]" if ":" in host else host
        token: Headers = () if app_token is None else (("dapr-api-token", app_token),)
        self._heads = HeadMaker(f"{name}:{port}", token)
        self._slots = Slots(max_concurrency)
        self._connections = Slots(MAX_CONNECTIONS)
        self._head_limit = head_limit
        self._body_limit = body_limit
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._closed = False

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Call the app and collect its answer.

        Raises:
            AppAway: the app does not listen.
            AppUnreachable: no sound answer came.
        """
        head = self._heads.make(request.method, request.target, request.headers)
        if not self._slots.limited:
            return await self._carry(head, request)
        await self._slots.take()
        try:
            return await self._carry(head, request)
        finally:
            self._slots.give()

    async def check(self, request: HttpRequest, /) -> HttpResponse:
        """Make a health probe: without the token, past the limit on concurrent calls."""
        head = self._heads.make(request.method, request.target, request.headers, token=False)
        return await self._carry(head, request)

    async def stream(self, request: StreamedRequest, /) -> StreamedResponse:
        """Call the app with bodies in pieces both ways; never made twice.

        Raises:
            AppAway: the app does not listen.
            AppUnreachable: no sound answer came.
        """
        head = self._heads.make(request.method, request.target, request.headers)
        if self._slots.limited:
            await self._slots.take()
        try:
            connection = self._pooled() or await self._connect()
            body = Body(connection)
            status, headers = await connection.stream(head, request, body)
        except BaseException:
            if self._slots.limited:
                self._slots.give()
            raise
        if self._slots.limited:
            body.when_ended(self._slots.give)
        return StreamedResponse(status, headers, body.chunks(), body.close)

    async def probe(self) -> bool:
        """Tell whether the app accepts a connection now."""
        return await accepts_connections(self._host, self._port)

    async def close(self) -> None:
        """Close every connection; calls under way fail."""
        self._closed = True
        for connection in tuple(self._open):
            connection.abort("the sidecar is shutting down")
        self._idle.clear()

    async def _carry(self, head: bytes, request: HttpRequest) -> HttpResponse:
        connection = self._pooled() or await self._connect()
        again = not connection.fresh and request.method in REPEATABLE
        try:
            return await connection.send(head, request)
        except AppUnreachable:
            if not again or connection.answered or self._closed:
                raise
        self._drop_idle()  # one that is dead seldom is alone: the app was started anew
        return await (await self._connect()).send(head, request)

    def _pooled(self) -> Connection | None:
        now = asyncio.get_running_loop().time() if self._idle else 0.0
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                if now - connection.idle_since < IDLE_TIME and connection.silent:
                    return connection
                connection.close()
        return None

    def _drop_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    async def _connect(self) -> Connection:
        if self._closed:
            raise AppAway("the sidecar is shutting down")
        await self._connections.take()
        make = partial(Connection, self._head_limit, self._body_limit, self._released)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                _, connection = await asyncio.get_running_loop().create_connection(
                    make, self._host, self._port
                )
        except (OSError, TimeoutError) as error:
            self._connections.give()
            reason = getattr(error, "strerror", None) or "it took too long"
            raise AppAway(
                f"the app does not accept connections on {self._host}:{self._port}: {reason}"
            ) from error
        except BaseException:
            self._connections.give()
            raise
        self._open.add(connection)
        return connection

    def _released(self, connection: Connection) -> None:
        """Take a connection back after a call, or note that it is gone."""
        if connection.usable and not self._closed and len(self._idle) < MAX_IDLE:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
            return
        if connection.usable:
            connection.close()
        if connection in self._open:
            self._open.discard(connection)
            self._connections.give()
