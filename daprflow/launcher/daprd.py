"""A real runtime as the sidecar of a run: on loopback, with tokens, its log lines tagged."""

import asyncio
import os
import re
import signal
import socket
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from daprflow.launcher import daprd_flags, defaults
from daprflow.launcher.configuration import switched_on
from daprflow.launcher.daprd_reload import FOLLOWS, DaprdReload
from daprflow.launcher.declared import Shadows, beside, for_daprd, left, shadowed
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.http_probe import probe
from daprflow.launcher.logfmt import retagged
from daprflow.launcher.options import SidecarOptions, Tokens
from daprflow.launcher.pipe_lines import pipe_lines
from daprflow.launcher.process import GuardedProcess
from daprflow.launcher.reservations import reserve
from daprflow.launcher.services import PLACEMENT, SCHEDULER, address_of
from daprflow.launcher.sidecar import AppSpec, SidecarInfo
from daprflow.protocol.configuration_file import ConfigurationResource
from daprflow.protocol.resource_trees import component_tree, configuration_tree, resiliency_tree
from daprflow.protocol.resources import ComponentResource
from daprflow.sidecar.resources import load_resources

HOST = "127.0.0.1"
NO_CONTENT = 204
START_SECONDS = 30.0
PAUSE = 0.05
LAST_LINES = 20
LINE_LIMIT = 1024 * 1024
_VERSION = re.compile(r"(?:-- version |\bver=\"?)([0-9][^\s\"]*)")
_OPEN_PORTS = (
    "daprd before 1.14 cannot keep its metrics and its internal port on 127.0.0.1: they are open "
    "to the network; its API asks for tokens, which the app has"
)


@dataclass(frozen=True, slots=True)
class DaprdPlace:
    """Where a runtime is and where it may write.

    Attributes:
        listeners: the sockets that hold its HTTP, gRPC and metrics ports until it starts.
        folder: where it runs, which relative paths in components start from; None is ours.
    """

    program: Path
    data_dir: Path
    listeners: tuple[socket.socket, socket.socket, socket.socket]
    folder: Path | None = None


class Daprd:
    """A ``daprd`` process for one app.

    Args:
        say: prints one line of its log.
    """

    def __init__(
        self,
        options: SidecarOptions,
        place: DaprdPlace,
        tokens: Tokens,
        *,
        reason: str,
        say: Callable[[str], None],
    ) -> None:
        self._options = options
        self._place = place
        self._tokens = tokens
        self._reason = reason
        self._say = say
        self._ports = tuple(listener.getsockname()[1] for listener in place.listeners)
        self._resources: tempfile.TemporaryDirectory[str] | None = None
        self._process: GuardedProcess | None = None
        self._app: AppSpec | None = None
        self._promises: list[socket.socket] = []
        self._log: asyncio.Task[None] | None = None
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._version = ""
        self._release = daprd_flags.NEWEST
        self._generated = False
        self._placement: str | None = None
        self._scheduler: str | None = None
        self._restarting = False
        self._turn = asyncio.Lock()
        self._dead: asyncio.Event = asyncio.Event()
        self._reload: DaprdReload | None = None
        self._shadows = Shadows()
        self._reviving: asyncio.Task[None] | None = None

    async def start(self, app: AppSpec, /) -> None:
        """Write the resources, start the runtime, wait until outbound calls work.

        Raises:
            LaunchError: it cannot be run, or ends at once; its last lines are in the message.
        """
        self._promises = [promise for port in self._ports if (promise := reserve(port))]
        for listener in self._place.listeners:
            listener.close()
        self._release = await daprd_flags.release_of(self._place.program)
        options = self._options
        self._placement = await address_of(PLACEMENT, options.placement_host_address)
        self._scheduler = await address_of(SCHEDULER, options.scheduler_host_address)
        await self._spawn(app)
        self._reload = DaprdReload(
            defaults.folders(self._options.resources_path, app.folder),
            self._options.config,
            follows=self._release >= FOLLOWS,
            restart=self._start_anew,
            say=self._say,
        )
        self._reload.start()

    async def connect(self) -> None:
        """Wait until the runtime has read the app's subscriptions."""
        await self._until("/v1.0/healthz")

    async def pause(self) -> None:
        """Have no say in it: the runtime goes on until it is ended."""

    async def reconnect(self, app: AppSpec, /) -> None:
        """Start the runtime anew where the app's handlers changed: it reads them once."""
        if app == self._app:
            return
        self._say("what the app declares changed: starting daprd anew")
        self._app = app
        await self._start_anew()

    async def _start_anew(self) -> None:
        """End the process, if it still runs, and start the next one for the same app."""
        if self._app is None:
            return
        async with self._turn:
            self._restarting = True
            await self._stop(self._options.grace)
            await self._spawn(self._app)
            self._restarting = False
            await self.connect()

    def info(self) -> SidecarInfo:
        """Describe it."""
        notes = ["daprd listens on 127.0.0.1 only and asks for tokens, which the app has"]
        if daprd_flags.listens_everywhere(self._release):
            notes = [_OPEN_PORTS]
        if self._generated:
            notes.append(
                "'pubsub' is pubsub.in-memory here: a failed event is lost; "
                "name a durable broker in resources/ to keep it"
            )
        notes += self._missing()
        return SidecarInfo(
            f"daprd {self._version}".strip(),
            self._reason,
            self._ports[0],
            self._ports[1],
            data=str(self._place.data_dir) if self._generated else "as the resources say",
            notes=tuple(notes),
        )

    def _missing(self) -> list[str]:
        """Return a note for each service that is not there and that the app's handlers need."""
        kinds = {row.kind for row in self._app.handlers} if self._app is not None else set()
        there = ((PLACEMENT, self._placement), (SCHEDULER, self._scheduler))
        return [
            note for service, address in there if not address and (note := service.missing(kinds))
        ]

    async def ended(self) -> LaunchError:
        """Wait until the process ends unasked."""
        await self._dead.wait()
        return LaunchError(self._obituary(), Exit.SIDECAR_FAILED)

    async def close(self, grace: float, /) -> None:
        """End the process and take the generated resources away."""
        self._restarting = True
        if self._reload is not None:
            await self._reload.close()
        if self._reviving is not None:
            self._reviving.cancel()
            await asyncio.wait({self._reviving})
        await self._stop(grace)
        if self._resources is not None:
            self._resources.cleanup()
        for held in (*self._place.listeners, *self._promises):
            held.close()

    # ---- the process

    async def _spawn(self, app: AppSpec) -> None:
        self._app = app
        reading, writing = os.pipe()
        try:
            self._process = GuardedProcess(
                self._command(app, self._write_resources(app)),
                environment=self._environment(os.environ),
                grace=self._options.grace,
                quiet=True,
                output=writing,
                folder=self._place.folder,
            )
        finally:
            os.close(writing)
        self._log = asyncio.create_task(self._follow(self._process, reading))
        await self._until("/v1.0/healthz/outbound")

    async def _stop(self, grace: float) -> None:
        if self._process is not None:
            await self._process.stop(signal.SIGTERM, grace)
        if self._log is not None:
            await self._log

    async def _until(self, path: str) -> None:
        """Wait for 204 from a health endpoint; a process that ended is an error."""
        loop = asyncio.get_running_loop()
        limit = loop.time() + START_SECONDS if path.endswith("outbound") else None
        while await probe(self._ports[0], path, {}) != NO_CONTENT:
            if self._process is None or self._process.status is not None:
                if self._log is not None:
                    await self._log
                raise LaunchError(self._obituary(), Exit.SIDECAR_FAILED)
            if limit is not None and loop.time() > limit:
                raise LaunchError(
                    f"daprd did not answer on port {self._ports[0]} within {START_SECONDS:g} s",
                    Exit.SIDECAR_FAILED,
                )
            await asyncio.sleep(PAUSE)

    async def _follow(self, process: GuardedProcess, reading: int) -> None:
        """Pass its log lines on until it ends."""
        async with pipe_lines(reading, LINE_LIMIT) as lines:
            async for line in lines:
                text = line.decode(errors="replace").rstrip()
                self._last.append(text)
                if not self._version and (found := _VERSION.search(text)):
                    self._version = found[1]
                self._say(retagged(text))
            await process.wait()
        if self._restarting:
            return
        if self._reload is not None and self._reload.blames_a_change():
            self._reviving = asyncio.create_task(self._reload.revive(self._obituary()))
        else:
            self._dead.set()

    def _obituary(self) -> str:
        status = self._process.status if self._process is not None else None
        lines = "\n".join(f"  {retagged(line)}" for line in self._last)
        head = f"daprd ({self._place.program}) ended with exit code {status}"
        return f"{head}; its last lines:\n{lines}" if lines else f"{head}; it printed nothing"

    def _command(self, app: AppSpec, generated: Path) -> list[str]:
        options, (http, grpc, metrics) = self._options, self._ports
        folders = [*defaults.folders(options.resources_path, app.folder), generated]
        configurations = (*self._write_configuration(app), *options.config)
        flags: list[daprd_flags.Flag] = [
            ("app-id", app.app_id),
            ("app-port", app.app_port),
            ("app-protocol", options.app_protocol),
            ("app-channel-address", options.app_channel_address),
            ("app-max-concurrency", options.app_max_concurrency),
            ("dapr-http-port", http),
            ("dapr-grpc-port", grpc),
            ("dapr-listen-addresses", HOST),
            ("dapr-internal-grpc-listen-address", HOST),
            ("enable-metrics", None if options.enable_metrics else "false"),
            ("metrics-port", metrics),
            ("metrics-listen-address", HOST),
            ("log-level", options.log_level),
            ("log-as-json", "true" if options.log_as_json else None),
            ("max-body-size", options.max_body_size),
            ("read-buffer-size", options.read_buffer_size),
            ("dapr-graceful-shutdown-seconds", int(options.grace)),
            (PLACEMENT.flag, self._placement),
            (SCHEDULER.flag, self._scheduler),
            *(("config", file) for file in configurations),
            *(("resources-path", folder) for folder in folders),
        ]
        if options.enable_app_health_check:
            flags += [
                ("enable-app-health-check", "true"),
                ("app-health-check-path", options.app_health_check_path),
                ("app-health-probe-interval", options.app_health_probe_interval),
                ("app-health-probe-timeout", options.app_health_probe_timeout),
                ("app-health-threshold", options.app_health_threshold),
            ]
        given = [
            f"--{name}={value}"
            for name, value in daprd_flags.known(flags, self._release)
            if value is not None
        ]
        return [str(self._place.program), *given]

    def _environment(self, base: Mapping[str, str]) -> dict[str, str]:
        tokens = {"DAPR_API_TOKEN": self._tokens.api, "APP_API_TOKEN": self._tokens.app}
        given = {name: value for name, value in tokens.items() if value is not None}
        return {"DAPR_HOST_IP": HOST, **base, **given}

    def _write_resources(self, app: AppSpec) -> Path:
        """Write what the user's folders do not have; the folder is private and goes with us."""
        folder = self._own_folder() / "resources"
        folder.mkdir(exist_ok=True)
        named = defaults.folders(self._options.resources_path, app.folder)
        self._generated = not named
        loaded = load_resources(named)
        own, lines = for_daprd(left(app.declared.components, loaded.components))
        made = defaults.for_daprd(self._place.data_dir / "state.db") if self._generated else ()
        made = beside(made, own)
        crons = defaults.crons(app.crons, (*loaded.components, *own))
        self._shadows.tell((*shadowed(app.declared, loaded), *lines))
        trees = [component_tree(each) for each in (*made, *own, *crons)]
        policies = left(app.declared.resiliencies, loaded.resiliencies)
        trees += [resiliency_tree(each) for each in policies]
        for old in folder.iterdir():
            old.unlink()
        for tree in trees:
            file = f"{tree['kind']}-{tree['metadata']['name']}.yaml".lower()
            (folder / file).write_bytes(msgspec.json.encode(tree))  # JSON is YAML
        return folder

    def _write_configuration(self, app: AppSpec) -> tuple[Path, ...]:
        """Write what the code declares, and what the app needs switched on.

        A file of the user's goes before it, and says itself what is switched on.
        """
        own = app.declared.configuration or ConfigurationResource()
        if not self._options.config:
            own = switched_on(own, app.features)
        if own == ConfigurationResource():
            return ()
        file = self._own_folder() / "configuration.yaml"
        file.write_bytes(msgspec.json.encode(configuration_tree("daprflow", own)))
        return (file,)

    def _own_folder(self) -> Path:
        if self._resources is None:
            self._resources = tempfile.TemporaryDirectory(prefix="daprflow-")
        return Path(self._resources.name)


def configuration_document(features: Sequence[str]) -> bytes:
    """Return a Configuration document that switches features on; JSON is YAML."""
    own = switched_on(ConfigurationResource(), features)
    return msgspec.json.encode(configuration_tree("daprflow", own))


def document(component: ComponentResource) -> bytes:
    """Return a Component document; JSON is YAML."""
    return msgspec.json.encode(component_tree(component))
