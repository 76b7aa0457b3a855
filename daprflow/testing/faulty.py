"""The places where faults meet calls: components, the ways to apps, activities, the client."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import msgspec

from daprflow.errors import DaprFlowError
from daprflow.handlers.handler import Delivery, Next, Outcome
from daprflow.protocol.http import (
    JSON,
    HttpRequest,
    HttpResponse,
    StreamedRequest,
    StreamedResponse,
)
from daprflow.sidecar.blocks.state import original_key
from daprflow.sidecar.channel.base import AppChannel
from daprflow.sidecar.components.base import (
    Component,
    ComponentError,
    EtagConflict,
    Message,
    StateWrite,
)
from daprflow.sidecar.resiliency.guard import OPERATIONS, Guarded
from daprflow.testing.faults import CONFLICT, Failing, Faults
from daprflow.testing.targets import Operation

if TYPE_CHECKING:
    from daprflow.workflows.activities import Activity

Guard = Callable[[str, str, Component], Component]


class ActivityFault(DaprFlowError):  # noqa: N818 - named for what happened
    """An activity failed because a test asked for it.

    Example:
        ```python
        dapr.fail(charge, times=1)
        run = await dapr.start(checkout, Order("7"))
        ```
    """


class _Refusal(msgspec.Struct, frozen=True):
    error: str


# ---- components ---------------------------------------------------------------------------------


class FaultyComponent(Guarded):
    """A component whose operations meet faults, below the app's resiliency policies."""

    def __init__(self, name: str, kind: str, component: Component, faults: Faults) -> None:
        super().__init__(kind, component)
        for each in OPERATIONS.get(kind, ()):
            if hasattr(component, each):
                setattr(self, each, self._meeting(name, kind, each, faults))

    def _meeting(self, name: str, kind: str, what: str, faults: Faults) -> Callable[..., Any]:
        operation = getattr(self.component, what)

        async def call(*args: Any, **options: Any) -> Any:
            failing = await faults.meet(Operation(kind, name, what, _detail(args)))
            if failing is None:
                return await operation(*args, **options)
            if failing.status == CONFLICT:
                raise EtagConflict("possible etag mismatch. error from state store: conflict")
            raise ComponentError(str(failing.error))

        return call


def faulty(guard: Guard, faults: Faults) -> Guard:
    """Return a guard that puts faults between a component and its policies."""

    def put(name: str, kind: str, component: Component) -> Component:
        between = FaultyComponent(name, kind, component, faults)
        return guard(name, kind, cast("Component", between))

    return put


def _detail(args: tuple[Any, ...]) -> str:
    """Return the topic of a message, the operation of a binding, the key of a state."""
    first = args[0] if args else ""
    if isinstance(first, Message):
        return first.topic
    if isinstance(first, StateWrite):
        return original_key(first.key)
    return original_key(first) if isinstance(first, str) else ""


# ---- apps ---------------------------------------------------------------------------------------


class FaultyChannel:
    """The way to an app; calls of methods and of actors meet faults on it."""

    def __init__(self, app_id: str, channel: AppChannel, faults: Faults) -> None:
        self._app_id = app_id
        self._channel = channel
        self._faults = faults

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Call the app and collect its answer, or fail in its place."""
        failing = await self._meet(request.method, request.target)
        if failing is None:
            return await self._channel.send(request)
        return _answer(failing)

    async def stream(self, request: StreamedRequest, /) -> StreamedResponse:
        """Call the app with bodies in pieces, or fail in its place."""
        failing = await self._meet(request.method, request.target, invoked=True)
        if failing is None:
            return await self._channel.stream(request)
        answer = _answer(failing)
        return StreamedResponse(answer.status, answer.headers, _once(answer.body), _nothing)

    async def check(self, request: HttpRequest, /) -> HttpResponse:
        """Make a health probe, which no fault meets."""
        return await self._channel.check(request)

    async def probe(self) -> bool:
        """Tell whether the app is there."""
        return await self._channel.probe()

    async def close(self) -> None:
        """Give back every connection."""
        await self._channel.close()

    async def _meet(self, method: str, target: str, *, invoked: bool = False) -> Failing | None:
        path = unquote(target.partition("?")[0]).strip("/")
        return await self._faults.meet(self._operation(method, path, invoked=invoked))

    def _operation(self, method: str, path: str, *, invoked: bool) -> Operation:
        parts = path.split("/")
        if not invoked and parts[0] == "actors" and len(parts) > 4:  # noqa: PLR2004 - …/method/m
            return Operation("actor", parts[1], parts[4], "/".join(parts[2:3] + parts[5:]))
        if invoked:
            return Operation("invoke", self._app_id, method, path)
        return Operation("delivery", self._app_id, method, path)


def _answer(failing: Failing) -> HttpResponse:
    body = msgspec.json.encode(_Refusal(str(failing.error)))
    return HttpResponse(failing.status, (("content-type", JSON),), body)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _nothing() -> None:
    """Give up a body that is at hand already."""


# ---- activities ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FaultyActivity:
    """An activity that meets faults before it runs."""

    call: Next


def faulty_activities(
    app_id: str, activities: "Mapping[str, Activity]", faults: Faults
) -> "dict[str, Activity]":
    """Return activities that meet faults."""
    return {
        name: FaultyActivity(_meeting_activity(app_id, name, each.call, faults))
        for name, each in activities.items()
    }


def _meeting_activity(app_id: str, name: str, call: Next, faults: Faults) -> Next:
    async def run(delivery: Delivery) -> Outcome:
        failing = await faults.meet(Operation("activity", app_id, "", name))
        if failing is None:
            return await call(delivery)
        error = failing.error
        return Outcome(
            http_status=500, error=ActivityFault(error) if isinstance(error, str) else error
        )

    return run
