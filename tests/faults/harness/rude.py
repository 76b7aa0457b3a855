"""Callers that wear a server out: connections that send a byte now and then, and endless bodies."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from tests.helpers.killed_process import HOST

BYTE = 1.0
"""Seconds between the bytes of a slow one."""
PIECE = bytes(256 * 1024)
MB = 1024 * 1024


@dataclass(slots=True)
class Slow:
    """What became of slow connections.

    Attributes:
        open: how many are, at this moment.
        closed: how often a server had enough of one.
        longest: seconds that one was borne.
    """

    open: int = 0
    closed: int = 0
    longest: float = 0.0


async def _crawl(port: int, slow: Slow) -> None:
    """Send a request that never ends, a byte at a time, and begin anew when it is cut off."""
    while True:
        begun = time.monotonic()
        writer: asyncio.StreamWriter | None = None
        try:
            reader, writer = await asyncio.open_connection(HOST, port)
            slow.open += 1
            writer.write(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: ")
            while not reader.at_eof():
                writer.write(b"y")
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(BYTE):
                        while await reader.read(1024):
                            pass
        except OSError:
            await asyncio.sleep(BYTE / 10)
        finally:
            if writer is not None:
                slow.open -= 1
                writer.close()
        slow.closed += 1
        slow.longest = max(slow.longest, time.monotonic() - begun)


@contextlib.asynccontextmanager
async def slow_connections(ports: Sequence[int], count: int) -> AsyncIterator[Slow]:
    """Keep so many open at each port."""
    slow = Slow()
    tasks = [asyncio.create_task(_crawl(port, slow)) for port in ports for _ in range(count)]
    try:
        yield slow
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Body:
    """A body that is far too large.

    Attributes:
        size: in MB.
        chunked: whether its length is not told before.
    """

    port: int
    path: str
    size: int
    chunked: bool
    headers: Sequence[str] = field(default=("content-type: application/octet-stream",))


async def send_body(body: Body) -> int | None:
    """Send as much of a body as is taken; return the status, None where there was no answer."""
    reader, writer = await asyncio.open_connection(HOST, body.port)
    length = f"content-length: {body.size * MB}"
    lines = [f"POST {body.path} HTTP/1.1", "host: localhost", *body.headers]
    lines.append("transfer-encoding: chunked" if body.chunked else length)
    answer = asyncio.create_task(reader.readline())
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode())
        for _ in range(body.size * MB // len(PIECE)):
            if answer.done():
                break
            if body.chunked:
                writer.write(b"%x\r\n%s\r\n" % (len(PIECE), PIECE))
            else:
                writer.write(PIECE)
            await writer.drain()
        if body.chunked:
            writer.write(b"0\r\n\r\n")
        await asyncio.wait({answer}, timeout=30)
    except OSError:
        await asyncio.wait({answer}, timeout=1)
    finally:
        writer.close()
        answer.cancel()
    with contextlib.suppress(OSError, asyncio.CancelledError):
        words = (await answer).split()
        return int(words[1]) if len(words) > 1 else None
    return None
