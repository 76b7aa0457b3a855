"""The programs of a real runtime for a test session: where they are, placement and scheduler."""

import contextlib
import http.client
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

PROGRAMS = ("daprd", "placement", "scheduler")
HOST = "127.0.0.1"
WITHIN = 60.0
LOOK_PAUSE = 0.05
OK = 200

Ports = Callable[[], int]


class Spawned(Protocol):
    """A runtime that was started."""

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself."""
        ...

    def log(self) -> str:
        """Return what it has printed."""
        ...

    async def stop(self) -> None:
        """End it."""
        ...


Spawn = Callable[[tuple[str, ...], Path], Spawned]


class NoRuntime(Exception):  # noqa: N818 - named for what is missing
    """The folder that was named has no runtime, or not all of it."""


@dataclass(frozen=True, slots=True)
class Services:
    """A placement and a scheduler of their own.

    Attributes:
        home: what ``DAPR_RUNTIME_PATH`` is set to.
        placement: its address.
        scheduler: its address.
        spawn: starts a runtime with flags and the folder of a test; None starts the program.
    """

    home: Path
    placement: str
    scheduler: str
    spawn: "Spawn | None" = None

    @property
    def program(self) -> Path:
        """The runtime itself."""
        return self.home / ".dapr" / "bin" / "daprd"

    @property
    def flags(self) -> tuple[str, ...]:
        """What tells ``daprflow run`` and ``daprd`` of them."""
        return (
            *("--placement-host-address", self.placement),
            *("--scheduler-host-address", self.scheduler),
        )


def free_port() -> int:
    """Return a loopback port that nobody has now."""
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def home_of(named: str) -> Path:
    """Return the folder that was named.

    Raises:
        NoRuntime: it does not have all programs; the text says what brings them.
    """
    home = Path(named).expanduser().resolve()
    folder = home / ".dapr" / "bin"
    missing = [name for name in PROGRAMS if not os.access(folder / name, os.X_OK)]
    if missing:
        raise NoRuntime(
            f"{folder} has no {', '.join(missing)}; 'DAPR_RUNTIME_PATH={named} dapr init --slim' "
            "brings it"
        )
    return home


@contextlib.contextmanager
def services(home: Path, folder: Path, ports: Ports = free_port) -> Iterator[Services]:
    """Start a placement and a scheduler that keep what they keep in ``folder``."""
    placement, scheduler = ports(), ports()
    raft, etcd, peers = ports(), ports(), ports()
    name = "dapr-scheduler-server-0"
    with contextlib.ExitStack() as stack:
        words = (
            f"--initial-cluster=dapr-placement-0={HOST}:{raft}",
            f"--port={placement}",
        )
        started = [stack.enter_context(_running(home, folder, "placement", ports(), *words))]
        more = (
            f"--etcd-initial-cluster={name}=http://{HOST}:{peers}",
            f"--port={scheduler}",
            f"--etcd-data-dir={folder / 'scheduler'}",
            f"--etcd-client-port={etcd}",
            f"--etcd-client-listen-address={HOST}",
            f"--override-broadcast-host-port={HOST}:{scheduler}",
        )
        started.append(stack.enter_context(_running(home, folder, "scheduler", ports(), *more)))
        for health in started:
            _until_healthy(health)
        yield Services(home, f"{HOST}:{placement}", f"{HOST}:{scheduler}")


@contextlib.contextmanager
def _running(home: Path, folder: Path, program: str, health: int, *more: str) -> Iterator[int]:
    """Run one service on loopback; give the port of its health, and end it."""
    words = (
        *(f"--healthz-port={health}", f"--listen-address={HOST}"),
        *(f"--healthz-listen-address={HOST}", "--enable-metrics=false", "--tls-enabled=false"),
    )
    with (folder / f"{program}.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - the program that was named
            [str(home / ".dapr" / "bin" / program), *more, *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield health
        finally:
            process.kill()
            process.wait()


def _until_healthy(port: int) -> None:
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(HOST, port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == OK:
                return
        except OSError:
            pass
        finally:
            connection.close()
        threading.Event().wait(LOOK_PAUSE)
    raise AssertionError(f"no service became healthy on port {port} within {WITHIN:g} s")
