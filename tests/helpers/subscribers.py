"""An app with subscriptions, and an in-process sidecar for it."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from tests.helpers.recording import DONE, NOT_FOUND, Answer, Call, RecordingApp
from tests.helpers.sidecar import Components, InProcessSidecar, in_process_sidecar

PUBSUB: Components = {"pubsub": ("pubsub.in-memory", {})}
DURABLE: Components = {"pubsub": ("pubsub.daprflow", {})}

JSON = (("content-type", "application/json"),)
CLOUDEVENT = (("content-type", "application/cloudevents+json"),)


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A sidecar, and the app that it delivers to."""

    sidecar: InProcessSidecar
    app: RecordingApp

    async def send(
        self, method: str, target: str, body: bytes = b"", headers: Sequence[tuple[str, str]] = JSON
    ) -> HttpResponse:
        """Send one request to the sidecar."""
        return await self.sidecar.exchange.send(HttpRequest(method, target, tuple(headers), body))

    async def publish(self, topic: str, value: Any) -> None:
        """Publish ``value`` as JSON."""
        target = f"/v1.0/publish/pubsub/{topic}"
        answer = await self.send("POST", target, msgspec.json.encode(value))
        assert answer.status == 204, answer.body

    async def arrived(self, path: str, count: int = 1) -> list[Call]:
        """Wait for calls on ``path``, letting virtual time go on."""
        await self.sidecar.until(lambda: len(self.app.to(path)) >= count)
        return self.app.to(path)

    async def settled(self, path: str) -> list[Call]:
        """Publish a mark behind everything, wait for it, and return the calls on ``path``."""
        marks = len(self.app.to("/marks"))
        await self.sidecar.engine.work.idle()
        await self.publish("marks", "mark")
        await self.arrived("/marks", marks + 1)
        await self.sidecar.engine.work.idle()
        return self.app.to(path)


@contextlib.asynccontextmanager
async def subscribed(
    root: Path,
    subscriptions: Sequence[Mapping[str, Any]],
    components: Components = PUBSUB,
    *,
    data_dir: Path | None = None,
    options: RuntimeOptions | None = None,
    files: Resources | None = None,
    clock: VirtualClock | None = None,
) -> AsyncIterator[Subscribed]:
    """Start a sidecar for an app with ``subscriptions`` to the pubsub called ``pubsub``."""
    mark = {"topic": "marks", "route": "/marks"}
    document = [{"pubsubname": "pubsub", **item} for item in (*subscriptions, mark)]

    def default(call: Call) -> Answer:
        if call.path == "/dapr/subscribe":
            return Answer.of(document)
        return DONE if call.method == "POST" else NOT_FOUND

    app = RecordingApp(default)
    async with in_process_sidecar(
        root, components, app, data_dir=data_dir, options=options, files=files, clock=clock
    ) as sidecar:
        yield Subscribed(sidecar, app)
