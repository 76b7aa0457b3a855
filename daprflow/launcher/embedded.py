"""The embedded sidecar of a run: the engine and its HTTP API in the supervisor's own process."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from msgspec.structs import replace as replace_struct

from daprflow.launcher import defaults
from daprflow.launcher.alive import has_ended
from daprflow.launcher.configuration import (
    read_configuration,
    switched_on,
    with_access,
    with_configuration,
)
from daprflow.launcher.declared import Shadows, beside, shadowed, with_declared
from daprflow.launcher.doors import Doors
from daprflow.launcher.exits import Exit, ForcedEnd, LaunchError
from daprflow.launcher.grpc_door import GrpcDoor
from daprflow.launcher.metrics_door import MetricsDoorway
from daprflow.launcher.options import SidecarOptions, Tokens
from daprflow.launcher.resource_watch import ResourceWatch
from daprflow.launcher.sidecar import AppSpec, SidecarInfo
from daprflow.protocol.configuration_file import ConfigurationResource
from daprflow.sidecar.app.base import App
from daprflow.sidecar.app.connect import make_app
from daprflow.sidecar.channel.connect import ProtocolNotOffered
from daprflow.sidecar.clock import SystemClock
from daprflow.sidecar.components import (  # noqa: F401 - most runs need them, and now is idle time
    binding_cron,
    pubsub_durable,
    state_sqlite,
)
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources, load_resources
from daprflow.sidecar.runtime import Runtime
from daprflow.transports.server import HttpServer, Limits

logger = logging.getLogger(__name__)

SHUTDOWN_GRACE = 1.0
FORCED_AFTER = 0.1
"""Seconds between a forced shutdown and the end, as with the real runtime: for its answer."""
NOTICED_WITHIN = 10.0
"""Seconds after which a run has noticed that its app ended, however busy the machine is."""
LOOK_AGAIN = 0.1
FORGETFUL = frozenset({"pubsub.in-memory", "pubsub.redis"})
"""Brokers that forget an event which fails, as their real counterparts do."""


@dataclass(slots=True)
class _Holder:
    """Who has an app id.

    Attributes:
        pid: its process; 0 where nobody said.
        leaving: its sidecar is being closed.
        gone: set once the id is free.
    """

    pid: int = 0
    leaving: bool = False
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def makes_room(self) -> bool:
        """Wait for an app that has ended: who starts it again does not have to try twice.

        Between its end and that of its sidecar its run gets to know of it, which takes a while on
        a busy machine.
        """
        deadline = asyncio.get_running_loop().time() + NOTICED_WITHIN
        while self.leaving or (self.pid and has_ended(self.pid)):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if self.leaving else LOOK_AGAIN):
                    await self.gone.wait()
            if self.gone.is_set():
                return True
            if not self.leaving and asyncio.get_running_loop().time() > deadline:
                break  # its run waits for a change
        return False


class SharedEngine:
    """The engine of a data folder, and which apps have a sidecar on it.

    Args:
        data_dir: None keeps everything in memory.
        base_dir: what relative paths in components are resolved against.
    """

    def __init__(self, data_dir: Path | None, base_dir: Path) -> None:
        self.data_dir = data_dir
        self.engine = Engine(SystemClock(), data_dir, base_dir)
        self._holders: dict[tuple[str, int], _Holder] = {}

    async def take(self, app_id: str, replica: int = 1) -> None:
        """Reserve an app id, or one more place under it; wait for one that is on its way out.

        Args:
            app_id: the app.
            replica: which one of its replicas; runs of their own are all the first.

        Raises:
            LaunchError: an app with this id runs already.
        """
        while (holder := self._holders.get((app_id, replica))) is not None:
            if not await holder.makes_room():
                raise LaunchError(
                    f"app '{app_id}' runs already with this data folder; end it, or give this one "
                    "another id with --app-id or another folder with --data-dir",
                    Exit.DATA_FOLDER,
                )
        self._holders[app_id, replica] = _Holder()

    def serves(self, app_id: str, replica: int, pid: int) -> None:
        """Note which process an app is; 0 is none yet."""
        if (holder := self._holders.get((app_id, replica))) is not None:
            holder.pid = pid

    def leave(self, app_id: str, replica: int = 1) -> None:
        """Note that an app has ended and gives its id back soon."""
        if (holder := self._holders.get((app_id, replica))) is not None:
            holder.leaving = True

    def give_back(self, app_id: str, replica: int = 1) -> None:
        """Let another app have this id."""
        if (holder := self._holders.pop((app_id, replica), None)) is not None:
            holder.gone.set()

    async def close(self) -> None:
        """Close what is still open."""
        await self.engine.close()


class Embedded:
    """The embedded sidecar for one app.

    Args:
        shared: the engine, which stays open when this sidecar closes.
        doors: the listening sockets of both APIs.
        reason: why this kind of sidecar, for the banner.
        base: the app's working folder, where it is not the engine's.
        replica: which one it is, from 1, of those of the same app on this engine.
    """

    def __init__(
        self,
        options: SidecarOptions,
        shared: SharedEngine,
        doors: Doors,
        tokens: Tokens,
        *,
        reason: str,
        base: Path | None = None,
        replica: int = 1,
    ) -> None:
        self._base = base
        self._replica = replica
        self._options = options
        self._shared = shared
        self._doors = doors
        self._grpc = GrpcDoor(doors.grpc)
        self._tokens = tokens
        self._reason = reason
        self._app_id: str | None = None
        self._runtime: Runtime | None = None
        self._server: HttpServer | None = None
        self._app: AppSpec | None = None
        self._configuration = ConfigurationResource()
        self._shadows = Shadows()
        self._watching: asyncio.Task[None] | None = None
        self._metrics = MetricsDoorway(doors.metrics)
        self._up = asyncio.Event()
        self.http_port = doors.http_port
        self.grpc_port = doors.grpc_port

    async def start(self, app: AppSpec, /) -> None:
        """Load the resources and answer API calls.

        Raises:
            LaunchError: a component cannot be loaded, or an app of this id runs already.
        """
        self._configuration = await asyncio.to_thread(self._configured, app)
        await self._shared.take(app.app_id, self._replica)
        self._app_id = app.app_id
        self._app = app
        self._runtime = await self._open(app)
        limits = Limits(header_bytes=self._options.read_buffer_size)
        self._server = HttpServer(HttpApi(self._runtime), limits)
        await self._server.start(self._doors.http)
        self._up.set()
        await self._grpc.open(self._runtime)
        self._metrics.open(self._runtime)
        self._watch()

    async def connect(self) -> None:
        """Wait for the app's port, read its subscriptions, begin to deliver."""
        await self._running().connect()

    async def pause(self) -> None:
        """Stop delivering; queued events stay."""
        if self._runtime is not None:
            await self._runtime.pause()

    async def reconnect(self, app: AppSpec, /) -> None:
        """Connect to the app's next process; changed schedules become changed components."""
        runtime, before, self._app = self._running(), self._app, app
        if before is None or before.declared.configuration != app.declared.configuration:
            self._follow_access(await asyncio.to_thread(self._configured, app))
        resources = await asyncio.to_thread(self._read)
        lines = (*resources.problems, *resources.left_out) or await self._apply(resources)
        for line in lines:
            logger.error("%s (refused: what ran before goes on)", line)
        await runtime.reconnect()

    def info(self) -> SidecarInfo:
        """Describe it."""
        data_dir = self._shared.data_dir
        data = str(data_dir) if data_dir else "memory, gone at the end"
        notes = tuple(
            f"'{c.resource.name}' is {c.resource.type}: as in the real one, a failed event is gone"
            for c in self._running().components
            if c.resource.type in FORGETFUL and not c.context.stands_in
        )
        ports = (self.http_port, self.grpc_port)
        return SidecarInfo("embedded sidecar", self._reason, *ports, data=data, notes=notes)

    async def ended(self) -> LaunchError:
        """Wait for ``POST /v1.0/shutdown``."""
        await self._up.wait()
        await self._running().shutdown_requested.wait()
        if self._running().shutdown_forced:
            await asyncio.sleep(FORCED_AFTER)
            return ForcedEnd("the sidecar was shut down by force (dapr-force-shutdown)")
        return LaunchError("the sidecar was shut down by POST /v1.0/shutdown", Exit.SIDECAR_FAILED)

    async def close(self, grace: float, /) -> None:
        """End deliveries and both APIs; ``grace`` is one limit for both."""
        if self._app_id is not None:
            self._shared.leave(self._app_id, self._replica)
        try:
            await self._close(grace)
        finally:
            if self._app_id is not None:
                self._shared.give_back(self._app_id, self._replica)
                self._app_id = None

    async def _close(self, grace: float) -> None:
        deadline = asyncio.get_running_loop().time() + grace
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        if self._runtime is not None:
            await self._runtime.close(grace)
        left = deadline - asyncio.get_running_loop().time()
        last = min(max(0.0, left), SHUTDOWN_GRACE)
        if self._server is not None:
            ends = (self._server.stop(last), self._grpc.close(last), self._metrics.close())
            await asyncio.gather(*ends)
        self._doors.close()

    # ---- resource files

    def _read(self) -> Resources:
        if self._app is None:
            raise LaunchError("the sidecar was not started", Exit.SIDECAR_FAILED)
        resources = read_resources(self._options, self._shared.data_dir, self._app, self._shadows)
        configuration = self._configuration
        if not self._options.config:  # a file of the user's says what there is
            configuration = switched_on(configuration, self._app.features)
        return with_configuration(resources, configuration)

    def _configured(self, app: AppSpec) -> ConfigurationResource:
        return read_configuration(self._options.config, app.declared.configuration)

    def _follow_access(self, new: ConfigurationResource) -> None:
        """Take over who may invoke; nothing else of it changes in a running sidecar."""
        if with_access(self._configuration, new) != new:
            logger.warning(
                "the app's configuration changed, too, beyond its access policy: that takes effect "
                "when the run is started again"
            )
        self._configuration = with_access(self._configuration, new)

    def _watch(self) -> None:
        """Follow the resource files, where the run has any."""
        folder = "" if self._app is None else self._app.folder
        folders = defaults.folders(self._options.resources_path, folder)
        if folders and self._configuration.hot_reload:
            watch = ResourceWatch(folders, self._read, self._apply)
            self._watching = asyncio.create_task(watch.run())

    async def _apply(self, resources: Resources) -> Sequence[str]:
        return await self._running().reload(resources)

    def _running(self) -> Runtime:
        if self._runtime is None:
            raise LaunchError("the sidecar was not started", Exit.SIDECAR_FAILED)
        return self._runtime

    async def _open(self, app: AppSpec) -> Runtime:
        resources = await asyncio.to_thread(self._read)
        if resources.problems:
            raise LaunchError("\n".join(resources.problems), Exit.SIDECAR_FAILED)
        for line in resources.left_out:
            logger.error("%s (that document is left out)", line)
        options = runtime_options(self._options, app, self.http_port, self._tokens)
        measured = self._doors.metrics is not None
        options = replace(options, base_dir=self._base, metrics=measured, replica=self._replica)
        try:
            called = await asyncio.to_thread(_called, options)
        except ProtocolNotOffered as error:
            raise LaunchError(str(error), Exit.SIDECAR_FAILED) from None
        runtime = Runtime(self._shared.engine, options, resources, called)
        try:
            await runtime.open()
        except BaseException as error:
            if called is not None:
                await called.close()
            if isinstance(error, ComponentError):
                raise LaunchError(str(error), Exit.SIDECAR_FAILED) from None
            raise
        return runtime


def _called(options: RuntimeOptions) -> App | None:
    """Return what is called; loading gRPC takes a while, where the app speaks it."""
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # its own lines say nothing to a user
    return make_app(options)


def runtime_options(
    options: SidecarOptions, app: AppSpec, http_port: int, tokens: Tokens
) -> RuntimeOptions:
    """Translate what the command line says into what the sidecar takes."""
    return RuntimeOptions(
        app_id=app.app_id,
        app_port=app.app_port,
        app_channel_address=options.app_channel_address,
        app_protocol=options.app_protocol,
        app_max_concurrency=(
            options.app_max_concurrency if options.app_max_concurrency > 0 else None
        ),
        http_port=http_port,
        api_token=tokens.api,
        app_token=tokens.app,
        max_body_size=options.max_body_size,
        read_buffer_size=options.read_buffer_size,
        enable_app_health_check=options.enable_app_health_check,
        app_health_check_path=options.app_health_check_path,
        app_health_probe_interval=float(options.app_health_probe_interval),
        app_health_probe_timeout=options.app_health_probe_timeout / 1000,
        app_health_threshold=options.app_health_threshold,
        log_level=options.log_level,
        stand_in=options.stand_in,
    )


def without_timeouts(resources: Resources) -> Resources:
    """Return resources whose policies end no call: its app may stand at a breakpoint."""
    endless = tuple(
        replace_struct(each, timeouts=dict.fromkeys(each.timeouts, 0.0))
        for each in resources.resiliencies
    )
    return replace(resources, resiliencies=endless)


def read_resources(
    options: SidecarOptions, data_dir: Path | None, app: AppSpec, shadows: Shadows
) -> Resources:
    """Return what the run's files say, the defaults where it has none, and what its code says."""
    folders = defaults.folders(options.resources_path, app.folder)
    strict, declared = options.strict_components, app.declared
    if folders:
        loaded = load_resources(folders, app.app_id, strict=strict)
        shadows.tell(shadowed(declared, loaded))
    else:
        state_file = data_dir / "state.db" if data_dir else None
        durable = beside(defaults.durable(state_file), declared.components)
        named = (*durable, *declared.components)
        followed = defaults.configuration_stores(app.handlers, named)
        loaded = Resources(components=(*durable, *followed))
    loaded = with_declared(loaded, declared, strict=strict)
    if options.debugged:
        loaded = without_timeouts(loaded)
    made = defaults.crons(app.crons, loaded.components)
    return replace(loaded, components=(*loaded.components, *made))
