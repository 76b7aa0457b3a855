"""How ``daprflow serve`` ends, and a run without a sidecar of its own."""

import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.helpers.cli_run import WITHIN, Run, finish, write
from tests.helpers.own_ports import free_port

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="counts through /proc"),
]

STUCK = """
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from daprflow import DaprFlow


@asynccontextmanager
async def lifespan(app: DaprFlow) -> AsyncIterator[None]:
    print("up", flush=True)
    yield
    print("ended", flush=True)


app = DaprFlow("stuck", lifespan=lifespan)


@app.invoke
def wait() -> None:
    print("waiting", flush=True)
    threading.Event().wait()
"""


def test_ctrl_c_ends_serving_with_the_lifespan(tmp_path: Path) -> None:
    """One Ctrl-C runs the second half of the lifespan; exit code 0."""
    write(tmp_path, {"app.py": STUCK})
    with Run(tmp_path, "serve", ".", "--port", str(free_port())) as run:
        run.until("up")
        run.send(signal.SIGINT)
        assert run.ended() == 0
        assert run.lines[-1] == "ended"


@pytest.mark.row("FA-08")
@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_second_ctrl_c_ends_serving_at_once(tmp_path: Path, first: signal.Signals) -> None:
    """A handler that never ends does not keep the process; exit code 130."""
    write(tmp_path, {"app.py": STUCK})
    port = free_port()
    with Run(tmp_path, "serve", ".", "--grace", "3600", "--port", str(port)) as run:
        run.until("up")
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"POST /wait HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
            run.until("waiting")
            run.send(first)
            assert closed(port)
            run.send(signal.SIGINT)
            assert run.ended() == 130
        assert run.all_gone()


def closed(port: int) -> bool:
    """Wait until nobody takes connections on ``port``."""
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            return True
        threading.Event().wait(0.02)
    return False


def test_without_a_sidecar_the_environment_stays_as_it_is(tmp_path: Path) -> None:
    """``--sidecar none`` hands every DAPR_ variable on: a sidecar elsewhere stays reachable."""
    script = (
        "import os\n"
        "for k in sorted(os.environ):\n"
        "    if k.startswith(('APP_', 'DAPR_')): print(k, os.environ[k], flush=True)\n"
    )
    env = {
        "DAPR_HTTP_ENDPOINT": "https://sidecar.example:8443",
        "DAPR_GRPC_ENDPOINT": "https://sidecar.example:8444",
        "DAPR_GRPC_PORT": "4",
        "DAPR_HTTP_PORT": "3",
        "DAPR_API_TOKEN": "one",
    }
    words = ("run", "--sidecar", "none", "--app-id", "x", "--", sys.executable, "-c", script)
    code, text = finish(tmp_path, *words, env=env)
    assert code == 0
    printed = dict(line.split(" ", 1) for line in text.splitlines() if line.startswith("DAPR_"))
    assert printed == env
    assert "APP_ID x" in text.splitlines()
    code, text = finish(tmp_path, *words)
    assert code == 0
    assert not any(line.startswith("DAPR_") for line in text.splitlines())
