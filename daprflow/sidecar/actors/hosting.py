"""The actors that one app hosts: which types, on which host, as long as there is a store."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from daprflow.protocol import actor_faults as faults
from daprflow.protocol.documents import AppConfig
from daprflow.sidecar.actors.host import ActorHost
from daprflow.sidecar.actors.hosted import HostedType, Leave
from daprflow.sidecar.actors.http_host import HttpActorHost
from daprflow.sidecar.actors.settings import SettingsRefused, settings_of
from daprflow.sidecar.actors.stream_host import StreamHost
from daprflow.sidecar.actors.watched_host import WatchedHost

if TYPE_CHECKING:
    from daprflow.sidecar.channel.base import AppChannel
    from daprflow.sidecar.runtime import Runtime

logger = logging.getLogger(__name__)

FAREWELL = 1.0
"""Seconds of real time for the ends of actors that are still there when everything ends."""


@dataclass(frozen=True, slots=True)
class TypeCount:
    """How many actors of a type are active in the app."""

    kind: str
    count: int


@dataclass(slots=True, eq=False)
class Hosting:
    """A host of the app, and its types that are hosted now: none while there is no store."""

    host: ActorHost
    config: AppConfig
    types: dict[str, HostedType] = field(default_factory=dict)


class Hostings:
    """Registers what an app hosts with the placement of its engine.

    Args:
        runtime: of the app.
        suspended: whether there is no store for the state of actors: no type is hosted then.

    Attributes:
        registered: whether the app has said which types it hosts.
    """

    def __init__(self, runtime: "Runtime", *, suspended: bool) -> None:
        self._runtime = runtime
        self._placement = runtime.engine.placement
        self._own: Hosting | None = None
        self._streams = StreamHost()
        self._hostings: list[Hosting] = []
        self._draining: list[HostedType] = []
        self._leaving: set[asyncio.Task[None]] = set()
        self._suspended = suspended
        self.registered = runtime.app is None

    @property
    def counts(self) -> Sequence[TypeCount]:
        """Every hosted type, and how many actors of it are active."""
        return [
            TypeCount(kind, hosted.count)
            for hosting in self._hostings
            for kind, hosted in hosting.types.items()
        ]

    def hosts(self, kind: str) -> bool:
        """Whether the app hosts a type, or has turns of it that may end yet."""
        return any(self._of(kind))

    def is_active(self, kind: str, actor_id: str) -> bool:
        """Whether an actor is active in the app, or has a turn that may end yet."""
        return any(hosted.is_active(actor_id) for hosted in self._of(kind))

    def _of(self, kind: str) -> Iterator[HostedType]:
        for hosting in self._hostings:
            if kind in hosting.types:
                yield hosting.types[kind]
        for hosted in self._draining:
            if hosted.kind == kind:
                yield hosted

    # ---- an app that is called ------------------------------------------------------------------

    async def start(self) -> None:
        """Host the types that the app's configuration names."""
        if self._own is None and self._runtime.channel is not None:
            host = HttpActorHost(self._channel)
            self._own = await self._admit(host, self._runtime.config)

    async def stop(self) -> None:
        """Host them no more; turns under way get their time, unless the app is not healthy."""
        own, self._own = self._own, None
        if own is not None:
            await self._dismiss(own, Leave.IN_TIME if self._runtime.app_healthy else Leave.SILENTLY)

    def _channel(self) -> "AppChannel":
        channel = self._runtime.channel
        assert channel is not None  # noqa: S101 - `start` looked
        return channel

    # ---- an app that holds streams open ---------------------------------------------------------

    def check_streams(self) -> None:
        """Refuse streams beside an app that is called over HTTP.

        Raises:
            Fault: the app is.
        """
        if self._runtime.channel is not None:
            raise faults.needs_stream()

    async def join(self, line: ActorHost, config: AppConfig) -> Hosting:
        """Host the types of a configuration through a stream; `leave` ends that."""
        self._streams.connect(line)
        return await self._admit(self._streams, config)

    async def leave(self, line: ActorHost, hosting: Hosting) -> None:
        """Give a stream up; types that another one has, too, stay there.

        That goes on to its end where the caller does not wait for it any more: the call of a stream
        may be cancelled a second time while it ends.
        """
        self._streams.disconnect(line)
        how = Leave.IN_TIME if self._streams.connected else Leave.SILENTLY
        leaving = asyncio.get_running_loop().create_task(self._hand_over(hosting, how))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)
        await asyncio.shield(leaving)

    # ---- the store ------------------------------------------------------------------------------

    async def suspend(self) -> None:
        """Have every actor leave: their state has no place, or is going to have another one."""
        self._suspended = True
        for hosting in self._hostings:
            await self._unregister(hosting, Leave.IN_TIME)

    async def resume(self) -> None:
        """Host what is to be hosted, now that there is a place for its state."""
        self._suspended = False
        await self._register_all()

    async def close(self) -> None:
        """Have the actors leave that are still there, at once; streams have a moment for it."""
        dismissed = [self._dismiss(each, Leave.AT_ONCE) for each in tuple(self._hostings)]
        left = {*self._leaving, *map(asyncio.ensure_future, dismissed)}
        if left:
            await asyncio.wait(left, timeout=FAREWELL)

    # ---- parts ----------------------------------------------------------------------------------

    async def _hand_over(self, hosting: Hosting, how: Leave) -> None:
        await self._dismiss(hosting, how)
        await self._register_all()

    async def _admit(self, host: ActorHost, config: AppConfig) -> Hosting:
        hosting = Hosting(host, config)
        self._hostings.append(hosting)
        self.registered = True
        if self._suspended and config.entities:
            logger.warning(
                "app '%s' hosts actors (%s), but no state store has actorStateStore: \"true\"; "
                "they cannot be called until one has",
                self._runtime.app_id,
                ", ".join(config.entities),
            )
        await self._register_all()
        return hosting

    async def _dismiss(self, hosting: Hosting, how: Leave) -> None:
        if hosting in self._hostings:
            self._hostings.remove(hosting)
        if hosting.config.entities and not self._hostings:
            self.registered = False
        await self._unregister(hosting, how)

    async def _register_all(self) -> None:
        for hosting in tuple(self._hostings):
            if not self._suspended:
                await self._register(hosting)

    async def _register(self, hosting: Hosting) -> None:
        runtime, resiliency = self._runtime, self._runtime.resiliency
        try:
            settings = settings_of(hosting.config, runtime.app_id)
        except SettingsRefused as error:
            logger.warning("%s", error)
            return
        for kind, chosen in settings.items():
            if any(kind in each.types for each in self._hostings):
                continue
            meters = runtime.telemetry.meters
            host: ActorHost = hosting.host
            hosted = HostedType(
                kind,
                runtime.app_id,
                host if meters is None else WatchedHost(host, meters.actors),
                chosen,
                clock=runtime.engine.clock,
                work=runtime.engine.work,
                timeout=partial(resiliency.actor_timeout, kind),
                replica=runtime.replica,
            )
            if meters is not None:
                hosted.waiting = meters.actors.waiting(kind)
            hosting.types[kind] = hosted
            await self._placement.register(hosted)

    async def _unregister(self, hosting: Hosting, how: Leave) -> None:
        types, hosting.types = tuple(hosting.types.values()), {}
        self._draining += types
        try:
            await asyncio.gather(*(self._placement.unregister(each, how) for each in types))
        finally:
            self._draining = [each for each in self._draining if each not in types]
