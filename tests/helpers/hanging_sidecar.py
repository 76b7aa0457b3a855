"""A sidecar on a socket that answers everything at once, and calls of the app 'slow' never."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

ANSWER = b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n"


@dataclass
class HangingSidecar:
    """What it saw.

    Attributes:
        connections: how many are open.
        hanging: how many calls are not answered.
    """

    port: int = 0
    connections: int = 0
    hanging: int = 0
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests, which have no bodies."""
        self.connections += 1
        try:
            while (head := await reader.readuntil(b"\r\n\r\n")) is not None:
                if b"/slow/" in head.partition(b"\r\n")[0]:
                    self.hanging += 1
                    try:
                        await self.go_on.wait()
                    finally:
                        self.hanging -= 1
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.connections -= 1
            writer.close()


@asynccontextmanager
async def hanging_sidecar() -> AsyncIterator[HangingSidecar]:
    """Listen on a free port."""
    sidecar = HangingSidecar()
    server = await asyncio.start_server(sidecar.serve, "127.0.0.1", 0)
    sidecar.port = server.sockets[0].getsockname()[1]
    try:
        yield sidecar
    finally:
        sidecar.go_on.set()
        server.close()
        await server.wait_closed()
