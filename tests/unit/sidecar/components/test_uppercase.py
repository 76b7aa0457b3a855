"""The middleware that writes bodies in capitals."""

from pathlib import Path

import pytest

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.middleware import Event, Receive, Scope, Send
from daprflow.sidecar.components.middleware_uppercase import UppercaseMiddleware
from tests.helpers.components import context


@pytest.mark.row("R-21")
@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ((b"content-length", b"5"), (b"transfer-encoding", b"chunked")),
        ((b"content-length", b"0"), (b"content-length", b"0")),
        ((b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")),
    ],
)
async def test_a_changed_body_stays_framed(
    tmp_path: Path, given: tuple[bytes, bytes], seen: tuple[bytes, bytes]
) -> None:
    """A body whose length may change is announced as one of unknown length, never as none."""
    scopes: list[Scope] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await send(await receive())

    async def receive() -> Event:
        return {"type": "http.request", "body": "stra\u00dfe".encode(), "more_body": False}

    sent: list[Event] = []

    async def send(event: Event) -> None:
        sent.append(event)

    made_from = context(tmp_path, VirtualClock(), "middleware.http.uppercase")
    scope: Scope = {"type": "http", "headers": [(b"a", b"b"), given]}
    await UppercaseMiddleware(made_from).wrap(inner)(scope, receive, send)
    assert scopes[0]["headers"] == [(b"a", b"b"), seen]
    assert sent[0]["body"] == b"STRASSE"
