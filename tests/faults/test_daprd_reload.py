"""Resource files that change under a real runtime, played by a script: the app stays up."""

import http.client
import signal
import sys
from pathlib import Path

import pytest

from tests.helpers import fake_daprd
from tests.helpers.cli_run import Run, write

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="counts through /proc"),
]

APP = """
import sys
from daprflow import DaprFlow

app = DaprFlow("shop")
sys.stderr.write("the app was imported\\n")


@app.invoke
async def total() -> int:
    return 1
"""
STORE = """apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: NAME}
spec: {type: state.in-memory, version: v1}
"""


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """A folder in which a runtime is installed, and an app with resource files."""
    program = tmp_path / "home" / ".dapr" / "bin" / "daprd"
    source = Path(fake_daprd.__file__).read_text(encoding="utf-8")
    write(tmp_path, {"home/.dapr/bin/daprd": f"#!{sys.executable}\n{source}"})
    program.chmod(0o755)
    write(tmp_path, {"work/app.py": APP, "work/resources/a.yaml": STORE.replace("NAME", "one")})
    return program


def save(runtime: Path, text: str) -> None:
    """Save the resource file."""
    write(runtime.parents[3] / "work", {"resources/a.yaml": text})


def start(runtime: Path, version: str) -> Run:
    """Start a run with a runtime of that release."""
    env = {"HOME": str(runtime.parents[2]), "FAKE_DAPRD_VERSION": version}
    return Run(runtime.parents[3] / "work", "run", ".", env=env)


def crash(port: int) -> None:
    """Have the runtime end."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", "/")
    with pytest.raises(http.client.HTTPException):
        connection.getresponse()
    connection.close()


def ended_well(run: Run) -> None:
    """End the run; its app was started once."""
    run.send(signal.SIGINT)
    assert run.ended() == 0
    assert run.all_gone()
    assert run.text.count("the app was imported") == 1


def test_an_older_runtime_is_started_anew(runtime: Path) -> None:
    """A release that does not follow its files is restarted alone when one is saved."""
    with start(runtime, "1.13.6") as run:
        run.ready()
        save(runtime, STORE.replace("NAME", "two"))
        run.until("resource files changed: starting daprd anew")
        run.until("name: two")
        ended_well(run)


def test_a_half_saved_file_restarts_nothing(runtime: Path) -> None:
    """What is no YAML is named once and waited out; the finished file is taken."""
    with start(runtime, "1.13.6") as run:
        run.ready()
        save(runtime, "kind: [")
        run.until("refused: what ran before goes on")
        assert "starting daprd anew" not in run.text
        save(runtime, STORE.replace("NAME", "two"))
        run.until("starting daprd anew")
        run.until("name: two")
        ended_well(run)


def test_a_runtime_that_a_saved_file_ended(runtime: Path) -> None:
    """A newer release ends over a file it cannot take: it is started again, and the app stays."""
    with start(runtime, "1.18.3") as run:
        port = run.ready().port("Dapr HTTP")
        save(runtime, STORE.replace("NAME", "two"))
        crash(port)
        run.until("the app stays up")
        run.until("starting daprd again")
        run.until("name: two")
        run.until("daprd | subscriptions")
        ended_well(run)
