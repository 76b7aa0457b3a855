"""The sink: a cheap app that subscribes to one topic and notes every event it is given."""

import asyncio
from collections.abc import Callable
from typing import cast

from benchmarks.client import message_length

TOPIC = "orders"
MARK = b'"data":{"id":'
SUBSCRIPTION = b'[{"pubsubname":"pubsub","topic":"orders","route":"/on-order"}]'


def answer_bytes(status: str, body: bytes) -> bytes:
    """Return a whole answer as it stands on the wire."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n"
    return head.encode() + b"content-length: %d\r\n\r\n%b" % (len(body), body)


HANDLED = answer_bytes("200 OK", b'{"status":"SUCCESS"}')
SUBSCRIBED = answer_bytes("200 OK", SUBSCRIPTION)
CONFIGURED = answer_bytes("200 OK", b"{}")
UNKNOWN = answer_bytes("404 Not Found", b"")


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
        if self._transport is not None:
            self._transport.write(self.answer(request))

    def answer(self, request: bytes) -> bytes:
        """Return what is answered to a whole request."""
        if request.startswith(b"POST /on-order "):
            self._handled(event_number(request))
            return HANDLED
        if request.startswith(b"GET /dapr/subscribe "):
            return SUBSCRIBED
        if request.startswith(b"GET /dapr/config "):
            return CONFIGURED
        return UNKNOWN
