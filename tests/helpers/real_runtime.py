"""The real runtime that a test session was given: its programs, and the services beside it."""

import contextlib
import http.client
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.own_ports import free_port

OPTION = "--dapr-runtime"
PROGRAMS = ("daprd", "placement", "scheduler")
HOST = "127.0.0.1"
WITHIN = 60.0
OK = 200


@dataclass(frozen=True, slots=True)
class Services:
    """A placement and a scheduler of their own, for the runs of one test.

    Attributes:
        home: what ``DAPR_RUNTIME_PATH`` is set to.
        flags: what tells ``daprflow run`` of them.
    """

    home: Path
    flags: tuple[str, ...]


def home_of(config: pytest.Config) -> Path:
    """Return the folder that ``--dapr-runtime`` names; skip the test where something is missing."""
    named = config.getoption(OPTION)
    if not named:
        pytest.skip(f"{OPTION} names no folder with a real runtime")
    home = Path(str(named)).expanduser().resolve()
    folder = home / ".dapr" / "bin"
    missing = [name for name in PROGRAMS if not os.access(folder / name, os.X_OK)]
    if missing:
        pytest.skip(f"{OPTION}: {folder} has no {', '.join(missing)}; 'dapr init --slim' brings it")
    return home


@contextlib.contextmanager
def services(home: Path, folder: Path) -> Iterator[Services]:
    """Start a placement and a scheduler that keep what they keep in ``folder``."""
    placement, scheduler = free_port(), free_port()
    raft, etcd, peers = free_port(), free_port(), free_port()
    name = "dapr-scheduler-server-0"
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(
                _running(home, folder, "placement", placement, f"dapr-placement-0={HOST}:{raft}")
            ),
            stack.enter_context(
                _running(
                    home,
                    folder,
                    "scheduler",
                    scheduler,
                    f"{name}=http://{HOST}:{peers}",
                    f"--etcd-data-dir={folder / 'scheduler'}",
                    f"--etcd-client-port={etcd}",
                    f"--etcd-client-listen-address={HOST}",
                    f"--override-broadcast-host-port={HOST}:{scheduler}",
                )
            ),
        ]
        for health in started:
            _until_healthy(health)
        yield Services(
            home,
            (
                *("--placement-host-address", f"{HOST}:{placement}"),
                *("--scheduler-host-address", f"{HOST}:{scheduler}"),
            ),
        )


@contextlib.contextmanager
def _running(
    home: Path, folder: Path, program: str, port: int, cluster: str, *more: str
) -> Iterator[int]:
    """Run one service on loopback; give the port of its health, and end it."""
    health = free_port()
    flag = "initial-cluster" if program == "placement" else "etcd-initial-cluster"
    words = (
        *(f"--{flag}={cluster}", f"--port={port}", f"--healthz-port={health}"),
        *(f"--listen-address={HOST}", f"--healthz-listen-address={HOST}"),
        *("--enable-metrics=false", "--tls-enabled=false", *more),
    )
    with (folder / f"{program}.log").open("wb") as log:
        process = subprocess.Popen(
            [str(home / ".dapr" / "bin" / program), *words],
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
        threading.Event().wait(0.05)
    raise AssertionError(f"no service became healthy on port {port} within {WITHIN:g} s")
