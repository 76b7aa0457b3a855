"""Calls an ASGI application with exactly the headers and body pieces that a test names."""

import asyncio
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Application(Protocol):
    """An ASGI application."""

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Any],
        send: Callable[[MutableMapping[str, Any]], Any],
        /,
    ) -> None:
        """Serve one scope."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the first value of a header, None when absent."""
        return next((value for key, value in self.headers if key == name), None)


async def call_asgi(
    app: Application,
    method: str,
    target: str,
    headers: Sequence[tuple[str, str]] = (("host", "localhost"),),
    *pieces: bytes,
    gone: bool = False,
) -> Answer:
    """Call ``app``; the body comes in ``pieces``, and with ``gone`` the caller leaves after them.

    Returns:
        the answer; status 0 when the application sent none.
    """
    path, _, query = target.partition("?")
    events = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    if gone:
        events.append({"type": "http.disconnect"})
    elif events:
        events[-1]["more_body"] = False
    else:
        events.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        if not events:
            await asyncio.get_running_loop().create_future()
        return events.pop(0)

    async def send(event: MutableMapping[str, Any]) -> None:
        sent.append(event)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "headers": [(k.encode(), v.encode()) for k, v in headers],
    }
    await app(scope, receive, send)
    if not sent:
        return Answer(0, (), b"")
    start, *bodies = sent
    pairs = tuple((k.decode("latin-1"), v.decode("latin-1")) for k, v in start["headers"])
    return Answer(start["status"], pairs, b"".join(event.get("body", b"") for event in bodies))
