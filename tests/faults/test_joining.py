"""Several runs in one working folder: they share one engine, and each may end in any way."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daprflow.launcher.ports import owner_of
from tests.helpers.cli_run import Run, finish, write

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="counts through /proc"),
]

APP = """
from daprflow import Client, DaprFlow, Endpoint
from starlette.requests import Request

app = DaprFlow("NAME")


@app.topic("pubsub", "orders")
async def add(order: dict[str, int], *, client: Client) -> None:
    await client.state("statestore").set("last", order["total"])
    print("NAME got", order["total"], flush=True)


@app.invoke
async def last(*, client: Client) -> int | None:
    item = await client.state("statestore").get("last", int)
    return item.value if item else None


@app.invoke
async def caller(*, request: Request) -> str:
    return request.headers["dapr-caller-app-id"]


@app.invoke
async def ask(name: str, *, client: Client) -> str:
    return await client.invoke(Endpoint(name, "caller", type(None), str))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with three apps."""
    for name in ("one", "two", "three"):
        write(tmp_path, {f"{name}.py": APP.replace("NAME", name)})
    return tmp_path


@contextlib.contextmanager
def pair(folder: Path, *more: str) -> Iterator[tuple[Run, Run]]:
    """A host and a run that joined it, both ready."""
    with Run(folder, "run", *more, "one.py") as host:
        host.ready()
        with Run(folder, "run", *more, "two.py") as guest:
            guest.ready()
            yield host, guest


def listed(folder: Path) -> list[str]:
    record = json.loads((folder / ".daprflow" / "run.json").read_bytes())
    return [app["app_id"] for app in record["apps"]]


def process_of(folder: Path, app_id: str) -> int:
    record = json.loads((folder / ".daprflow" / "run.json").read_bytes())
    found: int = next(app["app_pid"] for app in record["apps"] if app["app_id"] == app_id)
    return found


def publish(folder: Path, total: int, *more: str) -> None:
    code, text = finish(folder, "publish", "pubsub", "orders", json.dumps({"total": total}), *more)
    assert (code, text) == (0, "published to pubsub/orders")


def holds(run: Run, port: int) -> bool:
    """Whether this very run has the port: another test may take it once it is free."""
    owner = owner_of(port)
    return owner is not None and owner.pid == run.process.pid


def stop(run: Run, code: int = 0) -> None:
    run.send(signal.SIGINT)
    assert run.ended() == code
    assert run.all_gone()
    assert "Traceback" not in run.text


@pytest.mark.parametrize("more", [(), ("--ephemeral",)])
def test_two_runs_share_broker_and_store_and_find_each_other(
    folder: Path, more: tuple[str, ...]
) -> None:
    """An event reaches both apps, each keeps its own state, and each may invoke the other."""
    with pair(folder, *more) as (host, guest):
        assert host.port("Dapr HTTP") != guest.port("Dapr HTTP")
        assert listed(folder) == ["one", "two"]
        publish(folder, 5)
        host.until("one got 5")
        guest.until("two got 5")
        for name in ("one", "two"):
            assert finish(folder, "invoke", name, "last") == (0, "5")
        assert finish(folder, "invoke", "one", "ask", "two") == (0, "one")
        assert finish(folder, "invoke", "two", "ask", "one") == (0, "two")
        publish(folder, 6, "--app-id", "two")
        guest.until("two got 6")
        stop(guest)
        host.until("app 'two' left")
        assert listed(folder) == ["one"]
        stop(host)
    assert not (folder / ".daprflow" / "run.json").exists()


@pytest.mark.row("S-08")
def test_the_record_and_what_it_leads_to_is_private(folder: Path) -> None:
    """run.json holds port and token, and every file of the data folder is its owner's alone."""
    with Run(folder, "run", "one.py") as host:
        host.ready()
        publish(folder, 1)
        host.until("one got 1")
        record = json.loads((folder / ".daprflow" / "run.json").read_bytes())
        assert record["control_port"]
        assert len(record["token"]) > 30
        files = [path for path in (folder / ".daprflow").rglob("*") if path.is_file()]
        assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
        stop(host)


def test_a_stranger_gets_nothing_from_the_control_port(folder: Path) -> None:
    """A wrong token, and what is no message, end the connection; the run goes on."""
    with Run(folder, "run", "--ephemeral", "one.py") as host:
        host.ready()
        record = json.loads((folder / ".daprflow" / "run.json").read_bytes())
        wrong = {"type": "join", "token": "x", "ephemeral": True}
        for line in (json.dumps(wrong).encode(), b"GET / HTTP/1.1\r", b"\xff", b"[" * 2_000_000):
            with socket.create_connection(("127.0.0.1", record["control_port"])) as connection:
                connection.settimeout(20)
                with contextlib.suppress(ConnectionError):
                    connection.sendall(line + b"\n")
                    assert b"refused" in connection.recv(10_000)
                    while connection.recv(10_000):
                        pass
        assert listed(folder) == ["one"]
        stop(host)


@pytest.mark.row("FS-35")
def test_a_joined_run_that_is_killed_is_gone_and_its_events_wait(folder: Path) -> None:
    """After kill -9 a joined run has no port its port; what was published waits."""
    with pair(folder) as (host, guest):
        port = guest.port("Dapr HTTP")
        os.kill(guest.process.pid, signal.SIGKILL)
        host.until("app 'two' left")
        assert guest.all_gone()
        assert not holds(host, port)
        publish(folder, 7)
        host.until("one got 7")
        with Run(folder, "run", "two.py") as again:
            again.until("two got 7")
            stop(again)
        stop(host)


def test_an_app_that_was_killed_is_started_again_at_once(folder: Path) -> None:
    """The run of the killed one did not notice yet, as on a busy machine: the next one waits."""
    with (folder / "two.py").open("a") as file:
        file.write('print("two is imported", flush=True)\n')
    with pair(folder) as (host, guest):
        guest.send(signal.SIGSTOP)
        os.kill(process_of(folder, "two"), signal.SIGKILL)
        with Run(folder, "run", "two.py") as again:
            again.until("two is imported")
            with pytest.raises(subprocess.TimeoutExpired):
                again.process.wait(1.0)  # it is not refused
            guest.send(signal.SIGCONT)
            assert guest.ended() == 137
            again.ready()
            publish(folder, 9)
            again.until("two got 9")
            stop(again)
        stop(host)


def test_the_host_stays_for_those_who_joined(folder: Path) -> None:
    """Ctrl-C ends the host's own app, names who still uses the sidecar, and ends with them."""
    with pair(folder) as (host, guest):
        host.send(signal.SIGINT)
        assert "'two' uses the sidecar" in host.until("the sidecar; Ctrl-C")
        assert listed(folder) == ["two"]
        publish(folder, 8)
        guest.until("two got 8")
        with Run(folder, "run", "one.py") as back:
            back.until("one got 8")
            stop(back)
        stop(guest)
        assert host.ended() == 0
        assert host.all_gone()
    assert not (folder / ".daprflow" / "run.json").exists()


def test_a_second_ctrl_c_in_the_host_ends_all(folder: Path) -> None:
    """Those who joined stop their app, say why in one line, and end with 13."""
    with pair(folder) as (host, guest):
        host.send(signal.SIGINT)
        host.until("the sidecar; Ctrl-C")
        host.send(signal.SIGINT)
        assert host.ended() == 0
        assert guest.ended() == 13
        for run in (host, guest):
            assert run.all_gone()
            assert "Traceback" not in run.text
        assert guest.text.count("is gone") == 1


@pytest.mark.row("FS-35")
def test_a_killed_host_takes_nobody_by_surprise(folder: Path) -> None:
    """After kill -9 of the host the others end with 13 and one line; the next run takes over."""
    with pair(folder) as (host, guest):
        os.kill(host.process.pid, signal.SIGKILL)
        assert guest.ended() == 13
        for run in (host, guest):
            assert run.all_gone()
        assert guest.text.count(f"(process {host.process.pid}) is gone") == 1
        assert "Traceback" not in guest.text
    assert (folder / ".daprflow" / "run.json").exists()
    assert finish(folder, "invoke", "one", "last")[1].startswith("daprflow: nothing runs in")
    with Run(folder, "run", "two.py") as next_one:
        next_one.ready()
        assert listed(folder) == ["two"]
        stop(next_one)


@pytest.mark.row("FC-14", "FS-09")
def test_one_app_id_runs_once(folder: Path) -> None:
    """A second run of the same app is refused in one line that says what to do; exit code 14."""
    with Run(folder, "run", "one.py") as host:
        host.ready()
        code, text = finish(folder, "run", "one.py")
        assert code == 14
        assert "app 'one' runs already with this data folder" in text
        assert "--app-id" in text
        assert "Traceback" not in text
        assert finish(folder, "invoke", "one", "last") == (0, "null")
        with Run(folder, "run", "--app-id", "other", "one.py") as other:
            other.ready()
            stop(other)
        stop(host)


def test_data_in_memory_and_on_disk_do_not_mix(folder: Path) -> None:
    """A run that wants its data kept otherwise than the host is told so; exit code 14."""
    with Run(folder, "run", "one.py") as host:
        host.ready()
        code, text = finish(folder, "run", "--ephemeral", "two.py")
        assert code == 14
        assert "keeps data on disk" in text
        stop(host)


def test_a_component_that_cannot_be_loaded_is_told_where_it_was_named(folder: Path) -> None:
    """The joining run says what is wrong with its resources and ends with 11; the host stays."""
    write(folder, {"bad/a.yaml": "kind: Component\nmetadata: ["})
    with Run(folder, "run", "one.py") as host:
        host.ready()
        code, text = finish(folder, "run", "--resources-path", "bad", "two.py")
        assert code == 11
        assert str(folder / "bad" / "a.yaml") in text
        assert "Traceback" not in text + host.text
        with Run(folder, "run", "two.py") as guest:
            guest.ready()
            stop(guest)
        stop(host)


def test_a_taken_port_is_named_to_the_joining_run(folder: Path) -> None:
    """The owner of a wished port is named; exit code 10."""
    with Run(folder, "run", "one.py") as host, socket.create_server(("127.0.0.1", 0)) as other:
        host.ready()
        port = str(other.getsockname()[1])
        code, text = finish(folder, "run", "--dapr-http-port", port, "two.py")
        assert code == 10
        assert f"port {port} is taken by process {os.getpid()}" in text
        stop(host)


def test_an_app_that_joined_and_stays_silent_is_given_up(folder: Path) -> None:
    """The limit for opening its port counts for a joined app as well; exit code 12."""
    with Run(folder, "run", "one.py") as host:
        host.ready()
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = str(other.getsockname()[1])
        words = ("run", "--app-id", "x", "--app-port", port, "--app-start-timeout", "0.5")
        command = (sys.executable, "-c", "import signal; signal.pause()")
        code, text = finish(folder, *words, "--", *command)
        assert code == 12
        assert f"app 'x' did not answer on port {port} within 0.5 s" in text
        stop(host)


def test_a_joined_app_reloads_alone(folder: Path) -> None:
    """--reload of a joined run reads its subscriptions again; the host notices nothing."""
    with Run(folder, "run", "one.py") as host:
        host.ready()
        with Run(folder, "run", "--reload", "two.py") as guest:
            guest.ready()
            write(folder, {"two.py": APP.replace("NAME", "two").replace("two got", "two billed")})
            guest.until("reloaded in")
            publish(folder, 3)
            guest.until("two billed 3")
            host.until("one got 3")
            stop(guest)
        stop(host)


def test_runs_that_start_together_find_one_host(folder: Path) -> None:
    """Whoever is first hosts; nobody is refused, and all of them hear an event."""
    names = ("one", "two", "three")
    with contextlib.ExitStack() as stack:
        runs = [stack.enter_context(Run(folder, "run", f"{name}.py")) for name in names]
        for run in runs:
            run.ready()
        publish(folder, 4)
        for name, run in zip(names, runs, strict=True):
            run.until(f"{name} got 4")
        for run in runs:
            run.send(signal.SIGINT)
        for run in runs:
            assert run.ended() == 0
            assert run.all_gone()


def test_a_sidecar_alone_hosts_and_joins(folder: Path) -> None:
    """``daprflow sidecar`` takes part like a run: as host, as one who joins, and as one left."""
    with Run(folder, "sidecar", "--app-id", "first") as host:
        host.ready()
        with Run(folder, "run", "one.py") as app, Run(folder, "sidecar", "--app-id", "b") as late:
            app.ready()
            late.ready()
            assert set(listed(folder)) == {"first", "one", "b"}
            publish(folder, 9, "--app-id", "b")
            app.until("one got 9")
            stop(late)
            host.send(signal.SIGINT)
            host.until("app 'one' uses the sidecar")
            host.send(signal.SIGINT)
            assert host.ended() == 0
            assert app.ended() == 13
            assert app.all_gone()
    with Run(folder, "run", "one.py") as host:
        host.ready()
        with Run(folder, "sidecar", "--app-id", "b") as late:
            late.ready()
            os.kill(host.process.pid, signal.SIGKILL)
            assert late.ended() == 13
            assert late.text.count("is gone") == 1


def test_publish_names_the_apps_that_run(folder: Path) -> None:
    """``--app-id`` of an app that does not run here is one line with those that do."""
    with pair(folder) as (host, guest):
        code, text = finish(folder, "publish", "pubsub", "orders", "{}", "--app-id", "zero")
        assert code == 3
        assert "app 'zero' does not run" in text
        assert "'one', 'two'" in text
        stop(guest)
        stop(host)
