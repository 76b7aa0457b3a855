"""``middleware.http.uppercase``: bodies in capitals, to see that a pipeline works."""

from codecs import getincrementaldecoder

from daprflow.sidecar.components.base import ComponentContext
from daprflow.sidecar.components.middleware import AsgiApp, Event, Receive, Scope, Send

_DIRECTIONS = {"response": (False, True), "both": (True, True)}


class UppercaseMiddleware:
    """Writes request bodies, response bodies or both in capitals."""

    capabilities: tuple[str, ...] = ()

    def __init__(self, context: ComponentContext) -> None:
        direction = context.metadata.get("direction", "").lower()
        self._request, self._response = _DIRECTIONS.get(direction, (True, False))

    async def open(self) -> None:
        """Have nothing to open."""

    async def close(self) -> None:
        """Have nothing to give back."""

    def wrap(self, app: AsgiApp, /) -> AsgiApp:
        """Stand before ``app``."""

        async def capitals(scope: Scope, receive: Receive, send: Send) -> None:
            if self._request:
                receive, scope = _upper_receive(receive), without_length(scope)
            await app(scope, receive, _upper_send(send) if self._response else send)

        return capitals


def without_length(scope: Scope) -> Scope:
    """Return a scope whose body, if it has one, is of unknown length: capitals may change it."""
    headers = [
        (b"transfer-encoding", b"chunked") if name == b"content-length" and value != b"0" else pair
        for pair in scope["headers"]
        for name, value in (pair,)
    ]
    return {**scope, "headers": headers}


class _Upper:
    """Turns pieces of UTF-8 into capitals; a letter may be cut between two pieces."""

    def __init__(self) -> None:
        self._decoder = getincrementaldecoder("utf-8")("replace")

    def piece(self, data: bytes, *, last: bool) -> bytes:
        return self._decoder.decode(data, last).upper().encode()


def _upper_receive(receive: Receive) -> Receive:
    upper = _Upper()

    async def capital() -> Event:
        event = await receive()
        if event["type"] != "http.request":
            return event
        more = event.get("more_body", False)
        return {**event, "body": upper.piece(event.get("body", b""), last=not more)}

    return capital


def _upper_send(send: Send) -> Send:
    upper = _Upper()

    async def capital(event: Event) -> None:
        if event["type"] == "http.response.start":
            kept = [pair for pair in event.get("headers", ()) if pair[0] != b"content-length"]
            await send({**event, "headers": kept})
            return
        more = event.get("more_body", False)
        await send({**event, "body": upper.piece(event.get("body", b""), last=not more)})

    return capital
