"""What runs while a test runs: apps, their sidecars and their clients, each with its end."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daprflow.addresses import Topic
from daprflow.client import Client
from daprflow.protocol.documents import Subscription
from daprflow.sidecar.blocks.pubsub_bulk import DEFAULT_WAIT
from daprflow.sidecar.channel.base import AppChannel
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.runtime import Runtime
from daprflow.testing.connection import Line
from daprflow.testing.faults import Faults
from daprflow.testing.grpc_side import GrpcSide
from daprflow.testing.interleaving import Conductor, Seed
from daprflow.testing.ledger import Ledger
from daprflow.testing.peers import Peers
from daprflow.testing.provisions import Items, Secrets
from daprflow.testing.settling import Settling

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from daprflow.app import DaprFlow
    from daprflow.testing.sockets import Doors


NOTICING = 0.001
"""Seconds between looks at whether an app has noticed that its sidecar is gone."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to run.

    Attributes:
        host: what the app is installed in or wraps; None runs the app itself.
        peers: further apps, which start before it.
        configuration: the items that there are from the start.
        resources: a folder of resource files; None makes what the apps name.
        providers: values by type that stand in place of what providers make.
        replay: whether every turn of a workflow goes through its whole history.
        sockets: whether apps and sidecars listen on ports.
        seed: chooses the order of calls; None leaves it to the event loop.
        env: whose declared components count; None is that of tests, kept inside this process.
    """

    app: "DaprFlow"
    host: "ASGIApp | None"
    peers: "Sequence[DaprFlow]"
    secrets: Secrets
    configuration: Items
    resources: Path | None
    providers: Mapping[Any, Any]
    clock: VirtualClock
    ledger: Ledger
    faults: Faults
    replay: bool = True
    sockets: bool = False
    seed: Seed | None = None
    env: str | None = None


@dataclass(frozen=True, slots=True)
class World:
    """What all apps of a test share.

    Attributes:
        folder: one for secrets, where there are some; it is taken away at the end.
        doors: where they listen; None without sockets.
        peers: the fakes, and those that speak gRPC.
    """

    plan: Plan
    engine: Engine
    folder: Path
    doors: "Doors | None"
    peers: Peers
    settling: Settling


@dataclass(frozen=True, slots=True)
class Hosted:
    """One app that runs, and its sidecar.

    Attributes:
        client: one for the test itself; its line is never cut.
        line: the app's way to its sidecar.
        port: where the app listens, and then its sidecar; None without sockets.
    """

    app: "DaprFlow"
    runtime: Runtime
    channel: AppChannel
    client: Client
    line: Line
    grpc: GrpcSide
    port: int | None = None
    http_port: int | None = None

    async def disconnect(self) -> None:
        """Have the app lose its sidecar: no call gets through, in neither direction."""
        self.line.cut = True
        await self.runtime.pause()
        await self.grpc.cut()
        while self._works:  # noqa: ASYNC110 - the stream has ended, which both are about to learn
            await asyncio.sleep(NOTICING)

    @property
    def _works(self) -> bool:
        return self.app.at_work or self.runtime.workflows.connected_workers > 0

    async def reconnect(self) -> None:
        """Let the app find its sidecar again, which reads its subscriptions anew."""
        if not self.line.cut:
            return
        self.line.cut = False
        await self.runtime.reconnect()
        await works(self.app, self.runtime)


async def works(app: "DaprFlow", runtime: Runtime) -> None:
    """Wait until work for an app's workflows comes: the app asks for it before its sidecar knows.

    Until that knows, nothing that is to be done counts as under way.
    """
    await app.works()
    if app.at_work:
        await runtime.workflows.served()


@dataclass(frozen=True, slots=True)
class Stage:
    """What runs.

    Attributes:
        principal: the app under test.
        hosted: that one and its peers, by app id.
    """

    principal: Hosted
    hosted: Mapping[str, Hosted]
    settling: Settling
    peers: Peers
    conductor: Conductor | None

    @property
    def runtime(self) -> Runtime:
        """The sidecar of the app under test."""
        return self.principal.runtime

    @property
    def client(self) -> Client:
        """A client of that sidecar."""
        return self.principal.client

    @property
    def app(self) -> "DaprFlow":
        """The app under test."""
        return self.principal.app

    async def settle(self) -> None:
        """Wait until nothing is under way, neither in the engine nor in an app's configuration."""
        await self.settling.settle()
        for each in self.hosted.values():
            await each.app.feed.pushes.settled()
        await self.settling.settle()

    # ---- who takes what -------------------------------------------------------------------------

    def subscribers(self, topic: Topic[Any]) -> frozenset[str]:
        """Return the apps that subscribe to a topic.

        Raises:
            LookupError: nobody does.
        """
        found = {
            each.runtime.app_id for each in self.hosted.values() if _subscriptions(each, topic)
        }
        if not found:
            raise LookupError(
                f"app '{self._names}' does not subscribe to '{topic.pubsub}/{topic.name}' but to "
                f"{self._topics()}; publish with 'dapr.client' when nobody needs to handle it"
            )
        return frozenset(found)

    def batch_wait(self, topic: Topic[Any]) -> float:
        """Return the seconds that a subscription of ``topic`` may gather events."""
        longest = 0.0
        for hosted in self.hosted.values():
            for each in _subscriptions(hosted, topic):
                bulk = each.bulk_subscribe
                if bulk is not None and bulk.enabled:
                    milliseconds = bulk.max_await_duration_ms
                    longest = max(longest, milliseconds / 1000 if milliseconds else DEFAULT_WAIT)
        return longest

    def with_binding(self, name: str) -> Hosted:
        """Return the app that has a handler for a binding, the one under test before others.

        Raises:
            LookupError: none has.
        """
        known: list[str] = []
        for hosted in (self.principal, *self.hosted.values()):
            own = [info.name for info in hosted.app.table() if info.kind in {"binding", "cron"}]
            if name.strip("/") in {found.strip("/") for found in own}:
                return hosted
            known += [each for each in own if each not in known]
        names = ", ".join(f"'{found}'" for found in known) or "none"
        raise LookupError(f"app '{self._names}' has no handler of binding '{name}'; it has {names}")

    @property
    def _names(self) -> str:
        return "' or '".join(self.hosted)

    def _topics(self) -> str:
        running = [each.document for h in self.hosted.values() for each in h.runtime.subscriptions]
        known = [(each.pubsubname, each.topic) for each in running]
        return ", ".join(f"'{pubsub}/{name}'" for pubsub, name in known) or "nothing"


def _subscriptions(hosted: Hosted, topic: Topic[Any]) -> list[Subscription]:
    """Return the running subscriptions of an app that take a topic's events."""
    running = (each.document for each in hosted.runtime.subscriptions)
    wanted = topic.pubsub, topic.name
    return [
        each
        for each in running
        if (each.pubsubname, each.topic) == wanted
        or (each.pubsubname == topic.pubsub and "*" in each.topic)
    ]
