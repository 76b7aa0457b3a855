"""Real sockets on loopback, for tests of what only exists there: servers, headers, connections."""

import asyncio
import socket
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from uvicorn.server import ServerState

from daprflow.settings import Settings
from daprflow.testing.grpc_side import LOOPBACK, GrpcSide
from daprflow.transports.connection import Connection, LimitedConfig
from daprflow.transports.http import HttpTransport

if TYPE_CHECKING:
    from starlette.types import ASGIApp

GRACE = 1.0
"""Seconds that requests may take to end when a server stops."""


class SocketTransport(HttpTransport):
    """Requests over connections to a sidecar under test."""

    def __init__(self, port: int, grpc: GrpcSide) -> None:
        super().__init__(Settings(http_endpoint=f"http://{LOOPBACK}:{port}"))
        self._grpc = grpc

    def grpc_address(self) -> str:
        """Return where the gRPC API is, or will be."""
        return self._grpc.address

    async def start_grpc(self, _component: str, _block: str, /) -> None:
        """Return when the gRPC API listens."""
        await self._grpc.start()


class _Server:
    """An application on a socket, by the product's own connections.

    uvicorn's server waits a tenth of a second whenever it ends, which a test need not.
    """

    def __init__(self, app: "ASGIApp") -> None:
        self._config = LimitedConfig(
            app,
            http=Connection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
        )
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Accept connections on ``listener``."""
        if not self._config.loaded:
            self._config.load()
        loop = asyncio.get_running_loop()

        def connect() -> Connection:
            return Connection(self._config, self._state, {})

        self._server = await loop.create_server(connect, sock=listener)

    async def stop(self) -> None:
        """Accept nothing more, let requests end within the grace, then cut what is open."""
        if self._server is None:
            return
        self._server.close()
        for each in list(self._state.connections):
            each.shutdown()
        if tasks := set(self._state.tasks):
            _, late = await asyncio.wait(tasks, timeout=GRACE)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=GRACE)
        for each in list(self._state.connections):
            each.transport.abort()
        while self._state.connections:  # noqa: ASYNC110 - each is told in the next turn of the loop
            await asyncio.sleep(0)


class Doors:
    """The listening sockets of a test: bound to free ports first, served later, closed together."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []
        self._servers: list[_Server] = []

    def bind(self) -> socket.socket:
        """Return a socket that listens on a free port; connections wait until it is served."""
        # With its protocol named asyncio sees that it is TCP, and sends small writes at once: else
        # an answer in two writes takes 40 ms.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind((LOOPBACK, 0))
        listener.listen()
        self._held.append(listener)
        return listener

    async def serve(self, app: "ASGIApp", listener: socket.socket) -> None:
        """Serve an app whose lifespan is somebody else's business."""
        server = _Server(app)
        await server.start(listener)
        self._servers.append(server)

    async def close(self) -> None:
        """Stop every server, all at once, and give the ports back."""
        servers, self._servers = self._servers, []
        try:
            await asyncio.gather(*(server.stop() for server in servers))
        finally:
            for listener in self._held:
                listener.close()


async def doors(stack: AsyncExitStack) -> Doors:
    """Return doors that are closed with ``stack``."""
    made = Doors()
    stack.push_async_callback(made.close)
    return made


def port_of(listener: socket.socket) -> int:
    """Return the port of a socket."""
    port: int = listener.getsockname()[1]
    return port
