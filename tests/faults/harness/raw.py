"""Bytes that are sent as they are, and what comes back: requests that no library would make."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

HOST = "127.0.0.1"
PATIENCE = 2.0
"""Seconds that an answer may take; a connection that stays open after it is cut then."""
QUIET = 0.3
"""Seconds of silence after which an answer counts as whole, where the connection stays open."""

Pairs = Sequence[tuple[str, str]]


def request(method: str, target: str, headers: Pairs, body: bytes = b"") -> bytes:
    """Return a request with exactly these headers, and the length of its body."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def exchange(port: int, sent: bytes) -> bytes:
    """Send bytes, and return what comes until the other side ends, or is silent."""
    reader, writer = await asyncio.open_connection(HOST, port)
    found = b""
    try:
        writer.write(sent)
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(PATIENCE) as waiting:
                while piece := await reader.read(65_536):
                    found += piece
                    waiting.reschedule(asyncio.get_running_loop().time() + QUIET)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    return found


def status_of(answer: bytes) -> int:
    """Return the status of an answer; 0 of what is none."""
    words = answer.split(b"\r\n", 1)[0].split()
    is_answer = len(words) > 1 and words[0].startswith(b"HTTP/1.") and words[1].isdigit()
    return int(words[1]) if is_answer else 0


@dataclass(slots=True)
class PlainApp:
    """An app that answers each request with ``answer(target)``, and keeps what it was asked.

    Attributes:
        asked: head and body of each request, as they came.
    """

    answer: Callable[[str], bytes]
    asked: list[tuple[bytes, bytes]] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[int]:
        """Listen on a free port."""
        server = await asyncio.start_server(self._serve, HOST, 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ValueError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await self._body(head, reader)
                self.asked.append((head, body))
                writer.write(self.answer(head.split()[1].decode("latin-1")))
                await writer.drain()
        writer.close()

    async def _body(self, head: bytes, reader: asyncio.StreamReader) -> bytes:
        for line in head.lower().split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name == b"content-length":
                return await reader.readexactly(int(value))
            if name == b"transfer-encoding":
                return await self._chunks(reader)
        return b""

    async def _chunks(self, reader: asyncio.StreamReader) -> bytes:
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
        return body


def plain(status: str = "200 OK", body: bytes = b"{}", kind: str = "application/json") -> bytes:
    """Return an ordinary answer."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body
