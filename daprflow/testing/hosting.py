"""Running one app of a test with its sidecar: in process, or on sockets."""

import asyncio
import os
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from daprflow.client import Client
from daprflow.handlers.config_values import text_of
from daprflow.launcher.declared import beside
from daprflow.settings import Settings
from daprflow.sidecar.app.http import HttpApp
from daprflow.sidecar.channel.base import AppChannel
from daprflow.sidecar.channel.connect import make_channel
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.sidecar.loading import Loader
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.runtime import Runtime
from daprflow.testing import provisions
from daprflow.testing.connection import Carrier, CutTransport, Line
from daprflow.testing.declared import declared_in
from daprflow.testing.faulty import FaultyChannel, faulty, faulty_activities
from daprflow.testing.grpc_side import GrpcSide
from daprflow.testing.lifespan import RunningApp
from daprflow.testing.provisions import ProvidingTransport
from daprflow.testing.stage import Hosted, Plan, World, works
from daprflow.testing.transport import SidecarTransport
from daprflow.workflows.options import watching

if TYPE_CHECKING:
    import socket

    from daprflow.app import DaprFlow

GRACE = 5.0
"""Seconds that handlers in flight may take when a test ends."""
REST = 0.1
"""Seconds that what is left may take after that: deliveries have ended by then, or hang."""


@dataclass(frozen=True, slots=True)
class _Ports:
    """What an app and its sidecar listen on; None without sockets."""

    app: "socket.socket | None" = None
    sidecar: "socket.socket | None" = None


async def host_app(world: World, app: "DaprFlow", stack: AsyncExitStack) -> Hosted:
    """Start an app and its sidecar, each with its end on ``stack``.

    Raises:
        Exception: whatever the app's lifespan raises.
    """
    plan = world.plan
    running = RunningApp((plan.host if app is plan.app else None) or app)
    ports = _Ports()
    if world.doors is not None:
        ports = _Ports(world.doors.bind(), world.doors.bind())
    runtime, channel = await _sidecar(world, app, running, ports, stack)
    grpc = GrpcSide(runtime)
    stack.push_async_callback(grpc.stop)
    api = HttpApi(runtime)
    if world.doors is not None and ports.sidecar is not None:
        await world.doors.serve(api, ports.sidecar)
    way = _Ways(world, api, runtime, grpc, ports)
    client = await stack.enter_async_context(_client(plan, app, way()))
    line = Line()
    _inject(stack, app, _client(plan, app, CutTransport(way(), line)))
    _prepare(stack, plan, app)
    await running.start()
    stack.push_async_callback(running.stop)
    if world.doors is not None and ports.app is not None:
        await world.doors.serve(running, ports.app)
    stack.push_async_callback(_pause, runtime)
    await world.settling.run(runtime.connect())
    await works(app, runtime)
    await app.jobs_scheduled()
    return Hosted(
        app, runtime, channel, client, line, grpc, _number(ports.app), _number(ports.sidecar)
    )


async def _sidecar(
    world: World, app: "DaprFlow", running: RunningApp, ports: _Ports, stack: AsyncExitStack
) -> tuple[Runtime, AppChannel]:
    """Open the sidecar of an app that does not run yet."""
    plan = world.plan
    token = (app.settings or Settings.from_env(os.environ)).app_api_token or None
    options = RuntimeOptions(app.app_id, app_port=_number(ports.app) or 1, app_token=token)
    plain: AppChannel = AsgiChannel(running, app_token=token)
    if ports.app is not None:
        options = replace(options, http_port=_number(ports.sidecar) or 1)
        plain = make_channel(options) or plain
    channel = FaultyChannel(app.app_id, plain, plan.faults)
    runtime = Runtime(world.engine, options, _resources(world, app), HttpApp(channel))
    guard = faulty(runtime.resiliency.guard, plan.faults)
    runtime.loader = Loader(world.engine, options, guard)
    stack.push_async_callback(runtime.close, REST)
    await runtime.open()
    runtime.pubsub.observer = plan.ledger.observer(app.app_id)
    await _fill(plan, runtime)
    return runtime, plain


def _resources(world: World, app: "DaprFlow") -> Resources:
    """Return what there is from the start; a file's component beats one made for the app."""
    plan, path = world.plan, world.plan.resources
    given = Resources() if path is None else provisions.from_files(path, app.app_id)
    secrets = provisions.secret_stores(plan.secrets, _folder(world, app))
    made = [*secrets, *provisions.crons(app.crons())]
    if path is None:
        given = declared_in(app, plan.env)
        made += provisions.brokers(each.subscription.pubsubname for each in app.topics())
        if app.actor_hosts():
            made.append(provisions.actor_store())
            given = replace(given, configuration=provisions.with_state_ttl(given.configuration))
    names = {each.name for each in secrets}  # what a test gives goes before what the app declares
    kept = [each for each in given.components if path is not None or each.name not in names]
    return replace(given, components=(*kept, *beside(made, kept)))


def _folder(world: World, app: "DaprFlow") -> Path:
    """Return a folder for the secrets of one app."""
    if not world.plan.secrets:
        return world.folder
    folder = world.folder / app.app_id
    folder.mkdir()
    return folder


async def _fill(plan: Plan, runtime: Runtime) -> None:
    """Put the items there are from the start into their stores, which are made where needed."""
    known = runtime.configuration.names
    for made in provisions.configuration_stores(n for n in plan.configuration if n not in known):
        await runtime.add(made)
    for store, items in plan.configuration.items():
        for key, value in items.items():
            text = text_of(value, plan.app.codecs)
            await provisions.configure(runtime, store, key, text, "")


class _Ways:
    """Makes transports to one sidecar."""

    def __init__(
        self, world: World, api: HttpApi, runtime: Runtime, grpc: GrpcSide, ports: _Ports
    ) -> None:
        self._provides = world.plan.resources is None
        self._faults = world.plan.faults
        self._api = api
        self._runtime = runtime
        self._grpc = grpc
        self._port = _number(ports.sidecar)

    def __call__(self) -> Carrier:
        """Make one."""
        plain: Carrier = SidecarTransport(self._api, self._grpc, self._faults)
        if self._port is not None:
            from daprflow.testing.sockets import SocketTransport  # noqa: PLC0415 - loaded by now

            plain = SocketTransport(self._port, self._grpc)
        return ProvidingTransport(plain, self._runtime) if self._provides else plain


def _client(plan: Plan, app: "DaprFlow", transport: Carrier) -> Client:
    # It is ready, or cut off; a test that mends its line does not wait for a probe.
    settings = Settings(health_timeout=0.0, circuit_failures=0)
    client = Client(settings, transport=transport, codecs=app.codecs)
    client._caller.way.now = plan.clock.now  # noqa: SLF001 - the time is the test's
    return client


def _inject(stack: AsyncExitStack, app: "DaprFlow", client: Client) -> None:
    """Give the app a client of this sidecar until the end, then its own again."""
    before = app._client  # noqa: SLF001 - reading the property would make one
    stack.callback(setattr, app, "_client", before)
    stack.callback(setattr, app, "_own_client", app._own_client)  # noqa: SLF001 - as above
    if before is not None:
        client.add_interceptors(*before.interceptors)
    app.client = client
    stack.push_async_callback(client.close)


def _prepare(stack: AsyncExitStack, plan: Plan, app: "DaprFlow") -> None:
    """Give the app what is a test's, until the end: settings, time, faults, replaced values."""
    stack.callback(setattr, app, "workflow_settings", app.workflow_settings)
    app.workflow_settings = replace(watching(app.workflow_settings), replay=plan.replay)
    for host in app.actor_hosts():
        stack.callback(setattr, host, "now", host.now)
        host.now = plan.clock.now
    if app is plan.app and plan.providers:
        stack.callback(app.providers().replace, {})
        app.providers().replace(plan.providers)
    if app.has_work:
        activities = app.work().activities
        stack.callback(activities.update, dict(activities))
        met = faulty_activities(app.app_id, activities, plan.faults)
        activities.update(met)  # type: ignore[arg-type]  # they have all that a worker asks for


async def _pause(runtime: Runtime) -> None:
    """Stop deliveries before the app stops; what hangs is left to the runtime's own end."""
    with suppress(TimeoutError):
        async with asyncio.timeout(GRACE):
            await runtime.pause()


def _number(listener: "socket.socket | None") -> int | None:
    if listener is None:
        return None
    port: int = listener.getsockname()[1]
    return port
