"""The bindings building block: output calls, and input events on their way to the app."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from daprflow.protocol import faults
from daprflow.protocol.http import JSON, Headers, HttpRequest
from daprflow.sidecar.channel.base import AppAway, AppChannel, AppUnreachable
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

if TYPE_CHECKING:
    from daprflow.sidecar.loading import LoadedComponent
    from daprflow.sidecar.runtime import Runtime

logger = logging.getLogger(__name__)

OPTIONS_TIMEOUT = 3.0
_SAFE = "/%?=&$+,:;@-_.~"
_NO_PARENT = "00-00000000000000000000000000000000-0000000000000000-00"
_OK, _METHOD_NOT_ALLOWED = 200, 405


@dataclass(frozen=True, slots=True)
class _Input:
    name: str
    component: InputBinding
    path: str
    probed: bool


class BindingsBlock:
    """The bindings that one app sees."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._work = runtime.engine.work
        self._channel = runtime.channel
        self._outputs: dict[str, OutputBinding] = {}
        self._inputs: list[_Input] = []
        self._started: list[_Input] = []
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
        return tuple(item.name for item in self._started)

    async def invoke(
        self, name: str, operation: str, data: bytes, metadata: Mapping[str, str]
    ) -> BindingAnswer:
        """Have an output binding do one operation."""
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
        channel = self._channel
        if channel is None:
            return
        for item in self._inputs:
            if item not in self._started and await _wanted(item, channel):
                await item.component.start(self._receiver(item, channel))
                self._started.append(item)

    async def stop(self) -> None:
        """Stop the input bindings and wait for what is in flight."""
        started, self._started = self._started, []
        for item in started:
            await item.component.stop()

    def _receiver(
        self, item: _Input, channel: AppChannel
    ) -> Callable[[BindingMessage], Awaitable[None]]:
        policy = self._runtime.resiliency.inbound(item.name, "bindings")
        deliver = _deliver if policy is None else partial(_deliver_under, policy)

        def receive(message: BindingMessage) -> Awaitable[None]:
            # Counted at once, not when the loop gets to it: a test must not see a gap.
            self._work.begin()
            task = asyncio.get_running_loop().create_task(deliver(item, channel, message))
            task.add_done_callback(lambda _: self._work.end())
            return task

        return receive


def _directed(item: "LoadedComponent", direction: str) -> bool:
    wanted = item.context.metadata.get("direction", "")
    return not wanted or direction in wanted


def _input(item: "LoadedComponent") -> _Input:
    route = quote(item.context.metadata.get("route") or item.resource.name, safe=_SAFE)
    return _Input(
        name=item.resource.name,
        component=cast("InputBinding", item.instance),
        path=route if route.startswith("/") else f"/{route}",
        probed=not item.context.metadata.get("direction", ""),
    )


async def _wanted(item: _Input, channel: AppChannel) -> bool:
    if not item.probed:
        return True
    request = HttpRequest("OPTIONS", item.path, (("content-type", JSON),))
    try:
        async with asyncio.timeout(OPTIONS_TIMEOUT):
            answer = await channel.send(request)
    except (AppUnreachable, TimeoutError) as error:
        logger.warning(
            "binding '%s' is not started: the app did not answer OPTIONS %s (%s)",
            item.name,
            item.path,
            str(error) or type(error).__name__,
        )
        return False
    if _is_success(answer.status) or answer.status == _METHOD_NOT_ALLOWED:
        return True
    logger.info("binding '%s' is not started: the app has no handler for it", item.name)
    return False


async def _deliver(item: _Input, channel: AppChannel, message: BindingMessage) -> None:
    """Post one event; any 2xx is an acknowledgement.

    Raises:
        Undelivered: it did not get to the app.
        Nack: the app did not take it.
    """
    request = HttpRequest("POST", item.path, _headers(message.metadata), message.data)
    try:
        answer = await channel.send(request)
    except AppUnreachable as error:
        logger.warning("binding '%s': the app could not be reached: %s", item.name, error)
        raise _not_taken(error) from error
    if not _is_success(answer.status):
        logger.warning(
            "binding '%s': the app answered POST %s with status %d",
            item.name,
            item.path,
            answer.status,
        )
        raise Nack(f"status {answer.status}")


async def _deliver_under(
    policy: Policy, item: _Input, channel: AppChannel, message: BindingMessage
) -> None:
    """Post one event as often as ``policy`` says; as in the real runtime only 200 ends that early.

    Raises:
        Undelivered: it did not get to the app.
        Nack: the app did not take it.
    """
    request = HttpRequest("POST", item.path, _headers(message.metadata), message.data)

    async def attempt() -> None:
        answer = await channel.send(request)
        if answer.status != _OK:
            raise StatusFailure(answer.status)

    try:
        await policy.run(attempt)
    except StatusFailure as failure:
        if _is_success(failure.status):
            return
        reason: Exception = failure
    except (AppUnreachable, Refused, TimedOut, StoppedRetrying) as error:
        reason = error
    else:
        return
    logger.warning("binding '%s': the app did not take an event: %s", item.name, reason)
    raise _not_taken(reason) from reason


def _not_taken(reason: Exception) -> Nack:
    """Return what tells a queue whether to wait for the app, or to count a failed attempt."""
    return (Undelivered if isinstance(reason, AppAway) else Nack)(str(reason))


def _headers(metadata: Mapping[str, str]) -> Headers:
    own = tuple((name.lower(), value) for name, value in metadata.items())
    return (("content-type", JSON), ("traceparent", _NO_PARENT), *own)


def _is_success(status: int) -> bool:
    return 200 <= status < 300  # noqa: PLR2004 - the 2xx
