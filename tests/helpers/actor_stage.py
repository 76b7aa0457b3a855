"""An app with actors beside a small actor API in memory, which fails when a test says so."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote
from uuid import uuid4

import msgspec

from daprflow import Client, DaprFlow
from daprflow.protocol.actors import ReminderRequest, TimerRequest
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.settings import Settings
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.testing.lifespan import RunningApp
from daprflow.transports.base import ConnectionLost

OK = HttpResponse(200)
NO_CONTENT = HttpResponse(204)


class _Write(msgspec.Struct):
    key: str
    value: msgspec.Raw = msgspec.Raw(b"null")
    metadata: dict[str, str] = {}


class _Step(msgspec.Struct):
    operation: str
    request: _Write


class _Wish(msgspec.Struct):
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    callback: str = ""


def bare(name: str) -> str:
    """Return a name as a runtime puts it into the path of a call: as it is, escapes included."""
    return quote(name, safe="%/")


def _key(kind: str, actor_id: str, name: str) -> tuple[str, str, str]:
    return (kind, actor_id, name)


@dataclass
class ActorSidecar:
    """The calls that an app makes about actors, and those it is sent; turns are the app's affair.

    Attributes:
        store: the state as JSON, by type, id and key.
        reminders: what was asked for, by type, id and name.
        requests: every call of the app, as verb and path.
        refuse: gives the answer to a call instead; None lets it pass.
        lose: whether a call is done and its answer lost.
        with_ids: whether calls get a reentrancy id.
    """

    store: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    written_ttls: dict[tuple[str, str, str], str] = field(default_factory=dict)
    ttls: dict[tuple[str, str, str], str] = field(default_factory=dict)
    reminders: dict[tuple[str, str, str], ReminderRequest] = field(default_factory=dict)
    timers: dict[tuple[str, str, str], TimerRequest] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    refuse: Callable[[HttpRequest], HttpResponse | None] = lambda _: None
    lose: Callable[[HttpRequest], bool] = lambda _: False
    with_ids: bool = False
    address: str = "in this test"
    channel: AsgiChannel | None = None

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Answer a call of the app."""
        if request.target.startswith("/v1.0/healthz"):
            return NO_CONTENT
        await asyncio.sleep(0)
        self.requests.append(f"{request.method} {request.target}")
        refused = self.refuse(request)
        if refused is not None:
            return refused
        answer = await self._answer(request)
        if self.lose(request):
            raise ConnectionLost("the answer is lost")
        return answer

    async def close(self) -> None:
        """Do nothing: there are no connections."""

    def value(self, kind: str, actor_id: str, key: str = "state") -> Any:
        """Return what is stored, decoded; None for nothing."""
        found = self.store.get((kind, actor_id, key))
        return None if found is None else msgspec.json.decode(found)

    async def call(
        self,
        kind: str,
        actor_id: str,
        method: str,
        body: bytes = b"",
        headers: tuple[tuple[str, str], ...] = (),
    ) -> HttpResponse:
        """Send what a runtime sends for a call of a method."""
        path = "/".join(bare(part) for part in (kind, actor_id, "method", method))
        return await self.to_app(HttpRequest("PUT", f"/actors/{path}", headers, body))

    async def tick(self, kind: str, actor_id: str, name: str) -> HttpResponse:
        """Send the tick of a reminder that was asked for."""
        wish = self.reminders[kind, actor_id, name]
        body = {"dueTime": "", "period": ""}
        return await self._tick(kind, actor_id, f"remind/{bare(name)}", wish.data, body)

    async def timer(self, kind: str, actor_id: str, name: str) -> HttpResponse:
        """Send the tick of a timer that was asked for."""
        wish = self.timers[kind, actor_id, name]
        body = {"callback": wish.callback, "dueTime": wish.due_time, "period": wish.period}
        return await self._tick(kind, actor_id, f"timer/{bare(name)}", wish.data, body)

    async def deactivate(self, kind: str, actor_id: str) -> HttpResponse:
        """Send the end of an actor's time in memory."""
        path = f"/actors/{bare(kind)}/{bare(actor_id)}"
        headers = (("content-type", "application/x-protobuf"),)
        return await self.to_app(HttpRequest("DELETE", path, headers))

    async def to_app(self, request: HttpRequest) -> HttpResponse:
        """Send the app a request."""
        assert self.channel is not None
        return await self.channel.send(request)

    async def _tick(
        self,
        kind: str,
        actor_id: str,
        path: str,
        data: msgspec.Raw | msgspec.UnsetType,
        body: dict[str, Any],
    ) -> HttpResponse:
        if data is not msgspec.UNSET:
            body["data"] = data
        target = f"/actors/{bare(kind)}/{bare(actor_id)}/method/{path}"
        return await self.to_app(HttpRequest("PUT", target, (), msgspec.json.encode(body)))

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        _, _, _, *rest = request.target.split("/")
        kind, actor_id, what, *names = (unquote(part) for part in rest)
        name = names[0] if names else ""
        if what == "method":
            return await self._called(request, kind, actor_id, name)
        if what == "state":
            return self._state(request, kind, actor_id, name)
        key = _key(kind, actor_id, name)
        if what == "reminders":
            return self._reminder(request, key)
        if request.method == "DELETE":
            self.timers.pop(key, None)
        else:
            self.timers[key] = msgspec.json.decode(request.body, type=TimerRequest)
        return NO_CONTENT

    async def _called(
        self, request: HttpRequest, kind: str, actor_id: str, method: str
    ) -> HttpResponse:
        given = dict(request.headers)
        more = (
            ()
            if "dapr-reentrancy-id" in given or not self.with_ids
            else (("dapr-reentrancy-id", str(uuid4())),)
        )
        answer = await self.call(kind, actor_id, method, request.body, (*request.headers, *more))
        if answer.status == OK.status:
            return answer
        text = f"error from actor service: ({answer.status}) {answer.body.decode()}"
        body = {"errorCode": "ERR_ACTOR_INVOKE_METHOD", "message": text}
        return HttpResponse(500, (("content-type", "application/json"),), msgspec.json.encode(body))

    def _state(self, request: HttpRequest, kind: str, actor_id: str, name: str) -> HttpResponse:
        if request.method == "GET":
            key = _key(kind, actor_id, name)
            found = self.store.get(key)
            if found is None:
                return NO_CONTENT
            ends = self.ttls.get(key)
            headers = () if ends is None else (("metadata.ttlexpiretime", ends),)
            return HttpResponse(200, headers, found)
        for step in msgspec.json.decode(request.body, type=list[_Step]):
            key = _key(kind, actor_id, step.request.key)
            if step.operation == "delete":
                self.store.pop(key, None)
            else:
                self.store[key] = bytes(step.request.value)
                if "ttlInSeconds" in step.request.metadata:
                    self.written_ttls[key] = step.request.metadata["ttlInSeconds"]
        return NO_CONTENT

    def _reminder(self, request: HttpRequest, key: tuple[str, str, str]) -> HttpResponse:
        if request.method == "DELETE":
            self.reminders.pop(key, None)
            return NO_CONTENT
        asked = msgspec.json.decode(request.body, type=ReminderRequest)
        if asked.overwrite is False and key in self.reminders:
            return HttpResponse(409, (), b'{"errorCode":"ERR_ACTOR_REMINDER_ALREADY_EXISTS"}')
        self.reminders[key] = asked
        return NO_CONTENT


@dataclass
class ActorStage:
    """A running app and its sidecar."""

    app: DaprFlow
    sidecar: ActorSidecar
    client: Client


@asynccontextmanager
async def hosting(app: DaprFlow, sidecar: ActorSidecar | None = None) -> AsyncIterator[ActorStage]:
    """Run an app's lifespan beside an actor API."""
    sidecar = sidecar or ActorSidecar()
    running = RunningApp(app)
    sidecar.channel = AsgiChannel(running)
    app.client = Client(Settings(), transport=sidecar)
    client = Client(Settings(), transport=sidecar)
    await running.start()
    try:
        yield ActorStage(app, sidecar, client)
    finally:
        await running.stop()
        await client.close()
