"""A run with a real runtime, played by a script: flags, resources, tokens, and its end."""

import http.client
import os
import signal
import stat
import sys
from pathlib import Path

import pytest

from tests.helpers import fake_daprd
from tests.helpers.cli_run import Run, finish, write

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="counts through /proc"),
]

APP = """
from daprflow import DaprFlow

app = DaprFlow("shop")


@app.topic("pubsub", "orders", dead_letter="dead")
async def add(order: dict[str, int]) -> None: ...


@app.cron("tick", "@every 1h")
async def tick() -> None: ...
"""


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """A folder in which a runtime is installed."""
    program = tmp_path / "home" / ".dapr" / "bin" / "daprd"
    source = Path(fake_daprd.__file__).read_text(encoding="utf-8")
    write(tmp_path, {"home/.dapr/bin/daprd": f"#!{sys.executable}\n{source}"})
    program.chmod(0o755)
    write(tmp_path, {"work/app.py": APP})
    return program


def work(runtime: Path) -> Path:
    return runtime.parents[3] / "work"


def home(runtime: Path) -> dict[str, str]:
    return {"HOME": str(runtime.parents[2])}


@pytest.mark.row("S-04")
def test_an_installed_runtime_is_taken_and_kept_on_loopback(runtime: Path) -> None:
    """The banner says which and why; listeners, tokens and generated resources are as promised."""
    with Run(work(runtime), "run", ".", env=home(runtime)) as run:
        run.ready()
        run.send(signal.SIGINT)
        assert run.ended() == 0
        assert run.all_gone()
        text = run.text
    assert f"daprd 1.18.3 (it is installed: {runtime})" in text
    for flag in ("app-id=shop", "dapr-listen-addresses=127.0.0.1", "app-protocol=http"):
        assert f"daprd | flag --{flag}" in text
    for part in ("state.sqlite", "pubsub.in-memory", "bindings.cron", '"@every 1h"'):
        assert part in text
    assert "daprd | tokens True True" in text
    assert '"topic":"orders"' in text
    assert "a failed event is lost" in text
    assert "\x1b" not in text


EXPIRING = """
from datetime import timedelta

from daprflow import Actor, Client, DaprFlow, Part

app = DaprFlow("shop")


@app.actor
class Visitor(Actor[int]):
    session = Part(str, ttl=timedelta(minutes=5))

    async def enter(self, name: str) -> str:
        self.session = name
        return self.session


@app.invoke
async def enter(name: str, *, client: Client) -> str:
    return await client.actor(Visitor, "1").enter(name)
"""


def test_a_runtime_gets_the_features_an_app_needs(runtime: Path, tmp_path: Path) -> None:
    """Parts of actors' states that expire are switched on, unless a configuration is named."""
    write(work(runtime), {"app.py": EXPIRING})
    with Run(work(runtime), "run", ".", env=home(runtime)) as run:
        run.ready()
        run.send(signal.SIGINT)
        assert run.ended() == 0
        assert '"features":[{"name":"ActorStateTTL","enabled":true}]' in run.text
    write(tmp_path, {"mine.yaml": "kind: Configuration\nmetadata: {name: mine}\n"})
    mine = ("--config", str(tmp_path / "mine.yaml"))
    with Run(work(runtime), "run", ".", *mine, env=home(runtime)) as run:
        run.ready()
        run.send(signal.SIGINT)
        assert run.ended() == 0
        assert "ActorStateTTL" not in run.text


def test_a_runtime_is_told_of_its_services(runtime: Path) -> None:
    """Those that are named are handed on; what the app's handlers need and lack is said."""
    write(work(runtime), {"app.py": EXPIRING})
    named = ("--placement-host-address", "placed", "--scheduler-host-address", "")
    with Run(work(runtime), "run", ".", *named, env=home(runtime)) as run:
        run.ready()
        run.send(signal.SIGINT)
        assert run.ended() == 0
        text = " ".join(run.text.split())
    assert "flag --placement-host-address=placed:50005" in text
    assert "flag --scheduler-host-address" not in text
    assert "no placement listens" not in text
    assert "so jobs and reminders are not kept; start it with 'dapr init'" in text


def test_an_older_runtime_gets_the_flags_it_knows(runtime: Path) -> None:
    """A flag that a release does not know would end it at once; it gets the older one or none."""
    env = {**home(runtime), "FAKE_DAPRD_VERSION": "1.13.6"}
    with Run(work(runtime), "run", ".", env=env) as run:
        run.ready()
        run.send(signal.SIGINT)
        assert run.ended() == 0
        text = run.text
    assert "flag --dapr-http-max-request-size=4" in text
    assert "flag --dapr-http-read-buffer-size=4" in text
    assert "flag --max-body-size" not in text
    assert "flag --metrics-listen-address" not in text
    assert "they are open to the network" in " ".join(text.split())


def test_a_runtime_that_is_too_old_is_refused(runtime: Path) -> None:
    """The error names its release and the oldest that works."""
    env = {**home(runtime), "FAKE_DAPRD_VERSION": "1.11.2"}
    with Run(work(runtime), "run", ".", env=env) as run:
        assert run.ended() == 11
        assert "is 1.11.2, and the oldest release that works is 1.12" in " ".join(run.text.split())


@pytest.mark.row("FC-04", "FC-09")
def test_a_runtime_that_crashes_at_the_start_shows_its_last_lines(runtime: Path) -> None:
    """FC-04, FC-09: the app is not left running, nothing is switched silently; exit code 11."""
    env = {**home(runtime), "FAKE_DAPRD": "crash"}
    with Run(work(runtime), "run", ".", env=env) as run:
        assert run.ended() == 11
        assert run.all_gone()
        assert "ended with exit code 3; its last lines" in run.text
        assert "something is wrong with it" in run.text
        assert "embedded sidecar" not in run.text


@pytest.mark.row("FC-04")
def test_a_runtime_that_dies_later_ends_the_run(runtime: Path) -> None:
    """FC-04: the app is not left without its sidecar."""
    with Run(work(runtime), "run", ".", env=home(runtime)) as run:
        port = run.ready().port("Dapr HTTP")
        crash = http.client.HTTPConnection("127.0.0.1", port)
        crash.request("POST", "/")
        assert run.ended() == 11
        crash.close()
        assert run.all_gone()
        assert "ended with exit code 4" in run.text


@pytest.mark.row("FC-05")
def test_kill_of_the_supervisor_ends_the_runtime_too(runtime: Path) -> None:
    """FC-05: a real runtime is guarded as the app is."""
    with Run(work(runtime), "run", ".", env=home(runtime)) as run:
        run.ready()
        os.kill(run.process.pid, signal.SIGKILL)
        assert run.ended() == -signal.SIGKILL
        assert run.all_gone()


def test_changed_handlers_start_the_runtime_anew(runtime: Path) -> None:
    """A real runtime reads subscriptions once, so a reload that changes them restarts it."""
    with Run(work(runtime), "run", "--reload", ".", env=home(runtime)) as run:
        run.ready()
        write(work(runtime), {"app.py": APP.replace('"orders"', '"bills"')})
        run.until('"topic":"bills"')
        run.until("reloaded in")
        run.send(signal.SIGINT)
        assert run.ended() == 0
        assert run.all_gone()


@pytest.mark.row("S-38")
@pytest.mark.parametrize("place", ["working folder", "open to all", "not executable"])
def test_a_doubtful_runtime_is_not_run(runtime: Path, place: str) -> None:
    """S-38: nothing from the working folder or from places others may write to is executed."""
    folder, env = work(runtime), home(runtime)
    if place == "working folder":
        folder = runtime.parents[3]
        write(folder, {"app.py": APP})
    elif place == "open to all":
        runtime.parent.chmod(0o777)
    else:
        runtime.chmod(stat.S_IRUSR)
    code, text = finish(folder, "run", "--sidecar", "daprd", ".", env=env)
    assert code == 11
    assert "no usable runtime" in text
    assert "use --sidecar embedded" in text
