"""What passes between an app and its real runtime, as far as a test looks at it."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec

from daprflow.protocol.deliveries import Status
from daprflow.protocol.http import CLOUDEVENTS_JSON, HttpRequest, HttpResponse
from daprflow.settings import Settings
from daprflow.sidecar.app.http_postman import judge
from daprflow.sidecar.components.base import Message
from daprflow.testing.fakes import FakeApp
from daprflow.transports.http import HttpTransport

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send
    from starlette.types import Message as AsgiMessage

PUBLISH = "/v1.0/publish/"
INVOKE = "/v1.0/invoke/"
DELIVERY = "/dapr/topics/"
FAILED = 300


class WatchedApp:
    """An app whose answers to events are seen."""

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app
        self._waiting: dict[str, list[asyncio.Future[Status]]] = {}

    def next_verdict(self, pubsub: str, topic: str) -> "asyncio.Future[Status]":
        """Return what becomes of the next event of a topic."""
        waiter: asyncio.Future[Status] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(f"{DELIVERY}{pubsub}/{topic}", []).append(waiter)
        return waiter

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on, and look at the answer to an event."""
        path = scope.get("path", "") if scope["type"] == "http" else ""
        waiting = self._waiters(path)
        if not waiting:
            await self._app(scope, receive, send)
            return
        status, body = 500, b""

        async def seen(message: "AsgiMessage") -> None:
            nonlocal status, body
            if message["type"] == "http.response.start":
                status = message["status"]
            body += message.get("body", b"")
            await send(message)

        try:
            await self._app(scope, receive, seen)
        finally:
            verdict = judge(HttpResponse(status, (), body)).status
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_result(verdict)

    def _waiters(self, path: str) -> list[asyncio.Future[Status]]:
        """Take those who wait for an event on this path, or below it."""
        for known in list(self._waiting):
            if path == known or path.startswith(f"{known}/"):
                return self._waiting.pop(known)
        return []


class WatchingTransport(HttpTransport):
    """Requests to a real runtime; what is published is noted, and fakes answer in its place."""

    def __init__(
        self,
        settings: Settings,
        published: "dict[tuple[str, str], list[Message]]",
        fakes: Mapping[str, FakeApp],
    ) -> None:
        super().__init__(settings)
        self._published = published
        self._fakes = fakes
        self._grpc = settings.grpc_endpoint

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Carry a request, or have a fake answer it."""
        if request.target.startswith(INVOKE):
            app_id, _, rest = request.target.removeprefix(INVOKE).partition("/")
            fake = self._fakes.get(unquote(app_id))
            if fake is not None:
                target = rest.removeprefix("method")
                return await fake.send(msgspec.structs.replace(request, target=target))
        response = await super().send(request)
        if request.target.startswith(PUBLISH) and response.status < FAILED:
            pubsub, _, topic = request.target.removeprefix(PUBLISH).partition("?")[0].partition("/")
            self._note(unquote(pubsub), unquote(topic), request)
        return response

    def grpc_address(self) -> str:
        """Return where the gRPC API is."""
        return self._grpc

    async def start_grpc(self, _component: str, _block: str, /) -> None:
        """Return at once: it listens."""

    def _note(self, pubsub: str, topic: str, request: HttpRequest) -> None:
        kinds = [value for name, value in request.headers if name == "content-type"]
        kind = kinds[0] if kinds else ""
        body = request.body
        if kind == CLOUDEVENTS_JSON:
            event: Any = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
            body = bytes(event.get("data", b"null"))
        self._published.setdefault((pubsub, topic), []).append(Message(topic, body))
