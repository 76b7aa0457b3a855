"""What runs while a test runs: the app, its sidecar and their clients, each with its end."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from daprflow.client import Client
from daprflow.handlers.config_values import text_of
from daprflow.settings import Settings
from daprflow.sidecar.app.http import HttpApp
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.runtime import Runtime
from daprflow.testing import provisions
from daprflow.testing.fakes import FakeApp
from daprflow.testing.grpc_side import GrpcSide
from daprflow.testing.ledger import Ledger
from daprflow.testing.lifespan import RunningApp
from daprflow.testing.peers import Peers
from daprflow.testing.provisions import Items, ProvidingTransport, Secrets
from daprflow.testing.settling import Settling
from daprflow.testing.transport import SidecarTransport
from daprflow.workflows.options import watching

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from daprflow.app import DaprFlow

GRACE = 5.0
"""Seconds that handlers in flight may take when a test ends."""
REST = 0.1
"""Seconds that what is left may take after that: deliveries have ended by then, or hang."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to run.

    Attributes:
        host: what the app is installed in or wraps; None runs the app itself.
        configuration: the items that there are from the start.
        resources: a folder of resource files; None makes what the app names.
        replay: whether every turn of a workflow goes through its whole history.
    """

    app: "DaprFlow"
    host: "ASGIApp | None"
    secrets: Secrets
    configuration: Items
    resources: Path | None
    clock: VirtualClock
    ledger: Ledger
    replay: bool = True


@dataclass(frozen=True, slots=True)
class Stage:
    """What runs."""

    runtime: Runtime
    channel: AsgiChannel
    client: Client
    settling: Settling
    peers: Peers
    app: "DaprFlow"

    async def settle(self) -> None:
        """Wait until nothing is under way, neither in the engine nor in the app's configuration."""
        await self.settling.settle()
        await self.app.feed.pushes.settled()
        await self.settling.settle()


async def build(plan: Plan, fakes: Mapping[str, FakeApp], stack: AsyncExitStack) -> Stage:
    """Start everything, each with its end on ``stack``: outbound calls work before the app starts.

    Raises:
        Exception: whatever the app's lifespan raises.
    """
    app = plan.app
    token = (app.settings or Settings.from_env(os.environ)).app_api_token or None
    resources = _resources(plan, Path(stack.enter_context(TemporaryDirectory())))
    engine = Engine(plan.clock, None, Path.cwd())
    engine.placement.patience = 0.0  # nobody else comes, and the clock stands still
    stack.push_async_callback(engine.close)
    peers = Peers(engine)
    stack.push_async_callback(peers.close)  # the app's own sidecar is closed before
    running = RunningApp(plan.host or app)
    channel = AsgiChannel(running, app_token=token)
    options = RuntimeOptions(app.app_id, app_port=1, app_token=token)
    runtime = Runtime(engine, options, resources, HttpApp(channel))
    stack.push_async_callback(runtime.close, REST)
    await runtime.open()
    runtime.pubsub.observer = plan.ledger
    await _fill(plan, runtime)
    for app_id, fake in fakes.items():
        peers.join(app_id, fake)
    grpc = GrpcSide(runtime)
    stack.push_async_callback(grpc.stop)
    client = await stack.enter_async_context(_client(plan, runtime, grpc))
    _inject(stack, app, _client(plan, runtime, grpc))
    stack.callback(setattr, app, "workflow_settings", app.workflow_settings)
    app.workflow_settings = replace(watching(app.workflow_settings), replay=plan.replay)
    for host in app.actor_hosts():
        stack.callback(setattr, host, "now", host.now)
        host.now = plan.clock.now
    await running.start()
    stack.push_async_callback(running.stop)
    stack.push_async_callback(_pause, runtime)
    settling = Settling(plan.clock, engine.work)
    await settling.run(runtime.connect())
    await app.works()
    await app.jobs_scheduled()
    stage = Stage(runtime, channel, client, settling, peers, app)
    await stage.settle()
    return stage


def _resources(plan: Plan, folder: Path) -> Resources:
    """Return what there is from the start; a file's component beats one made for the app."""
    app, path = plan.app, plan.resources
    given = Resources() if path is None else provisions.from_files(path, app.app_id)
    made = [*provisions.secret_stores(plan.secrets, folder), *provisions.crons(app.crons())]
    if path is None:
        made += provisions.brokers(each.subscription.pubsubname for each in app.topics())
        if app.actor_hosts():
            made.append(provisions.actor_store())
            given = replace(given, configuration=provisions.WITH_STATE_TTL)
    names = {resource.name for resource in given.components}
    added = (resource for resource in made if resource.name not in names)
    return replace(given, components=(*given.components, *added))


async def _fill(plan: Plan, runtime: Runtime) -> None:
    """Put the items there are from the start into their stores, which are made where needed."""
    known = runtime.configuration.names
    for made in provisions.configuration_stores(n for n in plan.configuration if n not in known):
        await runtime.add(made)
    for store, items in plan.configuration.items():
        for key, value in items.items():
            text = text_of(value, plan.app.codecs)
            await provisions.configure(runtime, store, key, text, "")


def _client(plan: Plan, runtime: Runtime, grpc: GrpcSide) -> Client:
    plain = SidecarTransport(HttpApi(runtime), grpc)
    transport = ProvidingTransport(plain, runtime) if plan.resources is None else plain
    client = Client(Settings(), transport=transport, codecs=plan.app.codecs)
    client._caller.way.now = plan.clock.now  # noqa: SLF001 - the time is the test's
    return client


def _inject(stack: AsyncExitStack, app: "DaprFlow", client: Client) -> None:
    """Give the app a client of this sidecar until the end, then its own again."""
    before = app.client
    app.client = client
    stack.callback(setattr, app, "client", before)
    stack.push_async_callback(client.close)


async def _pause(runtime: Runtime) -> None:
    """Stop deliveries before the app stops; what hangs is left to the runtime's own end."""
    with suppress(TimeoutError):
        async with asyncio.timeout(GRACE):
            await runtime.pause()
