"""A way to a server that a test can cut and open again, as a network does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.helpers.own_ports import free_port


class Gate:
    """Passes bytes between a port of its own and a server while it is open."""

    def __init__(self, host: str, port: int) -> None:
        self.port = free_port()
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._silent: set[asyncio.StreamWriter] = set()
        self._passing: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """Where clients connect to."""
        return f"127.0.0.1:{self.port}"

    async def open(self) -> None:
        """Let connections through."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    def silence(self) -> None:
        """Let nothing through on the connections that there are, and keep them open."""
        self._silent |= self._writers

    async def cut(self) -> None:
        """Break every connection and refuse new ones."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()
        if self._passing:
            await asyncio.wait(self._passing)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._target)
        for task in (self._pass(reader, back), self._pass(there, writer)):
            passing = asyncio.get_running_loop().create_task(task)
            self._passing.add(passing)
            passing.add_done_callback(self._passing.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(65536):
                    if writer not in self._silent:
                        writer.write(data)
                        await writer.drain()
        finally:
            self._writers.discard(writer)
            self._silent.discard(writer)
            writer.close()


@contextlib.asynccontextmanager
async def gate_to(host: str, port: int) -> AsyncIterator[Gate]:
    """Give an open gate to a server."""
    gate = Gate(host, port)
    await gate.open()
    try:
        yield gate
    finally:
        await gate.cut()
