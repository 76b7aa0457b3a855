"""``daprflow list``, ``stop``, ``logs`` and ``status``: what runs here, and how it ends."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from daprflow.launcher import runs
from daprflow.launcher.alive import waited
from daprflow.launcher.folder import DataFolder, RunningApp, RunRecord, start_time
from tests.helpers.cli_run import Run, write
from tests.helpers.shell import Shell

APP = """
from daprflow import DaprFlow

app = DaprFlow("{name}")


@app.invoke
async def total() -> int:
    return 7
"""
WAITING = "import sys; print('up', flush=True); sys.stdin.read()"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAITING}"


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Shell:
    """A shell in an empty folder, in a session of its own."""
    session = tmp_path / "session"
    session.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(session))
    monkeypatch.chdir(tmp_path)
    return Shell(capfd, monkeypatch)


@dataclass(frozen=True, slots=True)
class Stands:
    """A process that stands for a run or an app."""

    process: "subprocess.Popen[bytes]"

    @property
    def pid(self) -> int:
        return self.process.pid


@contextmanager
def standing(program: str = WAITING, out: IO[bytes] | None = None) -> Iterator[Stands]:
    """Run a program that waits until it is ended."""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=out or subprocess.PIPE
    )
    try:
        if process.stdout is not None:
            assert process.stdout.readline() == b"up\n"
        yield Stands(process)
    finally:
        process.kill()
        process.communicate()


def recorded(folder: Path, host: int, *apps: RunningApp) -> DataFolder:
    """Write what a run would write."""
    data = DataFolder(folder)
    data.prepare()
    data.publish(RunRecord(host, start_time(host), apps))
    return data


def test_a_run_is_listed_here_and_everywhere_until_it_is_stopped(
    tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run, seen from its own folder and from another; its end is polite and waited for."""
    write(tmp_path, {"shop/app.py": APP.format(name="shop")})
    elsewhere = {"XDG_RUNTIME_DIR": str(runs.home().parent)}
    assert shell.json("list", "--all") == []
    with Run(tmp_path / "shop", "run", "app.py", "--sidecar", "embedded", env=elsewhere) as run:
        run.ready()
        assert shell.json("list") == []
        (row,) = shell.json("list", "--all")
        assert (row["appId"], row["pid"], row["sidecar"]) == ("shop", run.process.pid, "embedded")
        assert row["appPort"] == run.port("app")
        assert row["uptime"] >= 0
        assert shell("status", "shop") == 0
        assert "app 'shop' is ready" in shell.out
        assert shell("stop", "shop") == 4
        monkeypatch.chdir(tmp_path / "shop")
        assert shell("list") == 0
        assert shell.out.splitlines()[1].split()[:2] == ["shop", str(row["httpPort"])]
        assert shell.json("stop", "shop") == [
            {"appId": "shop", "pid": run.process.pid, "stopped": True}
        ]
        assert run.ended() == 0
    assert shell.json("list", "--all") == []
    assert shell.problem("status") == (4, "NOTHING_RUNS", 0)
    assert shell.problem("stop", "--all") == (4, "NOTHING_RUNS", 0)
    assert shell("logs") == shell("logs", "shop") == 4


def test_the_host_of_others_is_stopped_alone(tmp_path: Path, shell: Shell) -> None:
    """An app that hosts another one's sidecar ends without it; the rest ends with --all."""
    write(tmp_path, {name + ".py": APP.format(name=name) for name in ("one", "two")})
    words = ("--sidecar", "embedded", "--ephemeral")
    with Run(tmp_path, "run", "one.py", *words) as one:
        one.ready()
        with Run(tmp_path, "run", "two.py", *words) as two:
            two.ready()
            assert [row["pid"] for row in shell.json("list")] == [
                one.process.pid,
                two.process.pid,
            ]
            assert shell("stop", "one") == 0
            assert [row["appId"] for row in shell.json("list")] == ["two"]
            assert shell("stop", "--all") == 0
            assert shell.out == "stopped 'two'\n"
            two.ended()
            one.ended()


def test_what_was_killed_is_no_longer_listed(tmp_path: Path, shell: Shell) -> None:
    """A record whose process is gone, or is another one by now, is cleaned away."""
    apps = (RunningApp("shop", 1),)
    data = DataFolder(tmp_path / ".daprflow")
    data.prepare()
    data.publish(RunRecord(os.getpid(), "another start", apps))
    assert runs.noted() == [tmp_path / ".daprflow"]
    assert shell.json("list", "--all") == []
    assert not (data.path / "run.json").exists()
    assert runs.noted() == []


def test_one_of_several_apps_of_a_process(tmp_path: Path, shell: Shell) -> None:
    """Where several apps are one run, the app's own process is ended, and the run stays."""
    with standing() as run, standing() as one, standing() as two:
        recorded(
            tmp_path / ".daprflow",
            run.pid,
            RunningApp("one", 1, pid=run.pid, app_pid=one.pid),
            RunningApp("two", 2, pid=run.pid, app_pid=two.pid),
            RunningApp("young", 3, pid=run.pid),
        )
        assert shell("stop", "young") == 1
        assert "is one of several that process" in shell.err
        assert shell("stop", "one") == 0
        assert one.process.wait(30) == -signal.SIGTERM
        assert two.process.poll() is None
        assert run.process.poll() is None
        assert shell("stop", "--all") == 0
        assert run.process.wait(30) == -signal.SIGTERM


def test_replicas_are_asked_once(tmp_path: Path, shell: Shell) -> None:
    """Replicas of one run are listed as such, and their run gets one signal for all of them."""
    counting = (
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('asked', flush=True)))\n"
        f"{WAITING}"
    )
    with standing(counting) as run:
        apps = [RunningApp("shop", port, pid=run.pid) for port in (1, 2, 3)]
        recorded(tmp_path / ".daprflow", run.pid, *apps)
        assert [row["replicas"] for row in shell.json("list")] == [3, 3, 3]
        assert shell("stop", "shop", "--timeout", "0.2") == 1
        assert run.process.stdin is not None
        assert run.process.communicate(timeout=30)[0] == b"asked\n"


def test_an_app_that_does_not_end(tmp_path: Path, shell: Shell) -> None:
    """The exit code says so, and the line says what is left to do."""
    with standing(STUBBORN) as run:
        recorded(tmp_path / ".daprflow", run.pid, RunningApp("shop", 1, pid=run.pid))
        assert shell("stop", "shop", "--timeout", "0.2") == 1
        assert f"(process {run.pid}) did not end within 0.2 s" in shell.err
    assert shell("stop") == 2
    assert shell("stop", "shop", "--all") == 2


def test_log_files_of_an_app(tmp_path: Path, shell: Shell) -> None:
    """The last lines of the files that a run writes; with --follow what comes until it ends."""
    log = tmp_path / "shop.log"
    log.write_text("one\ntwo\nthree\n")
    with standing() as run:
        app = RunningApp("shop", 1, pid=run.pid, logs=(str(log),))
        recorded(tmp_path / ".daprflow", run.pid, app)
        assert shell("logs", "shop", "--lines", "2") == 0
        assert shell.out == "two\nthree\n"

        def go_on() -> None:
            with log.open("a") as file:
                file.write("four\n")
            run.process.terminate()

        later = threading.Timer(0.3, go_on)
        later.start()
        assert shell("logs", "shop", "-n", "1", "--follow") == 0
        later.join()
        assert shell.out == "three\nfour\n"


def test_where_an_app_without_log_files_prints(tmp_path: Path, shell: Shell) -> None:
    """A file that it was started with is shown; else the place is told."""
    out = tmp_path / "out.txt"
    with out.open("wb") as file, standing(out=file) as run:
        recorded(tmp_path / ".daprflow", run.pid, RunningApp("shop", 1, pid=run.pid))
        assert waited(lambda: out.read_bytes() == b"up\n", 30)
        assert shell("logs", "shop") == 0
        assert shell.out == "up\n"
        assert shell("logs") == 0
        assert shell.out == "up\n"
    with standing() as run:
        recorded(tmp_path / ".daprflow", run.pid, RunningApp("shop", 1, pid=run.pid))
        assert shell("logs", "shop") == 3
        assert "app 'shop' has no log file: it prints to where process" in shell.err
        assert shell("logs", "stock") == 3


def test_an_app_that_is_down(tmp_path: Path, shell: Shell) -> None:
    """Each part that does not answer is named, and the exit code is 1."""
    with standing() as run:
        app = RunningApp("shop", 1, 2, pid=run.pid)
        recorded(tmp_path / ".daprflow", run.pid, app)
        assert shell("status", "--timeout", "5") == 1
        first, *parts = shell.out.splitlines()
        assert first.startswith("app 'shop' is DOWN (embedded sidecar on port 1, up ")
        assert parts[0].split()[:3] == ["app", "shop", "DOWN:"]
        assert parts[1].split()[:3] == ["sidecar", "http://127.0.0.1:1", "DOWN:"]


def test_an_app_whose_process_has_ended_is_told_at_once(tmp_path: Path, shell: Shell) -> None:
    """One that waits for a change of its files: nobody waits for its answer, or for its end."""
    with standing() as run, standing() as crashed:
        apps = [
            RunningApp(name, port, port, app_pid=pid)
            for name, port, pid in (("shop", 1, crashed.pid), ("mail", 2, run.pid))
        ]
        recorded(tmp_path / ".daprflow", run.pid, *apps)
        crashed.process.kill()
        crashed.process.wait()
        assert shell("status", "shop") == 1
        assert "DOWN: its process has ended; its output says why" in shell.out
        assert shell("stop", "shop") != 0
        assert "app 'shop' has ended, and process" in shell.err


def test_an_app_that_runs_twice_takes_its_folder(tmp_path: Path, shell: Shell) -> None:
    """An id in two data folders is no app of this one; --data-dir says which is meant."""
    with standing() as run:
        for name in ("a", "b"):
            recorded(tmp_path / name, run.pid, RunningApp("shop", 1, pid=run.pid))
        assert shell("status", "shop") == 2
        assert "runs with several data folders" in shell.err
        assert shell("status", "shop", "--data-dir", str(tmp_path / "a")) == 1


@pytest.mark.sockets
def test_configuration_is_watched(tmp_path: Path, shell: Shell) -> None:
    """A watch prints each item, then each change and end of one, a line each, until Ctrl-C."""
    write(tmp_path, {"app.py": APP.format(name="shop")})
    with Run(tmp_path, "run", "app.py", "--sidecar", "embedded", "--ephemeral") as run:
        run.ready()
        assert shell.json("config", "set", "configstore", "limit", "7", "--version", "1") == {
            "store": "configstore",
            "key": "limit",
            "running": True,
        }
        assert shell.json("config", "get", "configstore", "limit")["value"] == "7"
        assert shell.problem("config", "get", "configstore", "none")[0] == 3
        words = ("config", "watch", "configstore", "limit", "--json", "--every", "0.05")
        with Run(tmp_path, *words) as watch:
            watch.until('{"store":"configstore","key":"limit","value":"7","version":"1"}')
            assert shell("config", "set", "configstore", "limit", "8") == 0
            watch.until('"value":"8"')
            assert shell("config", "delete", "configstore", "limit") == 0
            watch.until('{"store":"configstore","key":"limit","removed":true}')
            watch.send(signal.SIGINT)
            assert watch.ended() == 130
        assert shell("config", "watch") == 2
