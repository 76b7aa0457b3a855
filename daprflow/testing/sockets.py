"""Real sockets on loopback, for tests of what only exists there: servers, headers, connections."""

import asyncio
import socket
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from daprflow.settings import Settings
from daprflow.testing.grpc_side import LOOPBACK, GrpcSide
from daprflow.transports.http import HttpTransport
from daprflow.transports.server import HttpServer

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


class Doors:
    """The listening sockets of a test: bound to free ports first, served later, closed together."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []
        self._servers: list[HttpServer] = []

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
        server = HttpServer(app)
        await server.start(listener)
        self._servers.append(server)

    async def close(self) -> None:
        """Stop every server, all at once, and give the ports back."""
        servers, self._servers = self._servers, []
        try:
            await asyncio.gather(*(server.stop(GRACE) for server in servers))
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
