"""Actors of an app that speaks HTTP: every call is a PUT below ``/actors/``."""

import re
from collections.abc import Callable
from urllib.parse import quote, unquote

import msgspec

from daprflow.protocol.actor_names import quoted
from daprflow.protocol.actors import CANCEL_HEADER, ERROR_HEADER, ReminderTick, TimerTick
from daprflow.protocol.http import JSON, Headers, HttpRequest, HttpResponse
from daprflow.sidecar.actors.host import (
    ActorAnswer,
    ActorCall,
    ActorRaised,
    HostAway,
    HostFailed,
    MethodMissing,
    TimerDue,
)
from daprflow.sidecar.channel.base import AppAway, AppChannel, AppUnreachable

PREFIX = "/actors/"
_JSON: Headers = (("content-type", JSON),)
_PROTOBUF: Headers = (("content-type", "application/x-protobuf"),)
_OK, _NOT_FOUND = 200, 404
_TRUE = frozenset({"y", "yes", "true", "t", "on", "1"})
_PLAIN_PATH = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@\[\]/]|%[0-9A-Fa-f]{2})*")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}")
_SAFE = "$&+,/:;=@-_.~"


class HttpActorHost:
    """Calls an app that speaks HTTP.

    Args:
        channel: gives the way to the app.
    """

    def __init__(self, channel: Callable[[], AppChannel]) -> None:
        self._channel = channel

    async def invoke(self, kind: str, actor_id: str, call: ActorCall) -> ActorAnswer:
        """Call a method; 200 alone is a success."""
        path = f"{PREFIX}{kind}/{actor_id}/method/{call.method}"
        target = f"{go_path(path)}?{call.query}" if call.query else go_path(path)
        return await self._put(HttpRequest("PUT", target, call.headers, call.data))

    async def remind(
        self, kind: str, actor_id: str, name: str, data: msgspec.Raw | msgspec.UnsetType
    ) -> None:
        """Deliver a tick of a reminder; its times are left empty, as the real runtime does."""
        await self._tick(f"{PREFIX}{kind}/{actor_id}/method/remind/{name}", ReminderTick(data))

    async def fire(self, kind: str, actor_id: str, timer: TimerDue) -> None:
        """Deliver a tick of a timer."""
        body = TimerTick(timer.data, timer.callback, timer.due_time, timer.period)
        await self._tick(f"{PREFIX}{kind}/{actor_id}/method/timer/{timer.name}", body)

    async def deactivate(self, kind: str, actor_id: str) -> None:
        """Tell that an actor is needed no more."""
        target = go_path(f"{PREFIX}{kind}/{actor_id}")
        response = await self._send(HttpRequest("DELETE", target, _PROTOBUF))
        if response.status != _OK:
            raise _failed(response)

    async def _tick(self, path: str, body: ReminderTick | TimerTick) -> None:
        request = HttpRequest("PUT", go_path(path), _JSON, msgspec.json.encode(body))
        try:
            await self._put(request)
        except ReminderCancelled:
            return  # the real runtime takes it for the success of this tick, and goes on

    async def _put(self, request: HttpRequest) -> ActorAnswer:
        response = await self._send(request)
        if response.status == _NOT_FOUND:
            path = unquote(request.target.partition("?")[0]).removeprefix("/")
            raise MethodMissing(f"actor method not found: {path}")
        if response.status != _OK:
            raise _failed(response)
        answer = ActorAnswer(response.body, response.headers)
        for name, value in response.headers:
            if name == ERROR_HEADER:
                raise ActorRaised(answer)
            if name == CANCEL_HEADER and value.strip().lower() in _TRUE:
                raise ReminderCancelled("reminder has been canceled")
        return answer

    async def _send(self, request: HttpRequest) -> HttpResponse:
        try:
            return await self._channel().send(request)
        except AppAway as error:
            raise HostAway(str(error)) from error
        except AppUnreachable as error:
            raise HostFailed(str(error)) from error


class ReminderCancelled(HostFailed):
    """The app asks that a reminder end; in answer to a method that makes no sense."""


def go_path(path: str) -> str:
    """Return ``path`` as Go's client writes it.

    What is escaped in it already stays so, unless a character must be escaped yet: then it is
    decoded and encoded as a whole.

    Raises:
        HostFailed: a percent sign escapes nothing.
    """
    if _PLAIN_PATH.fullmatch(path):
        return path
    bad = _BAD_ESCAPE.search(path)
    if bad is not None:
        raise HostFailed(f"parse {quoted(path)}: invalid URL escape {quoted(bad[0])}")
    return quote(unquote(path), safe=_SAFE)


def _failed(response: HttpResponse) -> HostFailed:
    text = response.body.decode("utf-8", "replace")
    return HostFailed(f"error from actor service: ({response.status}) {text}")
