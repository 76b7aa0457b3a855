"""The stage: what sections measure on, and the processes that they start."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from benchmarks.compare.environments import Environments
from benchmarks.processes import (
    STARTING,
    Agent,
    BenchmarkError,
    Child,
    Server,
    free_port,
    wait_until_ready,
)

EMBEDDED, REAL = "embedded sidecar", "daprd"
PATIENCE = 180.0
"""Seconds that a peer may take for one order."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What there is to measure with.

    Attributes:
        runtime: a folder with ``.dapr/bin/daprd``, if one was given.
        redis: host and port of a Redis server, if there is one.
        quick: whether less will do.
    """

    environments: Environments
    agent: Agent
    runtime: Path | None
    redis: str | None
    quick: bool

    @property
    def sidecars(self) -> tuple[str, ...]:
        """The sidecars that there are."""
        return (EMBEDDED, REAL) if self.runtime else (EMBEDDED,)

    def rounds(self, many: int, least: int = 3) -> int:
        """Return how often to measure: ``least`` where it must be quick."""
        return least if self.quick else many

    def missing(self, *environments: str) -> str:
        """Return why peers of these environments cannot be measured; empty if they can."""
        failed = self.environments.failed
        return "; ".join(failed[name] for name in environments if name in failed)

    def missing_runtime(self) -> list[str]:
        """Say that there is no real runtime, if so."""
        said = "no real runtime was given with `--runtime`, so nothing is measured on one"
        return [] if self.runtime else [said]

    def binary(self, name: str) -> str:
        """Return a program of the real runtime."""
        if self.runtime is None:
            raise BenchmarkError("no real runtime was given")
        return str(self.runtime / ".dapr" / "bin" / name)


@dataclass(frozen=True, slots=True)
class Peer:
    """A module of `benchmarks.peers` in the environment that it runs in."""

    environment: str
    module: str
    arguments: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a sidecar listens, and where its app will."""

    http: int
    grpc: int
    app: int

    @staticmethod
    def free() -> "Ports":
        """Return ports that nothing listens on."""
        return Ports(free_port(), free_port(), free_port())

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment that tells an app where its sidecar is."""
        return {
            "DAPR_HTTP_PORT": str(self.http),
            "DAPR_GRPC_PORT": str(self.grpc),
            "DAPR_HTTP_ENDPOINT": f"http://127.0.0.1:{self.http}",
            "DAPR_GRPC_ENDPOINT": f"127.0.0.1:{self.grpc}",
        }


def command(stage: Stage, peer: Peer, variables: Mapping[str, str] | None = None) -> list[str]:
    """Return the command that starts a peer."""
    python = stage.environments.python(peer.environment)
    if python is None:
        raise BenchmarkError(stage.missing(peer.environment))
    settings = [f"{name}={value}" for name, value in (variables or {}).items()]
    return ["env", *settings, python, "-m", f"benchmarks.peers.{peer.module}", *peer.arguments]


@contextmanager
def started(
    stage: Stage, peer: Peer, variables: Mapping[str, str] | None = None, core: int | None = None
) -> Iterator[Child]:
    """Start a peer and end it."""
    child = Child(command(stage, peer, variables), core)
    child.start()
    try:
        yield child
    finally:
        child.stop()


@contextmanager
def serving(
    stage: Stage, peer: Peer, core: int | None = None, variables: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Start a peer that says on which port it listens."""
    with started(stage, peer, variables, core) as child:
        yield Server(child.pid, int(child.read_line(STARTING)))


def answer(child: Child, order: str) -> str:
    """Give a peer an order and return its answer."""
    child.write_line(order)
    return child.read_line(PATIENCE).strip()


@dataclass(frozen=True, slots=True)
class Plane:
    """Where the services of a real runtime listen that it needs for actors and workflows."""

    placement: int
    scheduler: int


@contextmanager
def control_plane(stage: Stage) -> Iterator[Plane]:
    """Start placement and scheduler of the real runtime, which keep nothing afterwards."""
    place, schedule, etcd, peers, raft = (free_port() for _ in range(5))
    shared = ["--listen-address=127.0.0.1", "--log-level=error", "--enable-metrics=false"]
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        commands = (
            [
                *(stage.binary("placement"), f"--port={place}", f"--healthz-port={free_port()}"),
                *(f"--initial-cluster=dapr-placement-0=127.0.0.1:{raft}", *shared),
            ],
            [
                *(stage.binary("scheduler"), f"--port={schedule}", f"--healthz-port={free_port()}"),
                *(f"--etcd-data-dir={folder}", f"--etcd-client-port={etcd}"),
                "--etcd-client-listen-address=127.0.0.1",
                f"--etcd-initial-cluster=dapr-scheduler-server-0=http://127.0.0.1:{peers}",
                *(f"--override-broadcast-host-port=127.0.0.1:{schedule}", *shared),
            ],
        )
        for each in commands:
            child = Child(each, None, Path(folder), quiet=True)
            child.start()
            stack.callback(child.stop)
        for port in (place, schedule):
            wait_for_grpc(port)
        yield Plane(place, schedule)


def wait_for_grpc(port: int, patience: float = 60.0) -> None:
    """Wait until a gRPC server answers."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            grpc.channel_ready_future(channel).result(patience)
        except grpc.FutureTimeoutError:
            raise BenchmarkError(f"no gRPC server came up on port {port}") from None


def sidecar_command(
    stage: Stage, kind: str, ports: Ports, resources: Path, plane: Plane | None = None
) -> list[str]:
    """Return the command of a sidecar of either kind."""
    shared = [
        *("--app-id", "bench", "--dapr-http-port", str(ports.http)),
        *("--dapr-grpc-port", str(ports.grpc), "--resources-path", str(resources)),
    ]
    if ports.app:
        shared += ["--app-port", str(ports.app)]
    if kind == EMBEDDED:
        python = stage.environments.python("daprflow") or sys.executable
        return [python, "-m", "daprflow", "sidecar", *shared]
    # A namespace of its own: actors of other apps under measurement have the same types.
    space = ["env", f"NAMESPACE=bench-{ports.http}"]
    listen = ["--dapr-listen-addresses=127.0.0.1", "--log-level=error"]
    listen += ["--dapr-internal-grpc-listen-address=127.0.0.1", "--enable-metrics=false"]
    if plane is not None:
        listen += [f"--placement-host-address=127.0.0.1:{plane.placement}"]
        listen += [f"--scheduler-host-address=127.0.0.1:{plane.scheduler}"]
    return [*space, stage.binary("daprd"), *shared, *listen]


@contextmanager
def sidecar(
    stage: Stage,
    kind: str,
    ports: Ports,
    components: Mapping[str, str],
    *,
    core: int | None = None,
    plane: Plane | None = None,
) -> Iterator[Child]:
    """Start a sidecar with component files, by their names, in a folder of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        resources = folder / "resources"
        resources.mkdir()
        for stem, text in components.items():
            (resources / f"{stem}.yaml").write_text(text, encoding="utf-8")
        arguments = sidecar_command(stage, kind, ports, resources, plane)
        child = Child(arguments, core, folder, quiet=True)
        child.start()
        try:
            wait_for_grpc(ports.grpc)
            yield child
        finally:
            child.stop()


@dataclass(frozen=True, slots=True)
class Hosted:
    """An app and its sidecar."""

    app: Child
    sidecar: Child
    ports: Ports


@contextmanager
def hosted(
    stage: Stage,
    kind: str,
    peer: Peer,
    components: Mapping[str, str],
    plane: Plane | None = None,
) -> Iterator[Hosted]:
    """Start a sidecar and an app beside it, which is served with its port as last argument.

    Neither is pinned to a core: there are three processes for two.
    """
    ports = Ports.free()
    app = Peer(peer.environment, peer.module, (*peer.arguments, str(ports.app)))
    with (
        sidecar(stage, kind, ports, components, plane=plane) as beside,
        started(stage, app, ports.variables) as child,
    ):
        child.read_line(STARTING)
        wait_until_ready(ports.http, STARTING)
        yield Hosted(child, beside, ports)


@contextmanager
def redis_server(given: str | None) -> Iterator[str | None]:
    """Give the Redis server that was named, else start one, else give none."""
    program = shutil.which("redis-server")
    if given or program is None:
        yield given
        return
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
        child = Child([program, *flags, "--save", "", "--appendonly", "no"], None, quiet=True)
        child.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            child.stop()


def in_turn(
    contenders: Mapping[str, Callable[[], float]],
    rounds: int,
    notes: MutableMapping[str, str],
    *,
    warm_up: int = 1,
) -> dict[str, list[float]]:
    """Measure every contender in turn, so often; the first rounds only warm up.

    One that fails is left out from then on, and ``notes`` says why: the others go on.
    """
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + warm_up):
        for name in list(found):
            try:
                value = contenders[name]()
            except (BenchmarkError, OSError, subprocess.SubprocessError, ValueError) as error:
                notes[name] = f"it failed: {error}"
                del found[name]
                print(f"{name} failed: {error}", flush=True)
                continue
            if turn >= warm_up:
                found[name].append(value)
    return found


def resource(name: str, kind: str, **metadata: str) -> str:
    """Return the text of a component file."""
    given = "".join(f'\n    - {{name: {key}, value: "{value}"}}' for key, value in metadata.items())
    return (
        "apiVersion: dapr.io/v1alpha1\nkind: Component\n"
        f"metadata: {{name: {name}}}\nspec:\n  type: {kind}\n  version: v1\n"
        f"  metadata:{given or ' []'}\n"
    )
