"""Processes of a benchmark: started pinned to a core, measured through /proc, ended together."""

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.request import urlopen

import msgspec

from benchmarks.messages import Failed, Order, Report, Started

ROOT = Path(__file__).parent.parent
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
PR_SET_PDEATHSIG = 1
STARTING = 120.0
"""Seconds that a server may take to start on a machine that has other things to do."""
LOAD_CORE, SERVER_CORE = CORES[0], CORES[-1]


class BenchmarkError(Exception):
    """A part of a benchmark did not do what it should."""


class Child:
    """A process in a session of its own; its standard input closes when the benchmark ends."""

    def __init__(
        self,
        command: Sequence[str],
        core: int | None = None,
        cwd: Path = ROOT,
        *,
        quiet: bool = False,
    ) -> None:
        self._command = command
        self._core = core
        self._unread = b""
        self._cwd = cwd
        self._output = subprocess.DEVNULL if quiet else subprocess.PIPE
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, pinned where the system can."""
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.DEVNULL if self._output == subprocess.DEVNULL else None,
            cwd=self._cwd,
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - no threads here
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        )
        if self._core is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self._process.pid, {self._core})

    @property
    def running(self) -> subprocess.Popen[bytes]:
        """The started process."""
        if self._process is None:
            raise BenchmarkError(f"'{self._command[-1]}' was not started")
        return self._process

    @property
    def pid(self) -> int:
        """The process id."""
        return self.running.pid

    def read_line(self, patience: float = 20.0) -> str:
        """Return the next line of output, waiting at most ``patience`` seconds for it."""
        output = _pipe(self.running.stdout).fileno()
        deadline = time.monotonic() + patience
        while b"\n" not in self._unread:
            ready, _, _ = select.select([output], [], [], max(0.0, deadline - time.monotonic()))
            piece = os.read(output, 65_536) if ready else b""
            if not piece:
                raise BenchmarkError(f"'{' '.join(self._command)}' said nothing more")
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    def write_line(self, line: str) -> None:
        """Write a line to the process."""
        pipe = _pipe(self.running.stdin)
        pipe.write(line.encode() + b"\n")
        pipe.flush()

    def stop(self) -> None:
        """End the process and everything it started."""
        process = self._process
        if process is None:
            return
        end_group(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        end_group(process, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        self._process = None


def _end_with_parent() -> None:
    """Ask the kernel to end this process when the benchmark is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise BenchmarkError("a pipe is missing")
    return pipe


def end_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to the session of ``process``; harmless when it is gone."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


@contextmanager
def serving(module: str, *arguments: str) -> Iterator["Server"]:
    """Start a module of `benchmarks.peers` on the server's core and wait for its port."""
    child = Child([sys.executable, "-m", f"benchmarks.peers.{module}", *arguments], SERVER_CORE)
    child.start()
    try:
        yield Server(child.pid, int(child.read_line(patience=STARTING)))
    finally:
        child.stop()


class Server(msgspec.Struct, frozen=True):
    """A running server: the process to account to and the port it listens on."""

    pid: int
    port: int


class Agent:
    """The load process as seen from the benchmark."""

    def __init__(self, child: Child, started: Started) -> None:
        self._child = child
        self._reports: msgspec.json.Decoder[Report] = msgspec.json.Decoder(Report)
        self.sink_port = started.sink_port
        self.actor_port = started.actor_port

    def carry_out(self, order: Order) -> Report:
        """Carry out one order and return its report."""
        self._child.write_line(msgspec.json.encode(order).decode())
        report = self._reports.decode(self._child.read_line(patience=60))
        if isinstance(report, Failed):
            raise BenchmarkError(report.reason)
        return report


@contextmanager
def load_agent() -> Iterator[Agent]:
    """Start the load process on its core."""
    child = Child([sys.executable, "-m", "benchmarks.agent"], LOAD_CORE)
    child.start()
    try:
        started = msgspec.json.decode(child.read_line(), type=Started)
        yield Agent(child, started)
    finally:
        child.stop()


def cpu_seconds(pid: int) -> float:
    """Return the processor time of all threads of a process, or 0 where the system hides it."""
    try:
        tasks = [task / "schedstat" for task in Path(f"/proc/{pid}/task").iterdir()]
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
    except OSError:
        return 0.0


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise BenchmarkError(f"process {pid} has no resident memory")


@contextmanager
def grpc_sidecar(folder: Path, *flags: str) -> Iterator["Server"]:
    """Start ``daprflow sidecar`` in ``folder``, without an app; the port is its gRPC API's."""
    http, port = free_port(), free_port()
    command = [
        *(sys.executable, "-m", "daprflow", "sidecar", "--app-id", "bench"),
        *("--dapr-http-port", str(http), "--dapr-grpc-port", str(port), *flags),
    ]
    child = Child(command, SERVER_CORE, folder, quiet=True)
    child.start()
    try:
        wait_until_ready(http)
        yield Server(child.pid, port)
    finally:
        child.stop()


def free_port() -> int:
    """Return a port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_served(port: int, request: bytes, patience: float = STARTING) -> None:
    """Wait until a server answers a request: it listens before its application has started."""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as line:
        line.sendall(request)
        if not line.recv(1):
            raise BenchmarkError(f"the server on port {port} gave no answer")


def wait_until_ready(port: int, patience: float = 20.0) -> None:
    """Wait until a sidecar says that it and its app are ready."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            with urlopen(f"http://127.0.0.1:{port}/v1.0/healthz", timeout=1):
                return
        except OSError:
            time.sleep(0.02)
    raise BenchmarkError(f"the sidecar on port {port} did not become ready")
