"""The gRPC API of a sidecar under test: on a free port, from its first use on."""

import asyncio
import os
import socket
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daprflow.sidecar.grpc_api.server import GrpcServer
    from daprflow.sidecar.runtime import Runtime

LOOPBACK = "127.0.0.1"


class GrpcSide:
    """Costs nothing until somebody asks for it; then it is the real server, on a real socket."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._held: socket.socket | None = None
        self._server: GrpcServer | None = None
        self._turn = asyncio.Lock()

    @property
    def address(self) -> str:
        """Host and port, which is held from now on."""
        if self._held is None:
            self._held = socket.socket()
            # Shared with the server that starts later; who does not share cannot take it.
            self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self._held.bind((LOOPBACK, 0))
        return f"{LOOPBACK}:{self._held.getsockname()[1]}"

    async def start(self) -> None:
        """Return when it listens."""
        async with self._turn:
            if self._server is None:
                port = int(self.address.rpartition(":")[2])
                server = await asyncio.to_thread(_load, self._runtime)
                await server.start(port)
                self._server = server

    async def cut(self) -> bool:
        """End every call and listen no more, but hold the port; tell whether it listened."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(0)
        return server is not None

    async def stop(self) -> None:
        """End every call, and give the port back."""
        await self.cut()
        if self._held is not None:
            self._held.close()
            self._held = None


def _load(runtime: "Runtime") -> "GrpcServer":
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # its own lines say nothing to a test
    server: GrpcServer = import_module("daprflow.sidecar.grpc_api.server").GrpcServer(runtime)
    return server
