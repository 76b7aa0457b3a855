"""Changing requests before they are handled, and answers before they are sent."""

from collections.abc import Callable, Collection, Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daprflow.middleware.paths import Paths, passes
from daprflow.middleware.problem import send_problem

ChangeHeaders = Callable[[MutableHeaders], None]
ChangeBody = Callable[[bytes, MutableHeaders], bytes]
Pairs = Sequence[tuple[bytes, bytes]]

MAX_BODY = 4 * 1024 * 1024
_NO_BODY = frozenset({204, 304})


class Transform:
    """Changes headers and bodies by functions of the user's own.

    On the way in: ``request_headers``, then ``request_body``. On the way out: ``response_body``,
    then ``response_headers``, which sees the length and type of what is sent. Of several
    transformations the first listed is the first on the way in and the last on the way out.

    A body function gets the whole body and the headers, which it may change, too; the length is
    seen to. Without one, bodies are not held back. One that raises is a failure of the request.

    Args:
        app: what is called inside.
        request_headers: changes the request's headers in place.
        request_body: returns the request's new body.
        response_headers: changes the answer's headers in place.
        response_body: returns the answer's new body.
        max_body: bytes that a request's body may have for ``request_body``; 413 beyond. Answers
            longer than this pass ``response_body`` by, as they are.
        exclude: paths that are left alone.

    Raises:
        ValueError: no function is given.

    Example:
        ```python
        def stamp(headers: MutableHeaders) -> None:
            headers["x-shop"] = "blue"

        shop = DaprFlow("shop", middleware=[Middleware(Transform, response_headers=stamp)])
        ```
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        request_headers: ChangeHeaders | None = None,
        request_body: ChangeBody | None = None,
        response_headers: ChangeHeaders | None = None,
        response_body: ChangeBody | None = None,
        max_body: int = MAX_BODY,
        exclude: Collection[str] = (),
    ) -> None:
        given = (request_headers, request_body, response_headers, response_body)
        if all(each is None for each in given):
            raise ValueError("nothing is transformed; give 'request_headers', 'response_body', …")
        self.app = app
        self._request_headers = request_headers
        self._request_body = request_body
        self._response_headers = response_headers
        self._response_body = response_body
        self._max_body = max_body
        self._excluded = Paths(exclude)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Change what goes in and what comes out."""
        if passes(scope, self._excluded):
            await self.app(scope, receive, send)
            return
        if self._request_headers is not None or self._request_body is not None:
            headers = MutableHeaders(raw=list(scope["headers"]))
            if self._request_headers is not None:
                self._request_headers(headers)
            if self._request_body is not None:
                body = await _whole(receive, self._max_body)
                if body is None:
                    await send_problem(
                        send, 413, f"the body is longer than {self._max_body} bytes", close=True
                    )
                    return
                body = self._request_body(body, headers)
                headers["content-length"] = str(len(body))
                if "transfer-encoding" in headers:
                    del headers["transfer-encoding"]
                receive = _replayed(body, receive)
            scope = {**scope, "headers": headers.raw}
        if self._response_headers is not None or self._response_body is not None:
            send = _Answer(send, self._response_headers, self._response_body, self._max_body)
        await self.app(scope, receive, send)


class _Answer:
    """Sends an answer that was changed; holds it back while its body is not complete."""

    def __init__(
        self, send: Send, headers: ChangeHeaders | None, body: ChangeBody | None, limit: int
    ) -> None:
        self._send = send
        self._headers = headers
        self._body = body
        self._limit = limit
        self._start: Message | None = None
        self._pieces: list[bytes] = []
        self._size = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            if self._body is None or message["status"] in _NO_BODY:
                await self._send_start(MutableHeaders(raw=list(message.get("headers", ()))))
            return
        if self._start is None or message["type"] != "http.response.body":
            await self._send(message)
            return
        piece = message.get("body", b"")
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > self._limit:
            await self._send_start(MutableHeaders(raw=list(self._start.get("headers", ()))))
            pieces, self._pieces = self._pieces, []
            more = bool(message.get("more_body"))
            await self._send(
                {"type": "http.response.body", "body": b"".join(pieces), "more_body": more}
            )
        elif not message.get("more_body"):
            await self._send_changed(self._start)

    async def _send_changed(self, start: Message) -> None:
        headers = MutableHeaders(raw=list(start.get("headers", ())))
        body = b"".join(self._pieces)
        if self._body is not None:
            body = self._body(body, headers)
        headers["content-length"] = str(len(body))
        await self._send_start(headers)
        await self._send({"type": "http.response.body", "body": body})

    async def _send_start(self, headers: MutableHeaders) -> None:
        start, self._start = self._start, None
        if start is None:
            return
        if self._headers is not None:
            self._headers(headers)
        await self._send({**start, "headers": headers.raw})


async def _whole(receive: Receive, limit: int) -> bytes | None:
    """Return a request's body; None where it is too long."""
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(pieces)
        piece = message.get("body", b"")
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            return None
        if not message.get("more_body"):
            return b"".join(pieces)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return what gives ``body`` once, and then what follows a body."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay
