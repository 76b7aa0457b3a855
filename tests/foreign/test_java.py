"""An app with the official Java SDK beside the embedded sidecar."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers.cli_run import Run
from tests.helpers.foreign import fetched
from tests.helpers.own_ports import free_port

SOURCE = Path(__file__).parent / "java"
JAVA, JAVAC, MVN = (shutil.which(name) or "" for name in ("java", "javac", "mvn"))

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.timeout(300),  # what it needs may have to be fetched
    pytest.mark.skipif(not (JAVA and JAVAC and MVN), reason="needs a JDK and Maven"),
]


@pytest.fixture(scope="module")
def libraries() -> Path:
    """The folder with the SDK and what it needs, fetched once."""
    copy = ("dependency:copy-dependencies", "-DoutputDirectory=lib", "-DincludeScope=runtime")
    return fetched(SOURCE, ("pom.xml",), (MVN, "-q", "-B", "-ntp", *copy)) / "lib"


def test_it_publishes_subscribes_invokes_and_keeps_state(tmp_path: Path, libraries: Path) -> None:
    """What the app sends comes to it, and what it stores comes back."""
    path = f"{libraries}/*"
    compile_it = (JAVAC, "-cp", path, "-d", str(tmp_path), str(SOURCE / "App.java"))
    subprocess.run(compile_it, check=True, capture_output=True)
    ports = ("--dapr-http-port", str(free_port()), "--dapr-grpc-port", str(free_port()))
    app = ("--app-id", "java", "--app-port", str(free_port()), *ports)
    command = (JAVA, "-cp", f"{tmp_path}:{path}", "App")
    with Run(tmp_path, "run", "--ephemeral", *app, "--", *command) as run:
        assert run.ended() == 0, run.text
    (line,) = (line for line in run.lines if line.startswith('{"event"'))
    assert json.loads(line) == {
        "event": {"id": "7", "total": 5},
        "invoked": {"doubled": 42},
        "saved": [{"n": 1}, "text"],
        "changed": [{"n": 2}, None],
        "deleted": None,
    }
