"""The gRPC side of an embedded sidecar: it starts after everything else, its port is open at once.

gRPC takes a third of a second to load and opens its port by itself. Whoever connects before is let
in by a listener of ours and connected through as soon as gRPC is there: an app that was quicker
notices nothing.
"""

import asyncio
import contextlib
import gc
import logging
import math
import os
import socket
from importlib import import_module
from typing import TYPE_CHECKING

from daprflow.launcher.doors import port_of
from daprflow.launcher.ports import LOOPBACK

if TYPE_CHECKING:
    from daprflow.sidecar.grpc_api.server import GrpcServer
    from daprflow.sidecar.runtime import Runtime

logger = logging.getLogger(__name__)

EARLY = 32
"""Callers that are let in before gRPC is there; more of them wait at the port."""
_CHUNK = 64 * 1024


class GrpcDoor:
    """Serves gRPC on a port that is held already.

    Args:
        listener: holds the port; closed once gRPC has it.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._port = port_of(listener)
        self._starting: asyncio.Task[None] | None = None
        self._server: GrpcServer | None = None
        self._ready = asyncio.Event()
        self._relays: set[asyncio.Task[None]] = set()

    async def open(self, runtime: "Runtime") -> None:
        """Let callers in, and load gRPC meanwhile; returns at once."""
        self._listener.settimeout(0)
        asyncio.get_running_loop().add_reader(self._listener, self._let_early_in)
        self._starting = asyncio.create_task(self._start(runtime))

    async def close(self, grace: float) -> None:
        """End the calls under way within ``grace`` seconds, and give the port back."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait({self._starting})
        self._close_listener()
        if self._server is not None:
            await self._server.stop(grace)
        await self._end_relays()

    async def _start(self, runtime: "Runtime") -> None:
        try:
            self._server = await asyncio.to_thread(_load, runtime)
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            await self._server.start(self._port)
        except Exception:
            logger.exception("the gRPC API cannot be served; HTTP goes on")
            self._close_listener()
            await self._end_relays()
            return
        self._let_in()
        self._close_listener()
        self._ready.set()
        # All code is loaded now, and stays: going through it again and again was a tenth of the
        # processor time of a busy sidecar.
        gc.freeze()

    def _let_early_in(self) -> None:
        """Take in who waits at the listener, but not too many: gRPC needs files to load."""
        self._let_in(EARLY)
        if len(self._relays) >= EARLY:
            asyncio.get_running_loop().remove_reader(self._listener)

    def _let_in(self, most: float = math.inf) -> None:
        """Take in whoever waits at the listener."""
        with contextlib.suppress(OSError):  # nobody waits, or there are no more files to open
            while len(self._relays) < most:
                caller, _ = self._listener.accept()
                caller.settimeout(0)
                relay = asyncio.create_task(self._relay(caller))
                self._relays.add(relay)
                relay.add_done_callback(self._relays.discard)

    async def _end_relays(self) -> None:
        for relay in self._relays:
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)

    def _close_listener(self) -> None:
        if self._listener.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()

    async def _relay(self, caller: socket.socket) -> None:
        """Connect an early caller through, for as long as both sides want."""
        with contextlib.closing(caller):
            await self._ready.wait()
            with contextlib.suppress(OSError):  # one side left; the other one learns it here
                reader, writer = await asyncio.open_connection(sock=caller)
                inner_reader, inner_writer = await asyncio.open_connection(LOOPBACK, self._port)
                ways = (_pump(reader, inner_writer), _pump(inner_reader, writer))
                try:
                    await asyncio.gather(*ways)
                finally:
                    inner_writer.close()
                    writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on until one side ends."""
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


def _load(runtime: "Runtime") -> "GrpcServer":
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # its own lines say nothing to a user
    module = import_module("daprflow.sidecar.grpc_api.server")
    made: GrpcServer = module.GrpcServer(runtime)
    return made
