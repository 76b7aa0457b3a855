"""Several apps of one template: each lives and ends for itself, all end together."""

import contextlib
import http.client
import json
import signal
from pathlib import Path

import pytest

from tests.helpers.cli_run import Run, finish, write

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="counts through /proc"),
]

APP = """
from daprflow import DaprFlow

app = DaprFlow("{name}")
print("{name} is imported")


@app.invoke
async def hello() -> str:
    return "{answer}"
"""
TEMPLATE = """
version: 1
apps:
- appDirPath: .
  target: one.py
  appID: one
- appDirPath: .
  target: two.py
  appID: two
- appDirPath: script
  command: [sh, -c, "while [ ! -e go ]; do sleep 0.05; done; exit 7"]
"""
WAITING = """
from collections.abc import AsyncIterator
from daprflow import Client, DaprFlow, Endpoint

app = DaprFlow("{name}")
other = Endpoint("{other}", "hello", None, str)


class Greeting(str):
    pass


@app.provide
async def greeting(client: Client) -> AsyncIterator[Greeting]:
    yield Greeting(await client.invoke(other))


@app.invoke
async def hello(*, greeting: Greeting) -> str:
    return greeting
"""


def shut_down(port: int) -> None:
    """Have a sidecar end itself and its app."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as sidecar:
        sidecar.request("POST", "/v1.0/shutdown")
        assert sidecar.getresponse().status == 204


@pytest.mark.row("FS-35")
def test_each_app_lives_for_itself(tmp_path: Path) -> None:
    """A crash and a reload are one app's own, lines go to files, and the exit code tells it all."""
    write(
        tmp_path,
        {
            "dapr.yaml": TEMPLATE,
            "one.py": APP.format(name="one", answer="first"),
            "two.py": APP.format(name="two", answer="second"),
            "script/README": "",
        },
    )
    with Run(tmp_path, "run", "-f", "dapr.yaml", "--reload") as run:
        run.until("all 3 healthy")
        record = json.loads((tmp_path / ".daprflow" / "run.json").read_bytes())
        apps = {app["app_id"]: app for app in record["apps"]}
        assert set(apps) == {"one", "two", "script"}
        assert {app["pid"] for app in apps.values()} == {run.process.pid}
        write(tmp_path, {"script/go": ""})
        run.until("app 'script': the app ended with exit code 7; the 2 others go on")
        write(tmp_path, {"two.py": APP.format(name="two", answer="changed")})
        run.until("app 'two': reloaded in")
        assert finish(tmp_path, "invoke", "two", "hello") == (0, "changed")
        assert finish(tmp_path, "invoke", "one", "hello") == (0, "first")
        assert run.lines.count("one    | one is imported") == 1
        assert run.lines.count("two    | two is imported") == 2
        shut_down(apps["one"]["http_port"])
        run.until("app 'one': the sidecar was shut down by POST /v1.0/shutdown")
        assert finish(tmp_path, "invoke", "two", "hello") == (0, "changed")
        run.send(signal.SIGTERM)
        assert run.ended() == 7
        assert run.all_gone()
    (log,) = (tmp_path / ".dapr" / "logs").glob("two_app_*.log")
    assert apps["two"]["logs"][0] == str(log)
    assert log.read_text(encoding="utf-8") == "two is imported\n" * 2
    assert not (tmp_path / ".daprflow" / "run.json").exists()


@pytest.mark.row("FC-05")
def test_nothing_is_left_of_a_fleet_that_is_killed(tmp_path: Path) -> None:
    """G19: after kill -9 of the process that hosts all, no app is left."""
    write(
        tmp_path,
        {
            "dapr.yaml": "version: 1\napps: [{target: a.py}, {target: b.py}]",
            "a.py": APP.format(name="a", answer="a"),
            "b.py": APP.format(name="b", answer="b"),
        },
    )
    grace = ("--dapr-graceful-shutdown-seconds", "0.2")
    with Run(tmp_path, "run", "-f", ".", "--ephemeral", *grace) as run:
        run.until("all 2 healthy")
        assert len(run.alive()) >= 5
        run.send(signal.SIGKILL)
        assert run.all_gone()


def test_apps_that_wait_for_each_other_are_told(tmp_path: Path) -> None:
    """Two lifespans that call each other end in a line with both names, not in silence."""
    apps = "\n".join(f"- {{target: {name}.py, appLogDestination: console}}" for name in "ab")
    write(
        tmp_path,
        {
            "dapr.yaml": f"version: 1\napps:\n{apps}",
            "a.py": WAITING.format(name="a", other="b"),
            "b.py": WAITING.format(name="b", other="a"),
        },
    )
    grace = ("--dapr-graceful-shutdown-seconds", "0.2")
    with Run(tmp_path, "run", "-f", ".", "--ephemeral", *grace) as run:
        line = run.until("these apps wait for each other")
        assert "'a' calls 'b'" in line
        assert "'b' calls 'a'" in line
        run.send(signal.SIGINT)
        run.ended()
        assert run.all_gone()


@pytest.mark.parametrize("hosted", [True, False])
def test_a_call_waits_for_an_app_that_starts_later(tmp_path: Path, hosted: bool) -> None:  # noqa: FBT001
    """The order of starts does not matter, wherever the sidecar is: a lifespan may call others."""
    write(
        tmp_path,
        {
            "dapr.yaml": "version: 1\napps: [{target: a.py}, {target: b.py}]",
            "a.py": WAITING.format(name="a", other="b"),
            "b.py": "import time\ntime.sleep(1)\n" + APP.format(name="b", answer="late"),
            "first.py": APP.format(name="first", answer="hello"),
        },
    )
    runs: list[Run] = []
    with contextlib.ExitStack() as stack:
        if not hosted:
            runs.append(stack.enter_context(Run(tmp_path, "run", "--ephemeral", "first.py")))
            runs[0].ready()
        run = stack.enter_context(Run(tmp_path, "run", "-f", "dapr.yaml", "--ephemeral"))
        run.until("all 2 healthy")
        record = json.loads((tmp_path / ".daprflow" / "run.json").read_bytes())
        pids = [app.get("app_pid") for app in record["apps"]]
        assert set(pids) <= {pid for each in (run, *runs) for pid in each.alive()}
        assert finish(tmp_path, "invoke", "a", "hello") == (0, "late")
        run.send(signal.SIGINT)
        assert run.ended() == 0
        assert run.all_gone()


def test_what_is_wrong_is_told_before_anything_starts(tmp_path: Path) -> None:
    """A template with mistakes starts nothing; options of one app are refused beside it."""
    write(tmp_path, {"dapr.yaml": "version: 1\napps: [{appDirPath: ., appPrt: 1}]"})
    assert finish(tmp_path, "run", "-f", ".") == (
        2,
        "daprflow: dapr.yaml:2: app '.' has no field 'appPrt'; did you mean 'appPort'?",
    )
    code, text = finish(tmp_path, "run", "-f", ".", "--app-id", "x")
    assert (code, "write 'appID' to that app" in text) == (2, True)
    code, text = finish(tmp_path, "run", "-f", ".", "app.py")
    assert (code, "give either a target" in text) == (2, True)
