"""How ``daprflow run`` begins and ends: signals, crashes, kills, ports, and nothing left behind."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.helpers.cli_run import Run, finish, write

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="counts through /proc"),
]

APP = """
from daprflow import Client, DaprFlow

app = DaprFlow("shop")


@app.topic("pubsub", "orders", dead_letter="dead")
async def add(order: dict[str, int], *, client: Client) -> None:
    store = client.state("statestore")
    await store.update("total", int, lambda so_far: (so_far or 0) + order["total"])
    print("added", order["total"], flush=True)


@app.invoke
async def total(*, client: Client) -> int:
    item = await client.state("statestore").get("total", int)
    return item.value if item else 0
"""

GRANDCHILDREN = """
import subprocess, sys
from daprflow import DaprFlow

app = DaprFlow("parent")
for new in (False, True):
    subprocess.Popen([sys.executable, "-c", "import signal\\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\\nsignal.pause()"], start_new_session=new)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with an app."""
    write(tmp_path, {"app.py": APP})
    return tmp_path


@contextlib.contextmanager
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.row("FC-01")
def test_ctrl_c_ends_everything_cleanly(folder: Path) -> None:
    """FC-01: one Ctrl-C ends app and sidecar, exit code 0, no process and no run.json left."""
    with Run(folder, "run", ".") as run:
        run.ready()
        assert (folder / ".daprflow" / "run.json").exists()
        run.send(signal.SIGINT)
        assert run.ended() == 0
        assert run.all_gone()
    assert not (folder / ".daprflow" / "run.json").exists()
    assert "Traceback" not in run.text


def test_events_and_totals_survive_a_restart(folder: Path) -> None:
    """What was published and saved is there when the same folder runs again."""
    with Run(folder, "run", ".") as run:
        run.ready()
        code, text = finish(folder, "publish", "pubsub", "orders", '{"total": 5}')
        assert (code, text) == (0, "published to pubsub/orders")
        run.until("added 5")
        run.send(signal.SIGTERM)
        assert run.ended() == 0
    with Run(folder, "run", ".") as run:
        run.ready()
        assert finish(folder, "invoke", "shop", "total") == (0, "5")
        run.send(signal.SIGTERM)
        assert run.ended() == 0


def test_ctrl_c_while_the_app_is_imported_is_quiet(tmp_path: Path) -> None:
    """An interrupt is no error: whatever the app's module is doing, nothing is printed about it."""
    slow = "import signal\nprint('importing', flush=True)\nsignal.pause()\n"
    write(tmp_path, {"app.py": slow})
    with Run(tmp_path, "run", "--ephemeral", ".") as run:
        run.until("importing")
        run.send(signal.SIGINT)
        assert run.ended() == 128 + signal.SIGINT
        assert run.lines == ["importing"]
        assert run.all_gone()


@pytest.mark.row("FA-08", "FC-02")
def test_a_second_ctrl_c_ends_it_at_once(folder: Path) -> None:
    """FC-02: an app that does not want to end is killed by the second Ctrl-C."""
    stubborn = (
        "import signal; signal.signal(2, lambda *_: print('not yet', flush=True)); "
        "print('up', flush=True)"
    )
    command = (sys.executable, "-c", f"{stubborn}; [signal.pause() for _ in iter(int, 1)]")
    grace = ("--dapr-graceful-shutdown-seconds", "3600")
    with Run(folder, "run", "--ephemeral", *grace, "--", *command) as run:
        run.until("up")
        run.send(signal.SIGINT)
        run.until("not yet")
        run.send(signal.SIGINT)
        assert run.ended() == 128 + signal.SIGKILL
        assert run.all_gone()


@pytest.mark.row("FC-01")
def test_an_app_that_ignores_signals_is_killed_after_the_grace(folder: Path) -> None:
    """FC-01: the grace period is kept, and one line says that it was too short."""
    stubborn = "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True)"
    command = (sys.executable, "-c", f"{stubborn}; [signal.pause() for _ in iter(int, 1)]")
    grace = ("--dapr-graceful-shutdown-seconds", "0.2")
    with Run(folder, "run", "--ephemeral", *grace, "--", *command) as run:
        run.until("up")
        run.send(signal.SIGTERM)
        assert run.ended() == 128 + signal.SIGKILL
        assert run.all_gone()
        assert run.text.count("did not end within 1.2 s") == 1


@pytest.mark.row("FC-05")
@pytest.mark.parametrize("victim", ["supervisor", "guard"])
def test_nothing_survives_a_kill(tmp_path: Path, victim: str) -> None:
    """FC-05, G19: after kill -9 of the supervisor or the guard no process is left."""
    write(tmp_path, {"app.py": GRANDCHILDREN})
    grace = ("--dapr-graceful-shutdown-seconds", "0.2")
    with Run(tmp_path, "run", "--ephemeral", *grace, ".") as run:
        run.ready()
        assert len(run.alive()) >= 5
        pid = run.process.pid
        if victim == "guard":
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
            pid = int(children.split()[0])
        os.kill(pid, signal.SIGKILL)
        assert run.ended() != 0
        assert run.all_gone()


@pytest.mark.row("FC-08")
def test_grandchildren_go_with_the_app(tmp_path: Path) -> None:
    """FC-08: what the app started and left in other sessions ends as well."""
    write(tmp_path, {"app.py": GRANDCHILDREN})
    with Run(tmp_path, "run", "--ephemeral", ".") as run:
        run.ready()
        run.send(signal.SIGINT)
        assert run.ended() == 0
        assert run.all_gone()


@pytest.mark.row("FC-03")
@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("raise SystemExit(0)", 0),
        ("raise SystemExit(7)", 7),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", 128 + signal.SIGSEGV),
    ],
)
def test_the_apps_exit_code_is_the_runs(folder: Path, script: str, code: int) -> None:
    """FC-03: the sidecar is stopped and the app's status passed on, 128+n for a signal."""
    with Run(folder, "run", "--ephemeral", "--", sys.executable, "-c", script) as run:
        assert run.ended() == code
        assert run.all_gone()
        assert run.text.count("the sidecar is stopped") == 1


@pytest.mark.row("FC-13")
@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        (("no-such-program",), 127, "cannot run 'no-such-program'"),
        (("./not-executable",), 126, "cannot run './not-executable'"),
        ((), 127, "no command after '--'"),
        (("",), 127, "no command after '--'"),
    ],
)
def test_a_command_that_cannot_run_leaves_no_sidecar(
    folder: Path, command: tuple[str, ...], code: int, says: str
) -> None:
    """FC-13: 127 for a missing command, 126 for one that cannot be executed."""
    write(folder, {"not-executable": "x"})
    with Run(folder, "run", "--ephemeral", "--", *command) as run:
        assert run.ended() == code
        assert run.all_gone()
        (line,) = run.lines
        assert says in line


def test_a_command_is_known_by_its_folder(folder: Path) -> None:
    """Without --app-id a command has an id all the same, and the same one at every start."""
    place = folder / "My Shop.2"
    place.mkdir()
    script = "import os; print('id', os.environ['APP_ID'])"
    code, text = finish(place, "run", "--ephemeral", "--", sys.executable, "-c", script)
    assert code == 0
    assert "id my-shop-2" in text


@pytest.mark.row("FC-03")
def test_an_app_that_never_listens_is_named(folder: Path) -> None:
    """FC-03: one line says which port stayed closed and for how long; exit code 12."""
    waiting = (sys.executable, "-c", "import signal; signal.pause()")
    limits = ("--app-start-timeout", "0.5", "--app-port", "9")
    with taken_port() as port:
        free = str(port)
    code, text = finish(
        folder, "run", "--ephemeral", *limits[:3], free, "--app-id", "x", "--", *waiting
    )
    assert code == 12
    assert f"app 'x' did not answer on port {free} within 0.5 s" in text


def test_an_app_that_answers_garbage_is_reported(folder: Path) -> None:
    """An app that speaks no HTTP is named; the run goes on until it is ended."""
    with taken_port() as port:
        free = str(port)
    garbage = (
        "import socketserver\n"
        "class H(socketserver.BaseRequestHandler):\n"
        "    def handle(self):\n"
        "        self.request.recv(100); self.request.sendall(b'garbage\\n')\n"
        f"s = socketserver.TCPServer(('127.0.0.1', {free}), H)\n"
        "s.serve_forever()\n"
    )
    words = ("run", "--ephemeral", "--app-id", "x", "--app-port", free)
    with Run(folder, *words, "--", sys.executable, "-c", garbage) as run:
        run.ready()
        assert "app 'x' did not answer GET /dapr/subscribe" in run.text
        run.send(signal.SIGTERM)
        run.ended()
        assert run.all_gone()
        assert "Traceback" not in run.text


@pytest.mark.row("FC-06", "FS-11")
@pytest.mark.parametrize("flag", ["--dapr-http-port", "--app-port"])
def test_a_taken_port_names_its_owner(folder: Path, flag: str) -> None:
    """FS-11, FC-06: port, process id and command of the owner; exit code 10."""
    with taken_port() as port:
        code, text = finish(folder, "run", flag, str(port), ".")
    assert code == 10
    assert f"port {port} is taken by process {os.getpid()} (" in text
    assert f"choose another port with {flag}" in text
    assert "Traceback" not in text


@pytest.mark.row("FC-06")
def test_without_a_wish_taken_ports_are_passed_over(folder: Path) -> None:
    """FC-06: two runs on one machine get different ports, all below the ephemeral range."""
    other = folder / "other"
    write(other, {"app.py": APP})
    with Run(folder, "run", ".") as one, Run(other, "run", ".") as two:
        for run in (one, two):
            run.ready()
        ports = [run.port(name) for run in (one, two) for name in ("Dapr HTTP", "app")]
        assert len(set(ports)) == 4
        assert max(ports) < 32768
        for run in (one, two):
            run.send(signal.SIGINT)
            assert run.ended() == 0


def test_the_app_finds_its_environment(folder: Path) -> None:
    """The app gets what ``dapr run`` gives, tokens are passed on, other sidecars forgotten."""
    with taken_port() as port:
        free = str(port)
    script = (
        "import os\n"
        "for k in sorted(os.environ):\n"
        "    if k.startswith(('APP_', 'DAPR_')): print(k, os.environ[k], flush=True)\n"
    )
    words = ("run", "--ephemeral", "--app-id", "x", "--app-port", free)
    env = {"DAPR_API_TOKEN": "one", "APP_API_TOKEN": "two", "DAPR_GRPC_PORT": "1"}
    code, text = finish(folder, *words, "--", sys.executable, "-c", script, env=env)
    assert code == 0
    for line in ("APP_ID x", f"APP_PORT {free}", "APP_PROTOCOL http", "DAPR_API_TOKEN one"):
        assert line in text.splitlines()
    for line in ("APP_CHANNEL_ADDRESS 127.0.0.1", "APP_API_TOKEN two"):
        assert line in text.splitlines()
    assert "DAPR_HTTP_PORT 35" in text
    (grpc,) = (line for line in text.splitlines() if line.startswith("DAPR_GRPC_PORT "))
    assert grpc != "DAPR_GRPC_PORT 1"


@pytest.mark.row("FC-15")
def test_a_reload_restarts_the_app_alone(folder: Path) -> None:
    """FC-15: sidecar and state stay, subscriptions and answers are the new ones."""
    with Run(folder, "run", "--reload", ".") as run:
        run.ready()
        assert finish(folder, "publish", "pubsub", "orders", '{"total": 5}')[0] == 0
        run.until("added 5")
        write(folder, {"app.py": APP.replace('"orders"', '"bills"').replace("added", "billed")})
        run.until("reloaded in")
        assert finish(folder, "publish", "pubsub", "bills", '{"total": 3}')[0] == 0
        run.until("billed 3")
        assert finish(folder, "invoke", "shop", "total") == (0, "8")
        run.send(signal.SIGINT)
        assert run.ended() == 0
        assert run.all_gone()


def test_a_save_that_keeps_size_and_second_is_seen(folder: Path) -> None:
    """No compiled file of the first process stands for the second one's source."""
    file = folder / "app.py"
    before = file.stat()
    with Run(folder, "run", "--reload", ".") as run:
        run.ready()
        write(folder, {"app.py": APP.replace("added", "noted")})
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        run.until("reloaded in")
        assert file.stat().st_size == before.st_size
        assert finish(folder, "publish", "pubsub", "orders", '{"total": 3}')[0] == 0
        run.until("noted 3")


def test_a_command_is_started_anew_when_a_file_changes(tmp_path: Path) -> None:
    """--reload counts for a command, too: for each change, and after it has ended."""
    write(tmp_path, {"hello.py": "print('first', flush=True); __import__('signal').pause()"})
    command = ("--", sys.executable, "hello.py")
    with Run(tmp_path, "run", "--reload", "--ephemeral", *command) as run:
        run.until("first")
        write(tmp_path, {"hello.py": "print('second', flush=True)"})
        run.until("second")
        write(tmp_path, {"hello.py": "raise SystemExit(3)"})
        run.until("exit code 3; waiting for a change")
        write(tmp_path, {"hello.py": "print('fourth', flush=True); __import__('signal').pause()"})
        run.until("fourth")
        run.send(signal.SIGINT)
        run.ended()
        assert run.all_gone()


def test_an_app_that_is_told_to_end_while_it_starts_ends_at_once(tmp_path: Path) -> None:
    """Whatever a lifespan waits for, it is told, may clean up, and is not killed."""
    app = """
import asyncio
from collections.abc import AsyncIterator
from daprflow import DaprFlow

app = DaprFlow("slow")

class Db: ...

@app.provide
async def db() -> AsyncIterator[Db]:
    print("connecting", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("gave up", flush=True)
    yield Db()

@app.invoke
async def ask(*, db: Db) -> str:
    return ""
"""
    write(tmp_path, {"app.py": app})
    with Run(tmp_path, "run", "--ephemeral", "--dapr-graceful-shutdown-seconds", "60", ".") as run:
        run.until("connecting")
        run.send(signal.SIGINT)
        run.until("gave up")
        assert run.ended() == 0
        assert run.all_gone()
    assert "Traceback" not in run.text


@pytest.mark.row("FS-14")
def test_a_syntax_error_is_shown_and_the_next_save_retries(folder: Path) -> None:
    """A broken save does not end the run; events wait for the next one."""
    with Run(folder, "run", "--reload", ".") as run:
        run.ready()
        write(folder, {"app.py": APP + "\ndef (\n"})
        run.until("waiting for a change")
        assert any("def (" in line for line in run.lines)
        assert finish(folder, "publish", "pubsub", "orders", '{"total": 2}')[0] == 0
        write(folder, {"app.py": APP})
        run.until("added 2")
        run.send(signal.SIGINT)
        assert run.ended() == 0
    assert "Traceback" not in run.text


def test_an_app_that_is_told_to_end_does_not_wait_for_a_change(folder: Path) -> None:
    """'daprflow stop' of one app among several tells its process; the run takes it for the end."""
    with Run(folder, "run", "--reload", ".") as run:
        run.ready()
        [app] = msgspec.json.decode(finish(folder, "list", "--json")[1])
        os.kill(app["appPid"], signal.SIGTERM)
        run.until("the app ended with exit code 0; the sidecar is stopped")
        assert run.ended() == 0


@pytest.mark.row("FA-43")
def test_a_wrong_definition_lists_its_problems_without_traceback(tmp_path: Path) -> None:
    """The app's mistakes are all shown, and no process is left."""
    write(
        tmp_path,
        {"app.py": APP + "\n@app.invoke\nasync def odd(a: int, *, b: bytes) -> int: ...\n"},
    )
    with Run(tmp_path, "run", ".") as run:
        assert run.ended() == 1
        assert run.all_gone()
        assert "odd" in run.text
        assert "Traceback" not in run.text


def test_a_component_that_cannot_be_loaded_ends_the_run(folder: Path) -> None:
    """A broken resource file is one line; the app is not left running; exit code 11."""
    write(folder, {"resources/a.yaml": "kind: Component\nmetadata: ["})
    with Run(folder, "run", ".") as run:
        assert run.ended() == 11
        assert run.all_gone()
        assert "a.yaml" in run.text
        assert "Traceback" not in run.text


@pytest.mark.row("I-SH")
def test_the_shutdown_call_ends_the_run(folder: Path) -> None:
    """``POST /v1.0/shutdown`` stops the sidecar, so the app is stopped too."""
    with Run(folder, "run", ".") as run:
        port = run.ready().port("Dapr HTTP")
        subprocess.run(
            ["curl", "-s", "-X", "POST", f"http://127.0.0.1:{port}/v1.0/shutdown"], check=True
        )
        assert run.ended() == 11
        assert run.all_gone()


@pytest.mark.row("I-SH")
@pytest.mark.parametrize("command", [("run", "."), ("sidecar", "--app-id", "alone")])
def test_a_forced_shutdown_ends_at_once_with_status_1(
    folder: Path, command: tuple[str, ...]
) -> None:
    """With ``dapr-force-shutdown: true`` nothing is waited for, however long the grace period."""
    grace = ("--dapr-graceful-shutdown-seconds", "3600")
    with Run(folder, command[0], *grace, *command[1:]) as run:
        port = run.ready().port("Dapr HTTP")
        url = f"http://127.0.0.1:{port}/v1.0/shutdown"
        subprocess.run(
            ["curl", "-s", "-X", "POST", "-H", "dapr-force-shutdown: true", url], check=True
        )
        assert run.ended() == 1
        assert run.all_gone()
        assert "by force" in run.text


def test_an_id_changed_by_a_reload_ends_the_run_with_one_line(folder: Path) -> None:
    """State and queued events go by the app's id, so another one takes another run."""
    with Run(folder, "run", "--reload", ".") as run:
        run.ready()
        source = folder / "app.py"
        source.write_text(source.read_text().replace('DaprFlow("', 'DaprFlow("other-'))
        assert run.ended() == 1
        assert run.all_gone()
        assert "the app's id changed from" in run.text
        assert "Traceback" not in run.text


def test_python_dash_m_and_version_work(tmp_path: Path) -> None:
    """``python -m daprflow --version`` prints the version."""
    code, text = finish(tmp_path, "--version")
    assert code == 0
    assert text.startswith("daprflow ")
