"""Calls an ASGI app as a server would, without a socket, and builds what a sidecar sends."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import msgspec
from starlette.types import ASGIApp, Message

from daprflow import Client, DaprFlow
from daprflow.protocol.http import HttpRequest, HttpResponse

Pairs = Sequence[tuple[str, str]]


@dataclass
class Answer:
    """What an app answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)

    @property
    def verdict(self) -> str:
        """The status word of an answer to an event."""
        found: str = self.json["status"]
        return found


@dataclass
class Caller:
    """Sends requests to one app; every request's receives are counted."""

    app: ASGIApp
    received: int = 0
    sent: list[Message] = field(default_factory=list)

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | Sequence[bytes] = b"",
        headers: Pairs = (),
        **extra: Any,
    ) -> Answer:
        """Send a request, its body in one piece or several."""
        pieces = [body] if isinstance(body, bytes) else list(body)
        bare, _, query = path.partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": unquote(bare),
            "raw_path": bare.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "scheme": "http",
            "server": ("127.0.0.1", 80),
            "client": ("127.0.0.1", 1),
            "headers": [(name.encode(), value.encode()) for name, value in headers],
            **extra,
        }
        sent: list[Message] = []

        async def receive() -> Message:
            self.received += 1
            if not pieces:
                return {"type": "http.disconnect"}
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        self.sent = sent
        return _answer(sent)

    async def get(self, path: str, headers: Pairs = ()) -> Answer:
        """Send a GET."""
        return await self.request("GET", path, headers=headers)

    async def post(
        self, path: str, body: bytes | Sequence[bytes] = b"", headers: Pairs = ()
    ) -> Answer:
        """Send a POST."""
        return await self.request("POST", path, body, headers)

    async def deliver(self, data: Any, path: str = "pubsub/orders", **attributes: Any) -> Answer:
        """Deliver an event to a topic's handler."""
        return await self.post(f"/dapr/topics/{path}", event(data, **attributes))


def _answer(sent: Sequence[Message]) -> Answer:
    if not sent:
        return Answer(0, {}, b"")
    start = sent[0]
    headers = {name.decode(): value.decode() for name, value in start.get("headers", ())}
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(start["status"], headers, body)


@asynccontextmanager
async def running(app: DaprFlow) -> AsyncIterator[Caller]:
    """Enter an app's lifespan and give what calls it."""
    async with app.lifespan():
        yield Caller(app)


def attributes(**changed: Any) -> dict[str, Any]:
    """The attributes a sidecar without tracing writes, some of them changed."""
    return {
        "id": "5b1e4a4e-0000-4000-8000-000000000001",
        "source": "publisher",
        "type": "com.dapr.event.sent",
        "specversion": "1.0",
        "datacontenttype": "application/json",
        "pubsubname": "pubsub",
        "topic": "orders",
        "time": "2026-11-21T08:11:12Z",
        "traceid": "",
        "traceparent": "",
        "tracestate": "",
        **changed,
    }


def event(data: Any = None, **changed: Any) -> bytes:
    """A CloudEvent with JSON data."""
    return msgspec.json.encode({**attributes(**changed), "data": data})


def without_data(**changed: Any) -> bytes:
    """A CloudEvent without data, or with what ``changed`` says instead."""
    return msgspec.json.encode(attributes(**changed))


def base64_event(content: bytes, **changed: Any) -> bytes:
    """A CloudEvent with binary data."""
    return without_data(data_base64=base64.b64encode(content).decode(), **changed)


@dataclass
class RecordingTransport:
    """A sidecar that answers every call with 204 and keeps what was asked."""

    requests: list[HttpRequest] = field(default_factory=list)
    closed: int = 0
    address: str = "recorded"

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Keep ``request``."""
        self.requests.append(request)
        return HttpResponse(204)

    async def close(self) -> None:
        """Count how often it was closed."""
        self.closed += 1


def recording_client() -> tuple[Client, RecordingTransport]:
    """A client and the transport that records its calls."""
    transport = RecordingTransport()
    return Client(transport=transport), transport


async def lifespan_messages(app: ASGIApp) -> list[str]:
    """Start and stop an app through the lifespan protocol; the types of what it sent."""
    requests: asyncio.Queue[Message] = asyncio.Queue()
    sent: list[str] = []
    for phase in ("startup", "shutdown"):
        requests.put_nowait({"type": f"lifespan.{phase}"})

    async def send(message: Message) -> None:
        sent.append(message["type"])

    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, requests.get, send)
    return sent
