"""The client's way to a sidecar in the same process: its ASGI app is called directly."""

from typing import TYPE_CHECKING
from urllib.parse import unquote

from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.transports.base import ConnectionLost

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Scope

HOST = "127.0.0.1:3500"


class InProcessTransport:
    """Requests to an ASGI app, as if they had come over a loopback socket.

    Args:
        app: the sidecar's HTTP API.
        token: sent as ``dapr-api-token``; empty means none.
    """

    def __init__(self, app: "ASGIApp", *, token: str = "") -> None:
        self._app = app
        self._headers = [(b"host", HOST.encode())]
        if token:
            self._headers.append((b"dapr-api-token", token.encode()))

    @property
    def address(self) -> str:
        """What stands in messages instead of a URL."""
        return "in this process"

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Call the app with ``request`` and collect its answer.

        Raises:
            ConnectionLost: the app ended without a whole answer.
        """
        call = _Call(request.body)
        await self._app(self._scope(request), call.receive, call.send)
        return call.response()

    async def close(self) -> None:
        """Do nothing: there is no connection."""

    def _scope(self, request: HttpRequest) -> "Scope":
        path, _, query = request.target.partition("?")
        length = (b"content-length", str(len(request.body)).encode())
        headers = [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers
        ]
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode("ascii"),
            "query_string": query.encode("ascii"),
            "root_path": "",
            "headers": [*self._headers, *headers, length],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 3500),
            "state": {},
        }


class _Call:
    """Both ends of one ASGI call."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._start: Message | None = None
        self._pieces: list[bytes] = []
        self._complete = False

    async def receive(self) -> "Message":
        if self._body is None:
            return {"type": "http.disconnect"}
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: "Message") -> None:
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            self._pieces.append(message.get("body", b""))
            self._complete = not message.get("more_body", False)

    def response(self) -> HttpResponse:
        if self._start is None or not self._complete:
            raise ConnectionLost("the sidecar in this process ended a call without an answer")
        headers = tuple(
            (name.decode("latin-1").lower(), value.decode("latin-1"))
            for name, value in self._start.get("headers", ())
        )
        return HttpResponse(self._start["status"], headers, b"".join(self._pieces))
