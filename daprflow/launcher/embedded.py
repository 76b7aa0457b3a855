"""The embedded sidecar of a run: the engine and its HTTP API in the supervisor's own process."""

import asyncio
import socket
from dataclasses import dataclass
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from daprflow.launcher import defaults
from daprflow.launcher.exits import Exit, LaunchError
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
IN_MEMORY = "pubsub.in-memory"


@dataclass(frozen=True, slots=True)
class EngineHome:
    """Where an engine keeps its data.

    Attributes:
        data_dir: None keeps everything in memory.
        base_dir: what relative paths in components are resolved against.
    """

    data_dir: Path | None
    base_dir: Path


class _Switch:
    """An ASGI application that can be exchanged while it is served."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class Embedded:
    """The embedded sidecar for one app.

    Args:
        listener: the HTTP API's listening socket.
        engine: an engine to share; None makes one at ``home`` and closes it in the end.
        reason: why this kind of sidecar, for the banner.
    """

    def __init__(
        self,
        options: SidecarOptions,
        home: EngineHome,
        listener: socket.socket,
        tokens: Tokens,
        *,
        reason: str,
        engine: Engine | None = None,
    ) -> None:
        self._options = options
        self._home = home
        self._listener = listener
        self._tokens = tokens
        self._reason = reason
        self._engine = engine
        self._owns_engine = engine is None
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
            LaunchError: a component cannot be loaded.
        """
        if self._engine is None:
            self._engine = Engine(SystemClock(), self._home.data_dir, self._home.base_dir)
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
        resources = _resources(self._options, self._home, app)
        if resources != self._resources and self._switch is not None:
            # Opened before the old one closes, so that shared components are never without user.
            self._runtime = await self._open(app)
            self._runtime.extended.update(old.extended)
            self._switch.app = HttpApi(self._runtime)
            await old.close(SHUTDOWN_GRACE)
            await self._runtime.connect()
            self._up.set()
        else:
            await old.reconnect()

    def info(self) -> SidecarInfo:
        """Describe it."""
        data = str(self._home.data_dir) if self._home.data_dir else "memory, gone at the end"
        notes = tuple(
            f"'{c.resource.name}' is {IN_MEMORY}: as in the real one, a failed event is gone"
            for c in self._running().components
            if c.resource.type == IN_MEMORY
        )
        return SidecarInfo("embedded sidecar", self._reason, self.http_port, data=data, notes=notes)

    async def ended(self) -> str:
        """Wait for ``POST /v1.0/shutdown``."""
        await self._up.wait()
        await self._running().shutdown_requested.wait()
        return "the sidecar was shut down by POST /v1.0/shutdown"

    async def close(self, grace: float, /) -> None:
        """End deliveries, the HTTP API and the engine."""
        if self._runtime is not None:
            await self._runtime.close(grace)
        if self._server is not None:
            await self._server.stop(min(grace, SHUTDOWN_GRACE))
        else:
            self._listener.close()
        if self._engine is not None and self._owns_engine:
            await self._engine.close()

    def _running(self) -> Runtime:
        if self._runtime is None:
            raise LaunchError("the sidecar was not started", Exit.SIDECAR_FAILED)
        return self._runtime

    async def _open(self, app: AppSpec) -> Runtime:
        self._resources = _resources(self._options, self._home, app)
        options = runtime_options(self._options, app, self.http_port, self._tokens)
        if self._engine is None:
            raise LaunchError("the engine was not started", Exit.SIDECAR_FAILED)
        try:
            channel = make_channel(options)
        except ProtocolNotOffered as error:
            raise LaunchError(str(error), Exit.SIDECAR_FAILED) from None
        runtime = Runtime(self._engine, options, self._resources, channel)
        try:
            await runtime.open()
        except ComponentError as error:
            if channel is not None:
                await channel.close()
            raise LaunchError(str(error), Exit.SIDECAR_FAILED) from None
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


def _resources(options: SidecarOptions, home: EngineHome, app: AppSpec) -> Resources:
    folders = defaults.folders(options.resources_path, app.folder)
    if folders:
        loaded = load_resources(folders, app.app_id)
        if loaded.problems:
            raise LaunchError("\n".join(loaded.problems), Exit.SIDECAR_FAILED)
    else:
        state_file = home.data_dir / "state.db" if home.data_dir else None
        loaded = Resources(components=defaults.durable(state_file))
    made = defaults.crons(app.crons, loaded.components)
    return Resources(components=(*loaded.components, *made))
