"""Commands that speak gRPC under ``daprflow run`` and beside ``daprflow sidecar``."""

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.cli_run import Run, finish, write

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="counts through /proc"),
]

SERVER = Path(__file__).parents[2] / "examples" / "grpc_app" / "server.py"
COMMAND = ("--", sys.executable, str(SERVER))
OPTIONS = ("--ephemeral", "--app-id", "prices", "--app-protocol", "grpc")


def free_ports() -> tuple[str, str]:
    """Return two ports that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("", 0)) as two:
        return str(one.getsockname()[1]), str(two.getsockname()[1])


def ask(port: str, path: str, body: object) -> tuple[int, bytes]:
    """Post to the sidecar: text as it is, anything else as JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
    data = body if isinstance(body, str) else json.dumps(body)
    with contextlib.closing(connection):
        connection.request("POST", f"/v1.0/{path}", data, {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_a_grpc_app_gets_calls_and_events(tmp_path: Path) -> None:
    """A command that knows nothing of daprflow is invoked, subscribes, and takes jobs."""
    port, app = free_ports()
    words = ("run", *OPTIONS, "--dapr-http-port", port, "--app-port", app, *COMMAND)
    with Run(tmp_path, *words) as run:
        run.ready()
        assert ask(port, "invoke/prices/method/price", "tea") == (200, b"3")
        status, body = ask(port, "invoke/prices/method/price", "gold")
        assert (status, json.loads(body)["code"]) == (404, 5)
        assert ask(port, "publish/pubsub/prices", {"gold": 900})[0] == 204
        run.until("new prices: {'tea': 3, 'cup': 12, 'gold': 900}")
        assert ask(port, "invoke/prices/method/price", "gold") == (200, b"900")
        assert ask(port, "jobs/report", {"dueTime": "0s"})[0] == 204
        run.until("job report")
        run.send(signal.SIGTERM)
        run.ended()
        assert run.all_gone()


def test_a_grpc_app_may_come_later_and_come_back(tmp_path: Path) -> None:
    """The sidecar alone waits for it, and reaches it again at once after a restart."""
    port, app = free_ports()
    words = ("sidecar", *OPTIONS, "--dapr-http-port", port, "--app-port", app)
    command = [sys.executable, str(SERVER)]
    with Run(tmp_path, *words) as run:
        run.ready()
        for _ in range(2):
            with subprocess.Popen(command, env={"APP_PORT": app}, stdout=subprocess.PIPE) as served:
                assert served.stdout is not None
                assert served.stdout.readline() == b"listening on %s\n" % app.encode()
                assert ask(port, "invoke/prices/method/price", "cup") == (200, b"12")
                served.kill()
            status, body = ask(port, "invoke/prices/method/price", "cup")
            assert (status, json.loads(body)["code"]) == (503, 14)
        run.send(signal.SIGINT)
        assert run.ended() == 0


def test_an_app_of_ours_speaks_http(tmp_path: Path) -> None:
    """Another protocol for a target is refused before anything starts."""
    write(tmp_path, {"app.py": "from daprflow import DaprFlow\napp = DaprFlow('shop')\n"})
    code, text = finish(tmp_path, "run", "--app-protocol", "grpc", ".")
    assert code == 2
    assert "--app-protocol grpc is for commands" in text
