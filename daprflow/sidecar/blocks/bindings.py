"""The bindings building block: output calls, and input events on their way to the app."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from daprflow.protocol import faults
from daprflow.protocol.fault import Fault
from daprflow.protocol.gojson import GoJsonError, normalise_whole
from daprflow.sidecar.app.base import App, BindingReply, InputAddress
from daprflow.sidecar.channel.base import AppAway, AppUnreachable
from daprflow.sidecar.components.base import (
    BindingAnswer,
    BindingMessage,
    ComponentError,
    InputBinding,
    Nack,
    OutputBinding,
    Undelivered,
)
from daprflow.sidecar.resiliency.breaker import Refused
from daprflow.sidecar.resiliency.deadline import TimedOut
from daprflow.sidecar.resiliency.policy import Policy, StatusFailure, StoppedRetrying
from daprflow.sidecar.telemetry.meters import FALSE, TRUE

if TYPE_CHECKING:
    from daprflow.sidecar.loading import LoadedComponent
    from daprflow.sidecar.runtime import Runtime

logger = logging.getLogger(__name__)

_SAFE = "/%?=&$+,:;@-_.~"


@dataclass(frozen=True, slots=True)
class _Input:
    address: InputAddress
    component: InputBinding
    probed: bool


class _Unsettled(StatusFailure):
    """The app answered in a way that a retry policy takes for a failure."""

    def __init__(self, reply: BindingReply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class BindingsBlock:
    """The bindings that one app sees."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._work = runtime.engine.work
        self._app = runtime.app
        self._outputs: dict[str, OutputBinding] = {}
        self._inputs: list[_Input] = []
        self._started: list[_Input] = []
        exists = lambda name: name in self._outputs  # noqa: E731 - a reload puts others there
        self._timed = runtime.telemetry.timed("output_binding", exists)
        self._take_in()

    async def renew(self) -> None:
        """Take the bindings as they are now: what is gone stops, what is new begins at `start`."""
        self._take_in()
        gone = [item for item in self._started if item not in self._inputs]
        self._started = [item for item in self._started if item in self._inputs]
        for item in gone:
            await item.component.stop()

    def _take_in(self) -> None:
        loaded = [item for item in self._runtime.components if item.kind == "bindings"]
        self._outputs = {
            item.resource.name: cast("OutputBinding", item.instance)
            for item in loaded
            if "OUTPUT_BINDING" in item.instance.capabilities and _directed(item, "output")
        }
        self._inputs = [
            _input(item)
            for item in loaded
            if "INPUT_BINDING" in item.instance.capabilities and _directed(item, "input")
        ]

    @property
    def started(self) -> tuple[str, ...]:
        """The names of the input bindings that deliver to the app now."""
        return tuple(item.address.name for item in self._started)

    async def invoke(
        self, name: str, operation: str, data: bytes, metadata: Mapping[str, str]
    ) -> BindingAnswer:
        """Have an output binding do one operation."""
        with self._timed(name, operation):
            if not operation:
                raise faults.output_binding(name, "operation field is missing from request")
            binding = self._outputs.get(name)
            if binding is None:
                raise faults.output_binding(name, f"couldn't find output binding {name}")
            if operation not in binding.operations:
                raise faults.output_binding(
                    name,
                    f"binding {name} does not support operation {operation}. "
                    f"supported operations:{' '.join(binding.operations)}",
                )
            try:
                return await binding.invoke(operation, data, metadata)
            except ComponentError as error:
                raise faults.output_binding(name, str(error)) from error

    async def start(self) -> None:
        """Ask the app which input bindings it takes, and start those; without an app do nothing."""
        app = self._app
        if app is None:
            return
        for item in self._inputs:
            if item not in self._started and await _wanted(item, app):
                await item.component.start(self._receiver(item, app))
                self._started.append(item)

    async def stop(self) -> None:
        """Stop the input bindings and wait for what is in flight."""
        started, self._started = self._started, []
        for item in started:
            await item.component.stop()

    def _receiver(self, item: _Input, app: App) -> Callable[[BindingMessage], Awaitable[None]]:
        policy = self._runtime.resiliency.inbound(item.address.name, "bindings")
        deliver = _deliver if policy is None else partial(_deliver_under, policy)

        def receive(message: BindingMessage) -> Awaitable[None]:
            # Counted at once, not when the loop gets to it: a test must not see a gap.
            self._work.begin()
            work = self._deliver(deliver(item.address, app, message), item.address.name)
            task = asyncio.get_running_loop().create_task(work)
            task.add_done_callback(lambda _: self._work.end())
            return task

        return receive

    async def _counted(self, delivery: Awaitable[BindingReply], name: str) -> BindingReply:
        """Have an event delivered, and count and measure that where there are metrics."""
        meters = self._runtime.telemetry.meters
        if meters is None:
            return await delivery
        clock = self._runtime.engine.clock
        begun, success = clock.now(), FALSE
        try:
            reply = await delivery
            success = TRUE
        finally:
            meters.input_binding.record((clock.now() - begun) * 1000, name, success)
        return reply

    async def _deliver(self, delivery: Awaitable[BindingReply], name: str) -> None:
        """Deliver one event, and do what the app's answer asks for; that is no part of the event.

        As in the real runtime a failed call of an output binding is a line in the log.
        """
        reply = await self._counted(delivery, name)
        if not reply.to:
            return
        data = _passed_on(reply.data)
        calls = [partial(self.invoke, to, "create", data, {}) for to in reply.to]
        try:
            if reply.parallel:
                await asyncio.gather(*(_logged(call(), name) for call in calls))
            else:
                for call in calls:
                    await call()
        except Fault as fault:
            _log_output(name, fault)


def _passed_on(data: bytes) -> bytes:
    """Return the data of an app's answer as output bindings get it: what is no JSON is lost."""
    try:
        return normalise_whole(data)
    except GoJsonError:
        return b"null"


async def _logged(call: Awaitable[BindingAnswer], name: str) -> None:
    try:
        await call
    except Fault as fault:
        _log_output(name, fault)


def _log_output(name: str, fault: Fault) -> None:
    logger.error("binding '%s': what the app answered could not be passed on: %s", name, fault)


def _directed(item: "LoadedComponent", direction: str) -> bool:
    wanted = item.context.metadata.get("direction", "")
    return not wanted or direction in wanted


def _input(item: "LoadedComponent") -> _Input:
    route = quote(item.context.metadata.get("route") or item.resource.name, safe=_SAFE)
    return _Input(
        address=InputAddress(item.resource.name, route if route.startswith("/") else f"/{route}"),
        component=cast("InputBinding", item.instance),
        probed=not item.context.metadata.get("direction", ""),
    )


async def _wanted(item: _Input, app: App) -> bool:
    return not item.probed or await app.takes_binding(item.address)


async def _deliver(address: InputAddress, app: App, message: BindingMessage) -> BindingReply:
    """Deliver one event, and return what the app answered to it.

    Raises:
        Undelivered: it did not get to the app.
        Nack: the app did not take it.
    """
    try:
        reply = await app.binding_event(address, message)
    except AppUnreachable as error:
        logger.warning("binding '%s': the app could not be reached: %s", address.name, error)
        raise _not_taken(error) from error
    if not reply.taken:
        logger.warning("binding '%s': %s", address.name, reply.reason)
        raise Nack(f"status {reply.status}")
    return reply


async def _deliver_under(
    policy: Policy, address: InputAddress, app: App, message: BindingMessage
) -> BindingReply:
    """Deliver one event as often as ``policy`` says, and return what the app answered last.

    Raises:
        Undelivered: it did not get to the app.
        Nack: the app did not take it.
    """
    reason: Exception

    async def attempt() -> BindingReply:
        reply = await app.binding_event(address, message)
        if not reply.settled:
            raise _Unsettled(reply)
        return reply

    try:
        return await policy.run(attempt)
    except _Unsettled as failure:
        if failure.reply.taken:
            return failure.reply
        reason = failure
    except (AppUnreachable, Refused, TimedOut, StoppedRetrying) as error:
        reason = error
    logger.warning("binding '%s': the app did not take an event: %s", address.name, reason)
    raise _not_taken(reason) from reason


def _not_taken(reason: Exception) -> Nack:
    """Return what tells a queue whether to wait for the app, or to count a failed attempt."""
    return (Undelivered if isinstance(reason, AppAway) else Nack)(str(reason))
