"""Peer: a bare relay, publish in through ASGI and out through an `asyncio.Protocol` client.

It moves bytes and commits as a broker must, and does nothing else a broker does. ``serial``
delivers one event at a time and holds publishers back meanwhile, as ``pubsub.in-memory`` does.
"""

import asyncio
import sqlite3
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

import httptools

from benchmarks.peers.serve import serve

ACCEPTED = {"type": "http.response.start", "status": 204, "headers": []}
END = {"type": "http.response.body", "body": b""}
REQUEST = (
    b"POST /on-order HTTP/1.1\r\nhost: 127.0.0.1\r\n"
    b"content-type: application/cloudevents+json\r\ncontent-length: %d\r\n\r\n%b"
)


class AppConnection(asyncio.Protocol):
    """One keep-alive connection to the app."""

    def __init__(self) -> None:
        self._parser: Any = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[int] | None = None
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Parse a piece of an answer."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Hand over the status of the answer."""
        if self._answer is not None:
            self._answer.set_result(self._parser.get_status_code())

    async def call(self, request: bytes) -> int:
        """Send one request and return the status of its answer."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer


class AppClient:
    """Connections to the app, used last in first out."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[AppConnection] = []

    async def deliver(self, body: bytes) -> int:
        """Deliver one event."""
        request = REQUEST % (len(body), body)
        if self._idle:
            connection = self._idle.pop()
        else:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(AppConnection, "127.0.0.1", self._port)
        status = await connection.call(request)
        self._idle.append(connection)
        return status


class Journal:
    """SQLite with a commit for every group of waiting events, written by a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: list[tuple[str, tuple[Any, ...], asyncio.Future[None] | None]] = []
        self._wake = threading.Event()

    def start(self) -> None:
        """Start the writing thread."""
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._write, daemon=True).start()

    async def add(self, number: str, body: bytes) -> None:
        """Store an event; returns once it is committed."""
        stored = self._loop.create_future()
        self._waiting.append(("INSERT INTO events VALUES (?, ?)", (number, body), stored))
        self._wake.set()
        await stored

    def remove(self, number: str) -> None:
        """Forget a handled event with the next group."""
        self._waiting.append(("DELETE FROM events WHERE id = ?", (number,), None))
        self._wake.set()

    def _write(self) -> None:
        database = sqlite3.connect(self._path, isolation_level=None)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE events (id TEXT PRIMARY KEY, body BLOB) WITHOUT ROWID")
        while True:
            self._wake.wait()
            self._wake.clear()
            group, self._waiting = self._waiting, []
            if group:
                database.execute("BEGIN")
                for statement, values, _ in group:
                    database.execute(statement, values)
                database.execute("COMMIT")
                self._loop.call_soon_threadsafe(_settle, [stored for _, _, stored in group])


def _settle(group: list[asyncio.Future[None] | None]) -> None:
    for stored in group:
        if stored is not None:
            stored.set_result(None)


def envelope(number: str, data: bytes) -> bytes:
    """Return a CloudEvent around ``data``."""
    return (
        b'{"data":%b,"datacontenttype":"application/json","id":"%b","pubsubname":"pubsub",'
        b'"source":"bench","specversion":"1.0","time":"2026-01-01T00:00:00Z","topic":"orders",'
        b'"traceid":"","traceparent":"","tracestate":"","type":"com.dapr.event.sent"}'
    ) % (data.replace(b": ", b":"), number.encode())


class Relay:
    """The ASGI side: take an event, store it where asked to, answer, deliver."""

    def __init__(self, app_port: int, journal: Journal | None, *, serial: bool = False) -> None:
        self._client = AppClient(app_port)
        self._turn = asyncio.Lock() if serial else None
        self._journal = journal
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            if self._journal is not None:
                self._journal.start()
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            return
        message = await receive()
        number = str(uuid.uuid4())
        body = envelope(number, message["body"])
        if self._journal is not None:
            await self._journal.add(number, body)
        if self._turn is not None:
            await self._turn.acquire()
        task = asyncio.create_task(self._deliver(number, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await send(ACCEPTED)
        await send(END)

    async def _deliver(self, number: str, body: bytes) -> None:
        status = await self._client.deliver(body)
        if self._turn is not None:
            self._turn.release()
        if status == 200 and self._journal is not None:
            self._journal.remove(number)


if __name__ == "__main__":
    app_port, kind = int(sys.argv[1]), sys.argv[2]
    store = Journal(Path(sys.argv[3])) if kind == "durable" else None
    serve(Relay(app_port, store, serial=kind == "serial"))
