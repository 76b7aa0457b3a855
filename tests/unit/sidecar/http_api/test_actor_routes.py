"""Routes of actors: what becomes of a call whose client leaves."""

import asyncio
from pathlib import Path
from typing import Any

from daprflow.sidecar.http_api.app import HttpApi
from tests.helpers.recording import Answer, RecordingApp
from tests.helpers.sidecar import in_process_sidecar

STORE = {"store": ("state.in-memory", {"actorStateStore": "true"})}


class Stuck:
    """An app whose actors take a call up and never answer."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.ended = asyncio.Event()
        config = Answer(200, b'{"entities":["T"]}', "application/json")
        self._inner = RecordingApp()
        self._inner.answers["/dapr/config"] = config

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if "/method/" not in scope["path"]:
            await self._inner(scope, receive, send)
            return
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()


async def test_a_turn_ends_with_its_client(tmp_path: Path) -> None:
    """When the client of a call has gone, the app's work on it ends, and nothing is answered."""
    app = Stuck()
    async with in_process_sidecar(tmp_path, STORE, app) as sidecar:
        left = asyncio.Event()
        sent: list[Any] = []
        pending = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Any:
            if pending:
                return pending.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(event: Any) -> None:
            sent.append(event)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1.0/actors/T/1/method/m",
            "raw_path": b"/v1.0/actors/T/1/method/m",
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1")],
        }
        call = asyncio.create_task(HttpApi(sidecar.runtime)(scope, receive, send))
        await asyncio.wait_for(app.began.wait(), 5)
        left.set()
        await asyncio.wait_for(call, 5)
        await asyncio.wait_for(app.ended.wait(), 5)
        assert sent == []
