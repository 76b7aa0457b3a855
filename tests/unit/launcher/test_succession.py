"""The processes of an app, one after the other; real ones."""

import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from daprflow.launcher.app_process import AppProcess, AppStopped, Surroundings
from daprflow.launcher.options import RunOptions, SidecarOptions, Tokens
from daprflow.launcher.succession import Succession
from daprflow.launcher.target import resolve

pytestmark = [pytest.mark.sockets]

APP = "from daprflow import DaprFlow\napp = DaprFlow('{name}')\n"
AROUND = Surroundings(None, None, "http", "127.0.0.1", None, Tokens())


@pytest.fixture
def options(tmp_path: Path) -> RunOptions:
    (tmp_path / "app.py").write_text(APP.format(name="before"))
    sidecar = SidecarOptions(grace=0.2)
    return RunOptions(base=tmp_path, sidecar=sidecar, target=resolve("app.py", tmp_path))


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        yield taken


@asynccontextmanager
async def processes(
    options: RunOptions, listener: socket.socket, made: list[AppProcess], *, ahead: bool = True
) -> AsyncIterator[Succession]:
    def make(*, held: bool) -> AppProcess:
        made.append(AppProcess(options, AROUND, listener, held=held))
        return made[-1]

    async with Succession(make, ahead=ahead) as succession:
        yield succession


async def end(process: AppProcess) -> None:
    await process.stop(signal.SIGTERM, 5.0)


async def test_the_next_process_takes_the_app_as_it_is_then(
    options: RunOptions, listener: socket.socket, tmp_path: Path
) -> None:
    """What is edited, or added, after a process got ready counts for it."""
    made: list[AppProcess] = []
    async with processes(options, listener, made) as succession:
        succession.prepare()
        succession.prepare()
        (tmp_path / "naming.py").write_text("NAME = 'after'\n")
        (tmp_path / "app.py").write_text("from naming import NAME\n" + APP.format(name="after"))
        process, ended = succession.take()
        assert made == [process]
        assert (await process.frozen()).app_id == "after"
        await process.serving()
        await end(process)
        assert await ended == 0


async def test_one_that_died_while_it_waited_is_replaced(
    options: RunOptions, listener: socket.socket
) -> None:
    """Killing a process that waits costs the run nothing."""
    made: list[AppProcess] = []
    async with processes(options, listener, made) as succession:
        succession.prepare()
        os.kill(made[0].pid, signal.SIGKILL)
        with pytest.raises(AppStopped):
            await made[0].frozen()
        process, _ = succession.take()
        assert len(made) == 2
        assert (await process.frozen()).app_id == "before"
        await end(process)


async def test_none_is_left_waiting(options: RunOptions, listener: socket.socket) -> None:
    """At the end the one that waits is killed; none begins after that, nor where none may."""
    made: list[AppProcess] = []
    async with processes(options, listener, made) as succession:
        succession.prepare()
    with pytest.raises(ProcessLookupError):
        os.kill(made[0].pid, 0)
    succession.prepare()
    async with processes(options, listener, made, ahead=False) as succession:
        succession.prepare()
    assert len(made) == 1
