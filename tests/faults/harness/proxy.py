"""A proxy that disturbs what passes through it, in toxiproxy's words where it has them."""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.helpers.own_ports import free_port

CHUNK = 65_536
TICK = 0.01


@dataclass(slots=True)
class Toxics:
    """What is done to connections; what is changed holds at once, for those that there are too.

    Attributes:
        latency: seconds that every piece waits, in each direction.
        rate: bytes a second in each direction; 0 for no limit.
        limit: bytes after which a connection is closed; None for none.
        reset: connections are reset as soon as something is sent on them.
        silent: nothing is passed on, and everything stays open: half-open.
        one_way: what the server answers is not passed on.
        corrupt: the bits of one byte in so many are turned; 0 for none.
        refused: new connections are closed at once.
    """

    latency: float = 0.0
    rate: float = 0.0
    limit: int | None = None
    reset: bool = False
    silent: bool = False
    one_way: bool = False
    corrupt: int = 0
    refused: bool = False


class Proxy:
    """Listens on a port of its own and passes bytes to a server, as its toxics let it.

    Args:
        host: of the server.
        port: of the server.
    """

    def __init__(self, host: str, port: int) -> None:
        self.port = free_port()
        self.toxics = Toxics()
        self.connections = 0
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._connect(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.toxics.refused:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        ways = (
            asyncio.ensure_future(self._pass(reader, back, writer, answer=False)),
            asyncio.ensure_future(self._pass(there, writer, back, answer=True)),
        )
        try:
            with contextlib.suppress(OSError):
                await asyncio.gather(*ways)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (writer, back):
                end.transport.abort()

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        other: asyncio.StreamWriter,
        *,
        answer: bool,
    ) -> None:
        passed = 0
        while data := await reader.read(CHUNK):
            if self.toxics.reset:
                for end in (writer, other):
                    _reset(end)
                raise ConnectionResetError
            await self._wait(len(data))
            await self._silence(answer=answer)
            limit = self.toxics.limit
            if limit is not None and passed + len(data) > limit:
                writer.write(data[: max(0, limit - passed)])
                await writer.drain()
                raise ConnectionAbortedError
            writer.write(self._corrupted(data))
            await writer.drain()
            passed += len(data)
        if writer.can_write_eof():
            writer.write_eof()

    async def _silence(self, *, answer: bool) -> None:
        while self.toxics.silent or (answer and self.toxics.one_way):  # noqa: ASYNC110 - toxics change as plain values
            await asyncio.sleep(TICK)

    async def _wait(self, size: int) -> None:
        seconds = self.toxics.latency
        if self.toxics.rate:
            seconds += size / self.toxics.rate
        if seconds:
            await asyncio.sleep(seconds)

    def _corrupted(self, data: bytes) -> bytes:
        step = self.toxics.corrupt
        if not step:
            return data
        changed = bytearray(data)
        for place in range(step - 1, len(changed), step):
            changed[place] ^= 0xFF
        return bytes(changed)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection so that the other side is told it was reset."""
    made: socket.socket | None = writer.get_extra_info("socket")
    if made is not None:
        with contextlib.suppress(OSError):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
