"""The client: keep-alive connections that send prepared bytes and read little of answers."""

import asyncio
import time
from collections.abc import Callable
from itertools import cycle
from typing import cast

from benchmarks.messages import Saturate, Saturated

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length: "


FROM_RUNTIME = (
    "content-type: application/cloudevents+json\r\naccept-encoding: gzip\r\n"
    "user-agent: Go-http-client/1.1\r\npubsubname: pubsub\r\n"
    "traceparent: 00-00000000000000000000000000000000-0000000000000000-00\r\n"
)
"""The headers a runtime sends with an event."""
FROM_CLIENT = (
    "content-type: application/json\r\naccept: */*\r\naccept-encoding: gzip, deflate\r\n"
    "user-agent: benchmark\r\n"
)
"""The headers a client sends with a call on its sidecar."""


def request_bytes(path: str, body: bytes, headers: str) -> bytes:
    """Return a whole POST request as it stands on the wire."""
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{headers}"
    return head.encode() + b"content-length: %d\r\n\r\n%b" % (len(body), body)


def message_length(buffer: bytes) -> int:
    """Return the length of the message that begins ``buffer``, -1 while its head is incomplete."""
    end = buffer.find(HEAD_END)
    if end < 0:
        return -1
    head = buffer[: end + 2].lower()
    at = head.find(LENGTH)
    if at < 0:
        return end + len(HEAD_END)
    return end + len(HEAD_END) + int(head[at + len(LENGTH) : head.find(b"\r", at)])


class Connection(asyncio.Protocol):
    """One keep-alive connection; ``answered`` is called with True for every 2xx answer."""

    def __init__(self, answered: Callable[["Connection", bool], None]) -> None:
        self._answered = answered
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _: Exception | None) -> None:
        """Remember that the server went away."""
        self.lost = True

    def send(self, request: bytes) -> None:
        """Write one prepared request."""
        if self._transport is not None:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Collect one answer; there is never more than one under way."""
        buffer = self._buffer + data if self._buffer else data
        length = message_length(buffer)
        if length < 0 or len(buffer) < length:
            self._buffer = buffer
            return
        self._buffer = b""
        self._answered(self, buffer.startswith(b"HTTP/1.1 2"))

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.abort()


async def connect(
    port: int, count: int, answered: Callable[[Connection, bool], None]
) -> list[Connection]:
    """Open ``count`` connections to ``port`` on loopback."""
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: Connection(answered), "127.0.0.1", port)
        for _ in range(count)
    ]
    return [connection for _, connection in made]


async def saturate(order: Saturate) -> Saturated:
    """Keep every connection busy for the time ordered."""
    answers = failures = 0
    running = True
    requests = cycle((order.request, *order.others))

    def answered(connection: Connection, good: bool) -> None:  # noqa: FBT001 - one fact
        nonlocal answers, failures
        answers += 1
        failures += not good
        if running:
            connection.send(next(requests))

    connections = await connect(order.port, order.connections, answered)
    for connection in connections:
        connection.send(next(requests))
    await asyncio.sleep(order.warm_up)
    answers, began = 0, time.perf_counter()
    await asyncio.sleep(order.seconds)
    counted, seconds = answers, time.perf_counter() - began
    running = False
    lost = sum(connection.lost for connection in connections)
    for connection in connections:
        connection.close()
    return Saturated(answers=counted, failures=failures + lost, seconds=seconds)
