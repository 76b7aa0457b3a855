"""An app with the official JavaScript SDK beside the embedded sidecar, over HTTP and gRPC."""

import json
import shutil
from pathlib import Path

import pytest

from tests.helpers.cli_run import Run
from tests.helpers.foreign import fetched
from tests.helpers.own_ports import free_port

SOURCE = Path(__file__).parent / "javascript"
NODE = shutil.which("node") or ""
NPM = shutil.which("npm") or ""

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.timeout(300),  # what it needs may have to be fetched
    pytest.mark.skipif(not (NODE and NPM), reason="needs node and npm"),
]


@pytest.fixture(scope="module")
def modules() -> Path:
    """The folder ``node_modules`` with the SDK, fetched once."""
    quiet = ("--no-audit", "--no-fund", "--no-package-lock", "--no-update-notifier")
    bounded = ("--prefer-offline", "--fetch-retries=1")
    install = (NPM, "install", *quiet, "--ignore-scripts", *bounded)
    return fetched(SOURCE, ("package.json",), install) / "node_modules"


@pytest.mark.parametrize("speaks", ["HTTP", "GRPC"])
def test_it_publishes_subscribes_invokes_and_keeps_state(
    tmp_path: Path, modules: Path, speaks: str
) -> None:
    """What the app sends comes to it, and what it stores comes back."""
    shutil.copy(SOURCE / "app.js", tmp_path)
    (tmp_path / "node_modules").symlink_to(modules)
    app = ("--app-id", "js", "--app-port", str(free_port()), "--app-protocol", speaks.lower())
    ports = ("--dapr-http-port", str(free_port()), "--dapr-grpc-port", str(free_port()))
    words = ("run", "--ephemeral", *app, *ports, "--", NODE, "app.js")
    with Run(tmp_path, *words, env={"SPEAKS": speaks}) as run:
        assert run.ended() == 0, run.text
    (line,) = (line for line in run.lines if line.startswith('{"event"'))
    assert json.loads(line) == {
        "event": {"id": "7", "total": 5},
        "invoked": {"doubled": 42},
        "saved": [{"n": 1}, "text"],
        "changed": [{"n": 2}, ""],
        "deleted": "",
    }
