"""A sidecar that somebody else has started: found only where it is this very app's."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from daprflow.components.declarations import Declarations
from daprflow.launcher.existing import Existing, find_sidecar
from daprflow.launcher.report import Cron
from daprflow.launcher.sidecar import AppSpec, Attached
from daprflow.protocol.resources import ComponentResource
from tests.helpers.own_ports import free_port

pytestmark = pytest.mark.sockets


@contextmanager
def sidecar_of(app_id: str, token: str = "") -> Iterator[dict[str, str]]:
    """A server with the metadata of a sidecar, and the environment that ``dapr run`` gives."""

    class Metadata(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            refused = bool(token) and self.headers["dapr-api-token"] != token
            body = json.dumps({"id": app_id}).encode()
            self.send_response(401 if refused else 200)
            self.send_header("content-length", str(0 if refused else len(body)))
            self.end_headers()
            self.wfile.write(b"" if refused else body)

        def log_message(self, *_: object) -> None:
            pass

    port = free_port()
    with ThreadingHTTPServer(("127.0.0.1", port), Metadata) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        try:
            yield {
                "APP_ID": "shop",
                "APP_PORT": "8080",
                "DAPR_HTTP_PORT": str(port),
                "DAPR_GRPC_PORT": "50009",
            }
        finally:
            server.shutdown()
            serving.join()


async def test_the_sidecar_of_this_app_is_found() -> None:
    """Id and ports are in the environment, and the sidecar there says the same id."""
    with sidecar_of("shop") as env:
        found = await find_sidecar(None, env, pytest.fail)
        assert found == Existing("shop", int(env["DAPR_HTTP_PORT"]), 50009, 8080)
        assert await find_sidecar("shop", env, pytest.fail) == found


async def test_one_that_asks_for_a_token_is_found() -> None:
    """The token of the environment is sent; where it is refused, the environment is believed."""
    with sidecar_of("shop", token="t") as env:
        assert await find_sidecar(None, {**env, "DAPR_API_TOKEN": "t"}, pytest.fail) is not None
        assert await find_sidecar(None, env, pytest.fail) is not None


async def test_the_sidecar_of_another_app_is_none_of_ours() -> None:
    """A port that a shell still knows, and that another app's sidecar has, is not taken."""
    said: list[str] = []
    with sidecar_of("billing") as env:
        assert await find_sidecar(None, env, said.append) is None
    assert said == [
        f"the sidecar on port {env['DAPR_HTTP_PORT']} (DAPR_HTTP_PORT) is that of app 'billing'"
    ]


@pytest.mark.parametrize("missing", ["APP_ID", "DAPR_HTTP_PORT", "DAPR_GRPC_PORT"])
async def test_a_shell_that_knows_some_sidecar_is_not_dapr_run(missing: str) -> None:
    """Without the app's id and both ports nobody is asked."""
    with sidecar_of("shop") as env:
        del env[missing]
        assert await find_sidecar(None, env, pytest.fail) is None


async def test_another_id_on_the_command_line_wants_another_sidecar() -> None:
    """``--app-id`` with an id that the environment does not have starts a sidecar."""
    with sidecar_of("shop") as env:
        assert await find_sidecar("billing", env, pytest.fail) is None


async def test_nobody_answers_for_ever() -> None:
    """A port without a sidecar is given up after a while, and named."""
    said: list[str] = []
    port = str(free_port())
    env = {"APP_ID": "shop", "DAPR_HTTP_PORT": port, "DAPR_GRPC_PORT": "50009"}
    assert await find_sidecar(None, env, said.append, patience=0.0) is None
    assert said == [f"no sidecar answers on port {port}, which DAPR_HTTP_PORT names"]


@pytest.mark.parametrize(
    ("app_port", "problem"),
    [
        (None, "that sidecar calls no app, because nobody told it a port; start it with"),
        (9000, "that sidecar calls port 9000, and the app listens on 8080"),
    ],
)
async def test_the_banner_tells_what_such_a_sidecar_cannot_know(
    app_port: int | None, problem: str
) -> None:
    """Its port for the app, and the schedules of the app, are up to whoever started it."""
    attached = Attached(3500, None, found=Existing("shop", 3500, 50001, app_port))
    await attached.start(AppSpec("shop", 8080, ".", crons=(Cron("sweep", "@every 1m"),)))
    port_note, cron_note = attached.info().notes
    assert port_note.startswith(problem)
    assert cron_note.startswith("schedule 'sweep' does not run")


async def test_the_banner_tells_that_declarations_are_not_there() -> None:
    """A sidecar that others started reads files, not the app's code."""
    declared = Declarations("dev", (ComponentResource("store", "state.in-memory"),))
    attached = Attached(3500, None, found=Existing("shop", 3500, 50001, 8080))
    await attached.start(AppSpec("shop", 8080, ".", declared=declared))
    (note,) = attached.info().notes
    assert note.startswith("what the app's code declares is not there: that sidecar reads files")
