"""``--debug``: an editor attaches to the app, over reloads too, and to the embedded sidecar."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from daprflow.launcher.app_process import START
from daprflow.sidecar.blocks import pubsub
from tests.helpers.cli_run import Run, finish, write
from tests.helpers.dap import Debugger

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="counts through /proc"),
]

APP = """
from daprflow import DaprFlow

app = DaprFlow("shop")


@app.provide
async def book() -> list[int]:
    return []


@app.topic("pubsub", "orders")
async def add(order: dict[str, int], *, book: list[int]) -> None:
    total = order["total"] * FACTOR
    print("added", total, flush=True)


FACTOR = 2
"""
STARTING, LINE = 9, 15
RESILIENCY = """
apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata: {name: hurried}
spec:
  policies:
    timeouts: {short: 100ms}
    retries: {again: {policy: constant, duration: 100ms, maxRetries: 3}}
  targets:
    components: {pubsub: {inbound: {timeout: short, retry: again}}}
"""
PUBSUB = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: pubsub}
spec: {type: pubsub.in-memory, version: v1, metadata: []}
"""


def waiting_port(run: Run) -> int:
    """Return the port at which a process says that it waits for a debugger."""
    return int(run.until("waits for a debugger at").rpartition(":")[2])


def publish(folder: Path, total: int) -> None:
    """Publish one order."""
    code, text = finish(folder, "publish", "pubsub", "orders", json.dumps({"total": total}))
    assert code == 0, text


def test_a_breakpoint_in_a_handler_is_hit_again_after_a_reload(tmp_path: Path) -> None:
    """A client reads a variable at a breakpoint, and that of the next process at the same port."""
    file = tmp_path / "app.py"
    write(tmp_path, {"app.py": APP})
    with Run(tmp_path, "run", "--debug", "--reload", "--ephemeral", ".") as run:
        port = waiting_port(run)
        with Debugger(port) as client:
            assert client.attach({file: [LINE]}) == [True]
            run.ready()
            publish(tmp_path, 5)
            thread = client.stopped()
            assert client.line(thread) == LINE
            assert client.evaluate(thread, "order['total'], total") == "(5, 10)"
            client.go_on(thread)
            run.until("added 10")
            file.write_text(APP.replace("FACTOR = 2", "FACTOR = 3"))
            assert waiting_port(run) == port
        with Debugger(port) as client:
            assert client.attach({file: [LINE]}) == [True]
            run.until("reloaded in")
            publish(tmp_path, 5)
            thread = client.stopped()
            assert client.evaluate(thread, "total") == "15"
            client.go_on(thread)
            run.until("added 15")
        run.send(signal.SIGINT)
        assert run.ended() == 0
        assert run.all_gone()


def test_nothing_hurries_an_app_that_stands_at_a_breakpoint(tmp_path: Path) -> None:
    """Probes, timeouts of policies and the time to start do not count while it stands."""
    files = {"app.py": APP, "resources/pubsub.yaml": PUBSUB, "resources/hurried.yaml": RESILIENCY}
    write(tmp_path, files)
    hurried = ("--app-start-timeout", "0.2", "--enable-app-health-check")
    often = ("--app-health-probe-interval", "1", "--app-health-threshold", "1")
    with Run(tmp_path, "run", "--debug", *hurried, *often, "--ephemeral", ".") as run:
        with Debugger(waiting_port(run)) as client:
            client.attach({tmp_path / "app.py": [STARTING, LINE]})
            thread = client.stopped()
            client.evaluate(thread, "__import__('time').sleep(0.5)")
            client.go_on(thread)
            run.ready()
            publish(tmp_path, 1)
            thread = client.stopped()
            client.evaluate(thread, "__import__('time').sleep(1.5)")
            client.go_on(thread)
            run.until("added 2")
        run.send(signal.SIGINT)
        assert run.ended() == 0
    assert run.text.count("added") == 1
    assert not [line for line in run.lines if "healthy" in line or "blocked" in line]


def test_ctrl_c_ends_an_app_that_stands_at_a_breakpoint(tmp_path: Path) -> None:
    """It cannot answer the signal, and is killed when the grace period is over."""
    write(tmp_path, {"app.py": APP})
    grace = ("--dapr-graceful-shutdown-seconds", "0.1")
    with Run(tmp_path, "run", "--debug", *grace, "--ephemeral", ".") as run:
        with Debugger(waiting_port(run)) as client:
            client.attach({tmp_path / "app.py": [LINE]})
            run.ready()
            publish(tmp_path, 1)
            client.stopped()
            run.send(signal.SIGINT)
            run.until("the app was killed")
        assert run.ended() == 128 + signal.SIGKILL
        assert run.all_gone()


def test_a_client_attaches_to_the_embedded_sidecar(tmp_path: Path) -> None:
    """`daprflow sidecar --debug` stops in the code that takes what is published."""
    file, line = _publishing()
    with Run(tmp_path, "sidecar", "--app-id", "shop", "--debug", "--ephemeral") as run:
        with Debugger(waiting_port(run)) as client:
            assert client.attach({file: [line]}, own_code=False) == [True]
            run.ready()
            with socket.create_connection(("127.0.0.1", run.port("Dapr HTTP"))) as caller:
                caller.sendall(
                    b"POST /v1.0/publish/pubsub/orders HTTP/1.1\r\nhost: localhost\r\n"
                    b"content-length: 2\r\n\r\n{}"
                )
                thread = client.stopped()
                assert client.line(thread) == line
                client.go_on(thread)
                assert caller.recv(1024).startswith(b"HTTP/1.1 204")
        run.send(signal.SIGINT)
        assert run.ended() == 0
        assert run.all_gone()


def test_a_port_that_is_taken_and_a_command_are_refused(tmp_path: Path) -> None:
    """What stands in the way is said before anything starts."""
    write(tmp_path, {"app.py": APP})
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, text = finish(tmp_path, "run", "--debug", "--debug-port", port, ".")
        assert code == 10
        assert port in text
        assert "--debug-port" in text
    code, text = finish(tmp_path, "run", "--debug", "--", "true")
    assert code == 2
    assert "python -m debugpy --listen" in text
    code, text = finish(tmp_path, "run", "--debug-sidecar", "--sidecar", "none", ".")
    assert code == 2
    assert "embedded" in text


def test_a_port_that_was_taken_since_it_was_chosen_is_one_line(tmp_path: Path) -> None:
    """The app's process says so, and ends; there is no traceback."""
    write(tmp_path, {"app.py": APP})
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        socket.create_server(("127.0.0.1", 0)) as app,
    ):
        port, own = str(taken.getsockname()[1]), str(app.fileno())
        words = (".", "--fd", own, "--grace", "1", "--debug", port)
        command = (sys.executable, "-c", START, *words)
        ended = subprocess.run(
            command,
            cwd=tmp_path,
            pass_fds=(app.fileno(),),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 10
    assert f"port {port}" in ended.stderr
    assert "Traceback" not in ended.stderr


def _publishing() -> tuple[Path, int]:
    """Return where the sidecar takes a message: the first statement of its publishing."""
    code = pubsub.PubSubBlock.publish.__code__
    lines = sorted({line for _, _, line in code.co_lines() if line is not None})
    return Path(code.co_filename), next(line for line in lines if line > code.co_firstlineno)
