"""What happens when a process runs out of open files."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from daprflow.transports.descriptors import FEWEST, RESERVE, fitting

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(sys.platform == "win32", reason="the limit is that of POSIX systems"),
]

FILES = 512
CALLERS = 700
SERVER = f"""
import asyncio, logging, resource, socket, sys
from daprflow import DaprFlow
from daprflow.transports.server import HttpServer

logging.basicConfig(level=logging.INFO, format="%(message)s")

async def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES}, resource.getrlimit(7)[1]))
    app = DaprFlow("shop")
    listener = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(app, lifespan=True)
    await server.start(listener)
    print(listener.getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(0)

asyncio.run(main())
"""


@contextlib.contextmanager
def limited() -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """Start an app in a process that may have few open files; gives its port."""
    command = [sys.executable, "-c", SERVER]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline()), process
        process.kill()


def get(port: int) -> bytes:
    """Ask for the app's health on a new connection."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        answer = b""
        while piece := connection.recv(4096):
            answer += piece
        return answer


@pytest.mark.row("FA-39", "FS-33")
def test_callers_beyond_the_open_files_are_shed() -> None:
    """More callers than open files are turned away with a line; then all is as before."""
    with limited() as (port, process):
        callers = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(CALLERS)]
        served = callers[0]
        served.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert served.recv(12) == b"HTTP/1.1 200"
        with contextlib.suppress(ConnectionError):
            assert callers[-1].recv(12) in (b"HTTP/1.1 503", b"")
        for caller in callers:
            caller.close()
        while not (answer := get(port)).startswith(b"HTTP/1.1 200"):
            assert answer.startswith((b"HTTP/1.1 503", b"")), answer
        _, said = process.communicate(timeout=20)
    lines = said.splitlines()
    refused = f"refused a connection: {FILES - RESERVE} are open already"
    assert lines.count(f"{refused}; callers should use theirs again") >= 1
    assert len(lines) < 12, said[:2000]
    assert "Traceback" not in said, said[:3000]


def test_the_cap_fits_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process gets as many connections as its open files leave, and never none."""
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda _: (200, 200))
    assert (fitting(1_000), fitting(10)) == (200 - RESERVE, 10)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (RESERVE, RESERVE))
    assert fitting(1_000) == FEWEST
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, 0))
    assert fitting(1_000) == 1_000
