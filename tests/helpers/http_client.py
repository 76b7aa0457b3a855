"""A client that sends a request exactly as it is written: no cleaned path, no header of its own."""

import asyncio
import http.client
from collections.abc import Sequence

from daprflow.protocol.http import HttpRequest, HttpResponse


class RawClient:
    """Sends requests to one loopback port, each on a connection of its own."""

    def __init__(self, port: int, timeout: float = 10.0) -> None:
        self.port = port
        self._timeout = timeout

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Send ``request`` and read the whole answer."""
        return await asyncio.to_thread(self._send, request)

    async def call(
        self, method: str, target: str, body: bytes = b"", *headers: tuple[str, str]
    ) -> HttpResponse:
        """Send a request made of its parts."""
        return await self.send(HttpRequest(method, target, headers, body))

    def _send(self, request: HttpRequest) -> HttpResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self._timeout)
        try:
            own_host = any(name == "host" for name, _ in request.headers)
            connection.putrequest(
                request.method, request.target, skip_host=own_host, skip_accept_encoding=True
            )
            for name, value in request.headers:
                connection.putheader(name, value)
            if request.body or request.method in {"POST", "PUT", "PATCH"}:
                connection.putheader("content-length", str(len(request.body)))
            connection.endheaders(request.body or None)
            answer = connection.getresponse()
            body = answer.read()
            return HttpResponse(answer.status, lower_names(answer.getheaders()), body)
        finally:
            connection.close()


def lower_names(headers: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return ``headers`` with their names in lower case."""
    return tuple((name.lower(), value) for name, value in headers)
