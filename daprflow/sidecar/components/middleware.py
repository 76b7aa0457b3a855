"""What HTTP middleware components have in common: plain ASGI around whatever comes next."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from daprflow.sidecar.components.base import Component, ComponentContext, ComponentError

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class HttpMiddleware(Component, Protocol):
    """A component that stands before an HTTP API."""

    def wrap(self, app: AsgiApp, /) -> AsgiApp:
        """Return an application that lets through to ``app`` what it does not answer itself."""
        ...


def required(context: ComponentContext, name: str, *aliases: str) -> str:
    """Return a metadata value that must be there.

    Raises:
        ComponentError: it is not.
    """
    for each in (name, *aliases):
        if value := context.metadata.get(each.lower(), ""):
            return value
    raise ComponentError(f"metadata property '{name}' is required")


async def refuse(send: Send, status: int, text: str) -> None:
    """Answer with one line of plain text, as Go's ``http.Error`` writes it."""
    body = f"{text}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"x-content-type-options", b"nosniff"),
        (b"content-length", b"%d" % len(body)),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def header(scope: Scope, name: bytes) -> str:
    """Return the first value of a header; empty where there is none."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return ""


def raw_target(scope: Scope) -> str:
    """Return path and query as they stand in the request line."""
    raw: bytes = scope["raw_path"].partition(b"?")[0]
    query: bytes = scope["query_string"]
    return (raw + (b"?" + query if query else b"")).decode("latin-1")
