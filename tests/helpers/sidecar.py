"""The embedded sidecar for tests: on real sockets, or in process with a clock that tests move."""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from daprflow.protocol.http import Exchange
from daprflow.protocol.resources import ComponentResource, MetadataItem
from daprflow.sidecar.app.base import App
from daprflow.sidecar.app.connect import make_app
from daprflow.sidecar.app.http import HttpApp
from daprflow.sidecar.channel.base import AppChannel
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.clock import SystemClock, VirtualClock
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources, load_resources
from daprflow.sidecar.runtime import Runtime
from daprflow.transports.server import HttpServer
from tests.helpers.recording import AsgiApp, free_socket, port_of
from tests.helpers.timing import until

Components = Mapping[str, tuple[str, Mapping[str, str]]]
"""Component types and metadata by name; a type may end in its version, as ``…/v2``."""


@dataclass(frozen=True, slots=True)
class RunningSidecar:
    """A sidecar that listens."""

    port: int
    runtime: Runtime


@dataclass(frozen=True, slots=True)
class InProcessSidecar:
    """A sidecar without sockets; ``exchange`` is its HTTP API."""

    exchange: Exchange
    runtime: Runtime
    engine: Engine
    clock: VirtualClock

    async def until(self, done: Callable[[], bool], within: float = 10.0) -> None:
        """Let work go on, and virtual time with it, until ``done()`` holds."""
        await until(self.clock, done, within)


def resources(components: Components) -> Resources:
    """Return ``components`` as if they had been read from files."""
    return Resources(
        tuple(
            ComponentResource(
                name,
                kind.partition("/")[0],
                version=kind.partition("/")[2] or "v1",
                metadata=tuple(MetadataItem(key, value) for key, value in metadata.items()),
            )
            for name, (kind, metadata) in components.items()
        )
    )


def resource_files(folder: Path, components: Components) -> Resources:
    """Write ``components`` into a file of ``folder`` and read it, as a run does."""
    folder.mkdir()
    documents = [
        {
            "apiVersion": "dapr.io/v1alpha1",
            "kind": "Component",
            "metadata": {"name": name},
            "spec": {
                "type": kind,
                "version": "v1",
                "metadata": [{"name": key, "value": value} for key, value in metadata.items()],
            },
        }
        for name, (kind, metadata) in components.items()
    ]
    text = yaml.safe_dump_all(documents)
    (folder / "components.yaml").write_text(text, encoding="utf-8")
    found = load_resources([folder])
    assert found.problems == ()
    return found


@contextlib.asynccontextmanager
async def running_sidecar(
    root: Path, components: Components, *, app_id: str, app_port: int | None
) -> AsyncIterator[RunningSidecar]:
    """Start a sidecar on real sockets, with the real server, for an app that listens already."""
    engine = Engine(SystemClock(), None, root)
    listener = free_socket()
    options = RuntimeOptions(app_id, app_port=app_port, http_port=port_of(listener))
    found = resource_files(root / "resources", components)
    runtime = Runtime(engine, options, found, make_app(options))
    server = HttpServer(HttpApi(runtime))
    try:
        await runtime.open()
        await server.start(listener)
        await runtime.connect()
        yield RunningSidecar(options.http_port, runtime)
    finally:
        await runtime.close(1.0)
        await server.stop(1.0)
        await engine.close()


@contextlib.asynccontextmanager
async def in_process_sidecar(
    root: Path,
    components: Components,
    app: AsgiApp | None = None,
    *,
    clock: VirtualClock | None = None,
    data_dir: Path | None = None,
    options: RuntimeOptions | None = None,
    channel: AppChannel | None = None,
    called: App | None = None,
    connect: bool = True,
    files: Resources | None = None,
) -> AsyncIterator[InProcessSidecar]:
    """Start a sidecar in process for ``app``, for whatever is behind ``channel``, or ``called``.

    Where ``files`` are given they count, and ``components`` do not.
    With ``connect`` false it is left to the test to connect it with the app.
    """
    clock = clock or VirtualClock()
    engine = Engine(clock, data_dir, root)
    options = options or RuntimeOptions("app1", app_port=1 if app or channel or called else None)
    if app is not None:
        channel = AsgiChannel(app, app_token=options.app_token)
    if channel is not None:
        called = HttpApp(channel)
    runtime = Runtime(engine, options, files or resources(components), called)
    try:
        await runtime.open()
        if connect:
            await runtime.connect()
        yield InProcessSidecar(AsgiChannel(HttpApi(runtime)), runtime, engine, clock)
    finally:
        await runtime.close(1.0)
        await engine.close()
