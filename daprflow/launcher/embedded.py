"""The embedded sidecar of a run: the engine and its HTTP API in the supervisor's own process."""

import asyncio
import socket
from dataclasses import replace
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from daprflow.launcher import defaults
from daprflow.launcher.exits import Exit, ForcedEnd, LaunchError
from daprflow.launcher.options import SidecarOptions, Tokens
from daprflow.launcher.sidecar import AppSpec, SidecarInfo
from daprflow.sidecar.channel.connect import ProtocolNotOffered, make_channel
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

SHUTDOWN_GRACE = 1.0
FORCED_AFTER = 0.1
"""Seconds between a forced shutdown and the end, as with the real runtime: for its answer."""
IN_MEMORY = "pubsub.in-memory"


class SharedEngine:
    """The engine of a data folder, and which apps have a sidecar on it.

    Args:
        data_dir: None keeps everything in memory.
        base_dir: what relative paths in components are resolved against.
    """

    def __init__(self, data_dir: Path | None, base_dir: Path) -> None:
        self.data_dir = data_dir
        self.engine = Engine(SystemClock(), data_dir, base_dir)
        self._taken: set[str] = set()

    def take(self, app_id: str) -> None:
        """Reserve an app id.

        Raises:
            LaunchError: an app with this id runs already.
        """
        if app_id in self._taken:
            raise LaunchError(
                f"app '{app_id}' runs already with this data folder; end it, or give this one "
                "another id with --app-id or another folder with --data-dir",
                Exit.DATA_FOLDER,
            )
        self._taken.add(app_id)

    def give_back(self, app_id: str) -> None:
        """Let another app have this id."""
        self._taken.discard(app_id)

    async def close(self) -> None:
        """Close what is still open."""
        await self.engine.close()


class _Switch:
    """An ASGI application that can be exchanged while it is served."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class Embedded:
    """The embedded sidecar for one app.

    Args:
        shared: the engine, which stays open when this sidecar closes.
        listener: the HTTP API's listening socket.
        reason: why this kind of sidecar, for the banner.
    """

    def __init__(
        self,
        options: SidecarOptions,
        shared: SharedEngine,
        listener: socket.socket,
        tokens: Tokens,
        *,
        reason: str,
    ) -> None:
        self._options = options
        self._shared = shared
        self._listener = listener
        self._tokens = tokens
        self._reason = reason
        self._app_id: str | None = None
        self._runtime: Runtime | None = None
        self._server: HttpServer | None = None
        self._switch: _Switch | None = None
        self._resources: Resources | None = None
        self._up = asyncio.Event()
        self.http_port: int = listener.getsockname()[1]
        self.grpc_port: int | None = None

    async def start(self, app: AppSpec, /) -> None:
        """Load the resources and answer API calls.

        Raises:
            LaunchError: a component cannot be loaded, or an app of this id runs already.
        """
        self._shared.take(app.app_id)
        self._app_id = app.app_id
        self._runtime = await self._open(app)
        self._switch = _Switch(HttpApi(self._runtime))
        self._server = HttpServer(self._switch, Limits(header_bytes=self._options.read_buffer_size))
        await self._server.start(self._listener)
        self._up.set()

    async def connect(self) -> None:
        """Wait for the app's port, read its subscriptions, begin to deliver."""
        await self._running().connect()

    async def pause(self) -> None:
        """Stop delivering; queued events stay."""
        if self._runtime is not None:
            await self._runtime.pause()

    async def reconnect(self, app: AppSpec, /) -> None:
        """Connect to the app's next process; changed schedules become changed components."""
        old = self._running()
        resources = _resources(self._options, self._shared.data_dir, app)
        if resources != self._resources and self._switch is not None:
            # Opened before the old one closes, so that shared components are never without user.
            self._runtime = await self._open(app)
            self._runtime.extended.update(old.extended)
            self._runtime.shutdown_requested = old.shutdown_requested  # `ended` waits for it
            self._switch.app = HttpApi(self._runtime)
            await old.close(SHUTDOWN_GRACE)
            await self._runtime.connect()
            self._up.set()
        else:
            await old.reconnect()

    def info(self) -> SidecarInfo:
        """Describe it."""
        data_dir = self._shared.data_dir
        data = str(data_dir) if data_dir else "memory, gone at the end"
        notes = tuple(
            f"'{c.resource.name}' is {IN_MEMORY}: as in the real one, a failed event is gone"
            for c in self._running().components
            if c.resource.type == IN_MEMORY
        )
        return SidecarInfo("embedded sidecar", self._reason, self.http_port, data=data, notes=notes)

    async def ended(self) -> LaunchError:
        """Wait for ``POST /v1.0/shutdown``."""
        await self._up.wait()
        await self._running().shutdown_requested.wait()
        if self._running().shutdown_forced:
            await asyncio.sleep(FORCED_AFTER)
            return ForcedEnd("the sidecar was shut down by force (dapr-force-shutdown)")
        return LaunchError("the sidecar was shut down by POST /v1.0/shutdown", Exit.SIDECAR_FAILED)

    async def close(self, grace: float, /) -> None:
        """End deliveries and the HTTP API; ``grace`` is one limit for both."""
        deadline = asyncio.get_running_loop().time() + grace
        if self._runtime is not None:
            await self._runtime.close(grace)
        if self._server is not None:
            left = deadline - asyncio.get_running_loop().time()
            await self._server.stop(min(max(0.0, left), SHUTDOWN_GRACE))
        else:
            self._listener.close()
        if self._app_id is not None:
            self._shared.give_back(self._app_id)
            self._app_id = None

    def _running(self) -> Runtime:
        if self._runtime is None:
            raise LaunchError("the sidecar was not started", Exit.SIDECAR_FAILED)
        return self._runtime

    async def _open(self, app: AppSpec) -> Runtime:
        self._resources = _resources(self._options, self._shared.data_dir, app)
        options = runtime_options(self._options, app, self.http_port, self._tokens)
        try:
            channel = make_channel(options)
        except ProtocolNotOffered as error:
            raise LaunchError(str(error), Exit.SIDECAR_FAILED) from None
        runtime = Runtime(self._shared.engine, options, self._resources, channel)
        try:
            await runtime.open()
        except BaseException as error:
            if channel is not None:
                await channel.close()
            if isinstance(error, ComponentError):
                raise LaunchError(str(error), Exit.SIDECAR_FAILED) from None
            raise
        return runtime


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
    )


def _resources(options: SidecarOptions, data_dir: Path | None, app: AppSpec) -> Resources:
    folders = defaults.folders(options.resources_path, app.folder)
    if folders:
        loaded = load_resources(folders, app.app_id)
        if loaded.problems:
            raise LaunchError("\n".join(loaded.problems), Exit.SIDECAR_FAILED)
    else:
        state_file = data_dir / "state.db" if data_dir else None
        loaded = Resources(components=defaults.durable(state_file))
    made = defaults.crons(app.crons, loaded.components)
    return replace(loaded, components=(*loaded.components, *made))
