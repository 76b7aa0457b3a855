"""The sink: a cheap app that subscribes to one topic and notes every event it is given."""

import asyncio
from collections.abc import Callable
from typing import cast

from benchmarks.client import message_length

TOPIC = "orders"
ROUTE = "/on-order"
MARK = b'"data":{"id":'
SUBSCRIPTION = b'[{"pubsubname":"pubsub","topic":"orders","route":"/on-order"}]'


def _answer(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n"
    return head.encode() + b"content-length: %d\r\n\r\n%b" % (len(body), body)


HANDLED = _answer("200 OK", b'{"status":"SUCCESS"}')
SUBSCRIBED = _answer("200 OK", SUBSCRIPTION)
CONFIGURED = _answer("200 OK", b"{}")
UNKNOWN = _answer("404 Not Found", b"")


def event_number(request: bytes) -> int:
    """Return the number that the publisher put into the data of an event."""
    at = request.index(MARK) + len(MARK)
    return int(request[at : request.index(b"}", at)])


class Sink(asyncio.Protocol):
    """One connection from a sidecar; ``handled`` is called with the number of each event."""

    def __init__(self, handled: Callable[[int], None]) -> None:
        self._handled = handled
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        buffer = self._buffer + data if self._buffer else data
        while buffer and 0 <= (length := message_length(buffer)) <= len(buffer):
            self._serve(buffer[:length])
            buffer = buffer[length:]
        self._buffer = buffer

    def _serve(self, request: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        if request.startswith(b"POST /on-order "):
            self._handled(event_number(request))
            transport.write(HANDLED)
        elif request.startswith(b"GET /dapr/subscribe "):
            transport.write(SUBSCRIBED)
        elif request.startswith(b"GET /dapr/config "):
            transport.write(CONFIGURED)
        else:
            transport.write(UNKNOWN)
