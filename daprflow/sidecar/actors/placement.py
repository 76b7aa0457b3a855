"""Where actors are: every type that an app of the run hosts, and who has a given actor."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar
from zlib import crc32

from daprflow.sidecar.actors.host import HostAway
from daprflow.sidecar.actors.hosted import HostedType, Leave
from daprflow.sidecar.actors.turns import Halted
from daprflow.sidecar.clock import Clock

logger = logging.getLogger(__name__)

T = TypeVar("T")
PATIENCE = 5.0
"""Seconds of the real runtime's five retries."""
SPREAD, MASK = 0x9E3779B97F4A7C15, (1 << 64) - 1
"""What mixes a checksum: those of equally long texts differ by the same bits for every id."""


class NoHost(Exception):  # noqa: N818 - named for what happened
    """Nobody hosts the type; the text is the real runtime's."""

    def __init__(self, kind: str, actor_id: str) -> None:
        super().__init__(
            "failed to lookup actor: api error: code = FailedPrecondition desc = "
            f"did not find address for actor '{kind}/{actor_id}'"
        )


class Placement:
    """The hosts of an engine by the types they have.

    Of several hosts of one type each has a share of the ids. An actor whose id goes to another host
    leaves its old one first: calls wait for that.

    Args:
        clock: the engine's.
        hosted: called with a type when its first host came.
        gone: called with a type when its last host begins to leave; ends when its ticks have.

    Attributes:
        patience: seconds that a call waits for somebody to host its type, or to take over an actor
            whose host is away.
    """

    def __init__(
        self,
        clock: Clock,
        hosted: Callable[[str], None],
        gone: Callable[[str], Awaitable[None]],
    ) -> None:
        self.patience = PATIENCE
        self._clock = clock
        self._came = hosted
        self._left = gone
        self._types: dict[str, list[HostedType]] = {}
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._emptying: list[HostedType] = []

    @property
    def types(self) -> Mapping[str, tuple[str, ...]]:
        """Every hosted type, and the apps that host it."""
        return {kind: tuple(host.app_id for host in hosts) for kind, hosts in self._types.items()}

    def find(self, kind: str, actor_id: str) -> HostedType | None:
        """Return who has an actor, None where nobody hosts its type."""
        hosts = self._types.get(kind)
        if hosts is None:
            return None
        return hosts[0] if len(hosts) == 1 else max(hosts, key=lambda host: _weight(host, actor_id))

    async def call(
        self,
        kind: str,
        actor_id: str,
        operation: Callable[[HostedType], Awaitable[T]],
        patience: float = 0.0,
    ) -> T:
        """Do something with an actor, wherever it is.

        Args:
            kind: its type.
            actor_id: its id.
            operation: is given the host; done again with another where the actor left meanwhile.
            patience: seconds to wait where there is no host, or where it cannot be reached and
                others are there to take over when it leaves.

        Raises:
            NoHost: there was none in that time.
            HostAway: there was one, and it could not be reached.
            Exception: what ``operation`` raises.
        """
        limit: float | None = None
        while True:
            host = self.find(kind, actor_id)
            if host is not None:
                leaving = host.leaving(actor_id)  # it may have another place when it has left
                if leaving is None and self._emptying:
                    leaving = self._leaving(kind, actor_id, host)
                if leaving is not None:
                    await asyncio.shield(leaving)
                    continue
                try:
                    return await operation(host)
                except Halted:
                    continue
                except HostAway:
                    if self.find(kind, actor_id) is not host:
                        continue
                    limit = self._clock.now() + patience if limit is None else limit
                    alone = len(self._types[kind]) == 1
                    if alone or not await self._changes(kind, limit):
                        raise
                    continue
            limit = self._clock.now() + patience if limit is None else limit
            if not await self._changes(kind, limit) and kind not in self._types:
                self._tell(kind, actor_id)
                raise NoHost(kind, actor_id)

    # ---- hosts ----------------------------------------------------------------------------------

    async def register(self, host: HostedType) -> None:
        """Let actors be called at a host; others of its type give up what is its share."""
        hosts = self._types.setdefault(host.kind, [])
        hosts.append(host)
        if len(hosts) == 1:
            self._came(host.kind)
        self._announce(host.kind)
        others = hosts[:-1]
        for other in others:
            other.dismiss(
                actor_id
                for actor_id in other.active_ids()
                if self.find(host.kind, actor_id) is not other
            )
        await self._emptied(others)

    async def unregister(self, host: HostedType, how: Leave = Leave.IN_TIME) -> None:
        """Take a host away and have its actors leave.

        Args:
            host: as it was registered.
            how: what turns under way and the app get of it.
        """
        hosts = self._types.get(host.kind, [])
        if host in hosts:
            hosts.remove(host)
        host.dismiss(how=how)
        if hosts:
            self._announce(host.kind)
            await self._emptied([host])
            return
        self._types.pop(host.kind, None)
        self._emptying.append(host)  # at once: the next host may come before the waiting begins
        try:
            await asyncio.gather(host.emptied(), self._left(host.kind))
        finally:
            self._emptying.remove(host)

    async def _emptied(self, hosts: Sequence[HostedType]) -> None:
        """Wait until the actors have left that are leaving hosts."""
        self._emptying += hosts
        try:
            for host in hosts:
                await host.emptied()
        finally:
            for host in hosts:
                self._emptying.remove(host)

    def _leaving(self, kind: str, actor_id: str, host: HostedType) -> asyncio.Future[None] | None:
        """Return what is done when an actor has left any other host than ``host``."""
        for other in self._emptying:
            if other.kind == kind and other is not host:
                leaving = other.leaving(actor_id)
                if leaving is not None:
                    return leaving
        return None

    def _announce(self, kind: str) -> None:
        """Let those look again who wait for a host of a type to come, or to leave."""
        for waiter in self._waiting.pop(kind, ()):
            if not waiter.done():
                waiter.set_result(None)

    async def _changes(self, kind: str, limit: float) -> bool:
        """Wait until ``limit`` for a host of a type to come or to leave; tell whether one did."""
        if self._clock.now() >= limit:
            return False
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiters = self._waiting.setdefault(kind, set())
        waiters.add(waiter)

        def over() -> None:
            if not waiter.done():
                waiter.cancel()

        timer = self._clock.call_at(limit, over)
        try:
            await asyncio.wait({waiter})
        finally:
            timer.cancel()
            waiters.discard(waiter)
            if not waiters and self._waiting.get(kind) is waiters:
                del self._waiting[kind]
        return not waiter.cancelled()

    def _tell(self, kind: str, actor_id: str) -> None:
        known = [f"'{name}' ({', '.join(apps)})" for name, apps in sorted(self.types.items())]
        logger.warning(
            "no app of this run hosts actor type '%s', which was called as '%s/%s'; hosted are: %s",
            kind,
            kind,
            actor_id,
            ", ".join(known) or "none",
        )


def _weight(host: HostedType, actor_id: str) -> int:
    """Return how much a host is wanted for an actor: few ids move when hosts come and go."""
    mixed = (crc32(f"{host.place}\n{actor_id}".encode()) + 1) * SPREAD & MASK
    return (mixed ^ mixed >> 32) * SPREAD & MASK
