"""Servers in containers for a test session: Redis, PostgreSQL, Kafka, and Dapr's own programs."""

import contextlib
import gc
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from daprflow.errors import MissingExtra
from daprflow.launcher.daprd import document
from daprflow.protocol.resources import ComponentResource, MetadataItem
from daprflow.testing.real_services import HOST, Services, free_port

RELEASE = "1.18.3"
REDIS = "redis:7-alpine"
POSTGRESQL = "postgres:17-alpine"
KAFKA = "apache/kafka:4.0.0"
PASSWORD = "postgres"  # noqa: S105 - of a container that lives as long as the tests
START_SECONDS = 60.0
PAUSE = 0.1


class NoEngine(Exception):  # noqa: N818 - named for what is missing
    """No container engine answers."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A container that is to run.

    Attributes:
        ports: those of the container that are published on free ports of this machine.
        host_network: whether it shares this machine's network, and publishes nothing.
        mounts: folders of this machine, and where they are in the container.
        ready: a part of the log line that says that it is up.
    """

    image: str
    ports: tuple[int, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    host_network: bool = False
    mounts: tuple[tuple[Path, str], ...] = ()
    ready: str = ""


class Container(Protocol):
    """A container that runs."""

    def address(self, port: int) -> tuple[str, int]:
        """Return where one of its ports is reached."""
        ...

    def log(self) -> str:
        """Return what it has printed."""
        ...

    def stop(self) -> None:
        """End it and take it away."""
        ...


class Engine(Protocol):
    """Runs containers."""

    def start(self, wanted: Wanted) -> Container:
        """Start a container."""
        ...


class _Testcontainer:
    """A container of the library ``testcontainers``."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def address(self, port: int) -> tuple[str, int]:
        """Return where one of its ports is reached."""
        host = self._container.get_container_host_ip()
        return host, int(self._container.get_exposed_port(port))

    def log(self) -> str:
        """Return what it has printed."""
        out, error = self._container.get_logs()
        return bytes(out + error).decode("utf-8", "replace")

    def stop(self) -> None:
        """End it and take it away."""
        self._container.stop()


class Testcontainers:
    """The engine that ``testcontainers`` finds: Docker, Podman or what stands in for them."""

    def start(self, wanted: Wanted) -> Container:
        """Start a container."""
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - an extra

        made = DockerContainer(wanted.image).with_exposed_ports(*wanted.ports)
        for name, value in wanted.environment.items():
            made = made.with_env(name, value)
        for folder, place in wanted.mounts:
            made = made.with_volume_mapping(str(folder), place, "ro")
        if wanted.command:
            made = made.with_command(list(wanted.command))
        if wanted.host_network:
            made = made.with_kwargs(network_mode="host")
        return _Testcontainer(made.start())


def engine() -> Engine:
    """Return the container engine of this machine.

    Raises:
        MissingExtra: the library is not installed.
        NoEngine: none answers; the text says so in the engine's own words.
    """
    try:
        import docker  # noqa: PLC0415 - comes with the extra
        import testcontainers.core.container  # noqa: F401, PLC0415 - an extra
    except ImportError:
        raise MissingExtra("running servers in containers", "testcontainers") from None
    if reason := _unanswered(docker):
        raise NoEngine(
            f"no container engine answers ({reason}); start Docker or Podman, or set DOCKER_HOST"
        )
    return Testcontainers()


def _unanswered(docker: Any) -> str:
    """Return why the engine does not answer; empty where it does.

    The library forgets to close a socket that finds nobody: it is collected here, quietly.
    """
    reason = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            with contextlib.closing(docker.from_env()) as client:
                client.ping()
        except Exception as error:  # noqa: BLE001 - whatever the library and its own raise
            reason = f"{type(error).__name__}: {error}"
        if reason:
            gc.collect()
    return reason


@dataclass(frozen=True, slots=True)
class ContainerServer:
    """A server for components.

    Attributes:
        address: host and port.
        metadata: what a component needs to reach it, by the component's type.
    """

    address: str
    metadata: Mapping[str, Mapping[str, str]]

    def component(self, folder: Path, name: str, type_: str, /, **more: str) -> Path:
        """Write a component that uses it into a folder of resource files.

        Raises:
            LookupError: no component of that type uses such a server.
        """
        if type_ not in self.metadata:
            raise LookupError(f"no '{type_}' here; there is {', '.join(self.metadata)}")
        pairs = {**self.metadata[type_], **more}
        items = tuple(MetadataItem(key, value) for key, value in pairs.items())
        file = folder / f"{name}.yaml"
        file.write_bytes(document(ComponentResource(name, type_, metadata=items)))
        return file


@contextlib.contextmanager
def running(on: Engine, wanted: Wanted) -> Iterator[Container]:
    """Run a container until the end of the block; it is up when it begins.

    Raises:
        TimeoutError: it did not say in its log that it is up; the text has its last lines.
    """
    container = on.start(wanted)
    try:
        deadline = time.monotonic() + START_SECONDS
        while wanted.ready not in container.log():
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"'{wanted.image}' was not up within {START_SECONDS:g} s:\n"
                    f"{container.log()[-2000:]}"
                )
            time.sleep(PAUSE)
        yield container
    finally:
        container.stop()


@contextlib.contextmanager
def redis(on: Engine, image: str = REDIS) -> Iterator[ContainerServer]:
    """Run Redis."""
    wanted = Wanted(image, (6379,), ready="Ready to accept connections")
    with running(on, wanted) as container:
        host, port = container.address(6379)
        pairs = {"redisHost": f"{host}:{port}", "redisPassword": ""}
        kinds = ("state.redis", "pubsub.redis", "configuration.redis", "lock.redis")
        yield ContainerServer(f"{host}:{port}", dict.fromkeys(kinds, pairs))


@contextlib.contextmanager
def postgresql(on: Engine, image: str = POSTGRESQL) -> Iterator[ContainerServer]:
    """Run PostgreSQL."""
    wanted = Wanted(
        image,
        (5432,),
        environment={"POSTGRES_PASSWORD": PASSWORD},
        ready="PostgreSQL init process complete",
    )
    with running(on, wanted) as container:
        host, port = container.address(5432)
        url = f"postgresql://postgres:{PASSWORD}@{host}:{port}/postgres"
        pairs = {"connectionString": url}
        yield ContainerServer(
            f"{host}:{port}", {"state.postgresql": pairs, "configuration.postgresql": pairs}
        )


@contextlib.contextmanager
def kafka(on: Engine, image: str = KAFKA) -> Iterator[ContainerServer]:
    """Run Kafka on a port of this machine, which it has to know before it starts."""
    port, controller = free_port(), free_port()
    wanted = Wanted(
        image,
        environment={
            "KAFKA_NODE_ID": "1",
            "KAFKA_PROCESS_ROLES": "broker,controller",
            "KAFKA_LISTENERS": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller}",
            "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{HOST}:{port}",
            "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
            "KAFKA_CONTROLLER_QUORUM_VOTERS": f"1@{HOST}:{controller}",
            "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        },
        host_network=True,
        ready="Kafka Server started",
    )
    with running(on, wanted):
        pairs = {"brokers": f"{HOST}:{port}", "authType": "none", "disableTls": "true"}
        yield ContainerServer(f"{HOST}:{port}", {"pubsub.kafka": pairs})


@contextlib.contextmanager
def services(on: Engine, release: str = RELEASE) -> Iterator[Services]:
    """Run placement and scheduler in containers; the runtime itself runs in one for each test."""
    placement, scheduler = free_port(), free_port()
    image = f"daprio/dapr:{release}"
    etcd, peers = free_port(), free_port()
    name = "dapr-scheduler-server-0"
    common = (f"--listen-address={HOST}", "--tls-enabled=false", "--enable-metrics=false")
    with contextlib.ExitStack() as stack:
        words: tuple[str, ...] = (
            *("./placement", f"--port={placement}", f"--healthz-port={free_port()}"),
            *(f"--initial-cluster=dapr-placement-0={HOST}:{free_port()}", *common),
        )
        wanted = Wanted(image, command=words, host_network=True, ready="placement service started")
        stack.enter_context(running(on, wanted))
        words = (
            *("./scheduler", f"--port={scheduler}", f"--healthz-port={free_port()}"),
            f"--etcd-initial-cluster={name}=http://{HOST}:{peers}",
            f"--etcd-client-port={etcd}",
            f"--etcd-client-listen-address={HOST}",
            f"--override-broadcast-host-port={HOST}:{scheduler}",
            *("--etcd-data-dir=/tmp/scheduler", *common),
        )
        wanted = Wanted(image, command=words, host_network=True, ready="Etcd server is ready")
        stack.enter_context(running(on, wanted))
        addresses = f"{HOST}:{placement}", f"{HOST}:{scheduler}"
        yield Services(Path(), *addresses, spawn=RuntimeContainers(on, release).start)


class RuntimeContainers:
    """Runs ``daprd`` in containers, one for each test."""

    def __init__(self, on: Engine, release: str) -> None:
        self._on = on
        self._image = f"daprio/daprd:{release}"

    def start(self, words: tuple[str, ...], folder: Path) -> "RuntimeContainer":
        """Start one; it sees the test's folder where the test sees it."""
        wanted = Wanted(
            self._image,
            command=("./daprd", *words),
            environment={"DAPR_HOST_IP": HOST},
            host_network=True,
            mounts=((folder, str(folder)),),
        )
        return RuntimeContainer(self._on.start(wanted))


class RuntimeContainer:
    """A runtime in a container."""

    ended = False

    def __init__(self, container: Container) -> None:
        self._container = container

    def log(self) -> str:
        """Return what it has printed."""
        return self._container.log()

    async def stop(self) -> None:
        """End it."""
        self._container.stop()
