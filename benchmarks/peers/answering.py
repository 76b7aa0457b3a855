"""A peer: an app that answers everything at once with the same bytes, so that callers are seen."""

import asyncio
import socket
from typing import cast

import uvloop

from benchmarks.client import message_length

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class Answering(asyncio.Protocol):
    """One connection from a sidecar."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self._buffer += data
        while 0 <= (length := message_length(self._buffer)) <= len(self._buffer):
            self._buffer = self._buffer[length:]
            if self._transport is not None:
                self._transport.write(ANSWER)
            if not self._buffer:
                return


async def main() -> None:
    """Listen on a free port and say which."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = await asyncio.get_running_loop().create_server(Answering, sock=listener)
    print(listener.getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
