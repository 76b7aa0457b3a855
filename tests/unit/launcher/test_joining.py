"""Joining inside one process: the connection between a host and those who come to it."""

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import msgspec
import pytest

from daprflow.launcher import joining
from daprflow.launcher.exits import Exit, ForcedEnd, LaunchError
from daprflow.launcher.folder import DataFolder, RunningApp, RunRecord
from daprflow.launcher.host import EngineHost
from daprflow.launcher.joined import JoinedRun, join
from daprflow.launcher.joining import LINE_LIMIT, Line
from daprflow.launcher.membership import enter
from daprflow.launcher.options import SidecarOptions, Tokens
from daprflow.launcher.report import Cron, HandlerRow
from daprflow.launcher.sidecar import AppSpec, SidecarInfo
from daprflow.protocol import messages as m
from tests.helpers.grpc_calls import refusal
from tests.helpers.own_ports import free_port
from tests.helpers.topic_streams import initial

pytestmark = pytest.mark.sockets

OPTIONS = SidecarOptions(ephemeral=True)
APP = AppSpec("two", None, "/nowhere")


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path / ".daprflow")


@asynccontextmanager
async def hosting(folder: DataFolder, said: list[str]) -> AsyncIterator[EngineHost]:
    """A run that hosts ``folder``."""
    member = await enter(folder, OPTIONS, folder.path.parent, said.append)
    assert isinstance(member, EngineHost)
    try:
        yield member
    finally:
        await member.close()


@asynccontextmanager
async def joined(folder: DataFolder, options: SidecarOptions = OPTIONS) -> AsyncIterator[JoinedRun]:
    """A run that joined the host of ``folder``."""
    other = DataFolder(folder.path)
    member = await enter(other, options, folder.path.parent, lambda _: None)
    assert isinstance(member, JoinedRun)
    try:
        yield member
    finally:
        await member.close()


def found(folder: DataFolder) -> RunRecord:
    record = folder.running()
    assert record is not None
    return record


async def listed(folder: DataFolder, *app_ids: str) -> bool:
    """Wait until ``run.json`` names exactly these apps."""
    deadline = asyncio.get_running_loop().time() + 10
    while tuple(app.app_id for app in found(folder).apps) != app_ids:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.to_thread(threading.Event().wait, 0.01)
    return True


@asynccontextmanager
async def wire(
    decoder: "msgspec.json.Decoder[joining.Words]",
) -> AsyncIterator[tuple[Line[joining.Words], asyncio.StreamWriter]]:
    """A line, and the writing end of its other side."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours, limit=LINE_LIMIT)
    _, other = await asyncio.open_connection(sock=theirs)
    line = Line(reader, writer, decoder)
    try:
        yield line, other
    finally:
        other.close()
        await line.close()


# ---- messages


async def test_options_and_apps_travel_whole(tmp_path: Path) -> None:
    """What a run was asked for arrives as it was, paths and tokens included."""
    options = replace(OPTIONS, resources_path=(tmp_path,), config=(tmp_path / "c",), app_port=5)
    app = AppSpec("a", 5, "/x", (Cron("tick", "@daily"),), (HandlerRow("k", "n", "p", "h", "s"),))
    sent = joining.Start(3, app, options, Tokens("one", "two"))
    async with wire(joining.requests) as (line, other):
        await Line(line.reader, other, joining.requests).send(sent)
        assert await line.receive() == sent


@pytest.mark.parametrize("text", [b"{}\n", b"nonsense\n", b'{"type":"later"}\n', b'"\xff"\n'])
async def test_what_another_version_says_is_an_error(text: bytes) -> None:
    """An unknown message is not passed over in silence."""
    async with wire(joining.requests) as (line, other):
        other.write(text)
        with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
            await line.receive()


async def test_an_endless_line_is_an_error() -> None:
    """Nobody fills this process's memory."""
    async with wire(joining.requests) as (line, other):
        other.write(b"x" * (LINE_LIMIT + 1))
        with pytest.raises(msgspec.DecodeError, match="longer than"):
            await line.receive()


async def test_a_peer_that_is_gone_says_nothing_more() -> None:
    """Half a line before the end counts for nothing, and telling it something is no error."""
    async with wire(joining.requests) as (line, other):
        other.write(b'{"type":"con')
        other.close()
        assert await line.receive() is None
        await line.send(joining.Done(1))


# ---- host and guest


async def test_who_joins_is_listed_and_gets_a_port_of_its_own(folder: DataFolder) -> None:
    """The record names host and guest with their ports, until each has left."""
    said: list[str] = []
    async with hosting(folder, said) as host:
        host.announce(RunningApp("one", host.http_port))
        async with joined(folder) as run:
            sidecar = run.sidecar(Tokens("secret"), "")
            await sidecar.start(APP)
            assert await listed(folder, "one", "two")
            ports = {app.app_id: app.http_port for app in found(folder).apps}
            assert ports == {"one": host.http_port, "two": run.http_port}
            assert [app.api_token for app in found(folder).apps] == [None, "secret"]
            info = sidecar.info()
            assert (info.http_port, info.reason) == (
                run.http_port,
                "it joined the run of app 'one'",
            )
            await sidecar.close(1.0)
        assert await listed(folder, "one")
        assert said == [f"app 'two' joined, Dapr HTTP {run.http_port}", "app 'two' left"]
    assert folder.running() is None


async def test_before_its_start_a_sidecar_has_nothing_to_say(folder: DataFolder) -> None:
    """Closing one that was never started is fine; describing it is an error."""
    async with hosting(folder, []), joined(folder) as run:
        sidecar = run.sidecar(Tokens(), "")
        with pytest.raises(LaunchError, match="not started"):
            sidecar.info()
        await sidecar.close(0.0)


async def test_one_app_id_is_served_once(folder: DataFolder) -> None:
    """The second is refused, and may come once the first is closed."""
    async with hosting(folder, []), joined(folder) as first, joined(folder) as second:
        one = first.sidecar(Tokens(), "")
        await one.start(APP)
        two = second.sidecar(Tokens(), "")
        with pytest.raises(LaunchError, match="app 'two' runs already") as caught:
            await two.start(APP)
        assert caught.value.code is Exit.DATA_FOLDER
        await one.close(1.0)
        await two.close(0.0)
        async with joined(folder) as third:
            again = third.sidecar(Tokens(), "")
            await again.start(APP)
            await again.close(1.0)


async def test_the_hosts_own_app_is_one_of_them(folder: DataFolder) -> None:
    """An app that joined keeps its id also against the app of the host."""
    async with hosting(folder, []) as host, joined(folder) as run:
        sidecar = run.sidecar(Tokens(), "")
        await sidecar.start(APP)
        own = host.sidecar(Tokens(), "")
        with pytest.raises(LaunchError, match="app 'two' runs already"):
            await own.start(APP)
        await own.close(0.0)
        await sidecar.close(1.0)


async def test_what_comes_later_supersedes_waiting_for_the_app(
    folder: DataFolder, unused_port: int
) -> None:
    """A pause ends a connect that waits for a port which never opens."""
    async with hosting(folder, []), joined(folder) as run:
        sidecar = run.sidecar(Tokens(), "")
        await sidecar.start(replace(APP, app_port=unused_port))
        connecting = asyncio.create_task(sidecar.connect())
        await asyncio.sleep(0)
        connecting.cancel()
        async with asyncio.timeout(10):
            await sidecar.pause()
            await sidecar.close(1.0)


@pytest.fixture
def unused_port() -> int:
    return free_port()


async def test_a_lost_host_ends_every_wait(folder: DataFolder, unused_port: int) -> None:
    """Whoever waits for an answer gets the one line, and exit code 13; closing is no error."""
    async with hosting(folder, []) as host, joined(folder) as run:
        sidecar = run.sidecar(Tokens(), "")
        await sidecar.start(replace(APP, app_port=unused_port))
        ended = asyncio.create_task(sidecar.ended())
        connecting = asyncio.create_task(sidecar.connect())
        await asyncio.sleep(0)
        await host.close()
        end = await ended
        assert end.code is Exit.HOST_LOST
        with pytest.raises(LaunchError, match="is gone; start this one again"):
            await connecting
        with pytest.raises(LaunchError, match="is gone"):
            await sidecar.reconnect(APP)
        await sidecar.pause()
        await sidecar.close(5.0)


async def test_shutting_a_joined_sidecar_down_ends_that_run_alone(folder: DataFolder) -> None:
    """``POST /v1.0/shutdown`` on the port of one app is told to its own run."""
    async with hosting(folder, []), joined(folder) as run, joined(folder) as other:
        sidecar, untouched = run.sidecar(Tokens(), ""), other.sidecar(Tokens(), "")
        await sidecar.start(APP)
        await untouched.start(replace(APP, app_id="three"))
        assert b"204" in await shut_down(run.http_port)
        async with asyncio.timeout(10):
            end = await sidecar.ended()
        assert (end.code, "shutdown" in str(end)) == (Exit.SIDECAR_FAILED, True)
        await sidecar.close(1.0)
        assert await listed(folder, "two", "three")
        assert isinstance(untouched.info(), SidecarInfo)
        await untouched.close(1.0)


async def test_a_close_in_a_hurry_overtakes_a_patient_one(folder: DataFolder) -> None:
    """A second Ctrl-C waits for no verdict that a stream owes, though the sidecar is elsewhere."""
    async with hosting(folder, []), joined(folder) as run:
        sidecar = run.sidecar(Tokens(), "")
        await sidecar.start(APP)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{run.grpc_port}") as channel:
            stub = m.DaprStub(channel)
            call = stub.SubscribeTopicEventsAlpha1()
            await call.write(initial("orders"))
            await call.read()
            await stub.PublishEvent(m.PublishEventRequest(pubsub_name="pubsub", topic="orders"))
            await call.read()
            patient = asyncio.create_task(sidecar.close(3600.0))
            await asyncio.wait({patient}, timeout=0.1)
            patient.cancel()
            async with asyncio.timeout(10):
                await sidecar.close(0.0)
                assert (await refusal(call.read())).text == "stream closed"


async def test_a_forced_shutdown_is_told_apart_from_an_orderly_one(folder: DataFolder) -> None:
    """``dapr-force-shutdown: true`` ends with exit code 1, on the host and on those who joined."""
    async with hosting(folder, []), joined(folder) as run:
        sidecar = run.sidecar(Tokens(), "")
        await sidecar.start(APP)
        assert b"204" in await shut_down(run.http_port, force=True)
        async with asyncio.timeout(10):
            end = await sidecar.ended()
        assert isinstance(end, ForcedEnd)
        assert end.code is Exit.FAILED
        await sidecar.close(0.0)


async def test_new_schedules_leave_everything_else(folder: DataFolder) -> None:
    """After a reload with other crons the port, the id and the end of the sidecar are as before."""
    async with hosting(folder, []), joined(folder) as run:
        sidecar = run.sidecar(Tokens(), "")
        await sidecar.start(APP)
        await sidecar.pause()
        await sidecar.reconnect(replace(APP, crons=(Cron("tick", "@daily"),)))
        assert b"204" in await shut_down(run.http_port)
        async with asyncio.timeout(10):
            assert "shutdown" in str(await sidecar.ended())
        await sidecar.close(1.0)
        async with joined(folder) as again:
            next_one = again.sidecar(Tokens(), "")
            await next_one.start(APP)
            await next_one.close(1.0)


async def shut_down(port: int, *, force: bool = False) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    how = b"dapr-force-shutdown: true\r\n" if force else b""
    head = b"POST /v1.0/shutdown HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n"
    writer.write(head + how + b"\r\n")
    async with asyncio.timeout(10):
        status = await reader.readline()
    writer.close()
    return status


async def test_a_host_waits_for_those_who_joined(folder: DataFolder) -> None:
    """It names them once, and goes when the last of them is gone."""
    said: list[str] = []
    async with hosting(folder, said) as host:
        host.announce(RunningApp("one", host.http_port))
        async with joined(folder) as run:
            sidecar = run.sidecar(Tokens(), "")
            await sidecar.start(APP)
            waiting = asyncio.create_task(host.linger())
            assert await listed(folder, "two")
            assert not waiting.done()
            await sidecar.close(1.0)
        async with asyncio.timeout(10):
            await waiting
        assert said[1] == "app 'two' uses the sidecar; Ctrl-C ends it all the same"


async def test_a_host_alone_waits_for_nobody(folder: DataFolder) -> None:
    """Without others it ends at once and says nothing."""
    said: list[str] = []
    async with hosting(folder, said) as host:
        await host.linger()
    assert said == []


async def test_a_terminal_that_is_gone_keeps_nobody_waiting(folder: DataFolder) -> None:
    """The host of a closed terminal still ends when the others do."""

    def closed(line: str) -> None:
        raise OSError(line)

    member = await enter(folder, OPTIONS, folder.path.parent, closed)
    assert isinstance(member, EngineHost)
    async with joined(folder) as run:
        sidecar = run.sidecar(Tokens(), "")
        await sidecar.start(APP)
        waiting = asyncio.create_task(member.linger())
        await sidecar.close(1.0)
    async with asyncio.timeout(10):
        await waiting
    await member.close()


async def test_a_record_that_cannot_be_written_is_a_warning(
    folder: DataFolder, caplog: pytest.LogCaptureFixture
) -> None:
    """A data folder that was deleted under a run does not end it."""
    async with hosting(folder, []) as host:
        for path in sorted(folder.path.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        folder.path.rmdir()
        with caplog.at_level(logging.WARNING):
            host.announce(RunningApp("one", host.http_port))
        assert "cannot write run.json" in caplog.text


# ---- refusals


async def test_a_run_with_other_data_is_refused(folder: DataFolder) -> None:
    """In memory and on disk do not mix."""
    async with hosting(folder, []):
        with pytest.raises(LaunchError, match="keeps data in memory") as caught:
            async with joined(folder, replace(OPTIONS, ephemeral=False)):
                pass
        assert caught.value.code is Exit.DATA_FOLDER


async def test_a_wrong_token_is_refused(folder: DataFolder) -> None:
    """Who cannot read run.json does not get in."""
    async with hosting(folder, []):
        record = found(folder)
        wrong = msgspec.structs.replace(record, token="x")
        with pytest.raises(LaunchError, match="does not know this one"):
            await join(wrong, OPTIONS, folder.path)


async def test_a_host_that_is_gone_is_no_host(folder: DataFolder) -> None:
    """A port that nobody listens on, or that hangs up, takes nobody in."""
    async with hosting(folder, []):
        record = found(folder)
    assert await join(record, OPTIONS, folder.path) is None

    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    silent = msgspec.structs.replace(record, control_port=port)
    assert await join(silent, OPTIONS, folder.path) is None
    server.close()
    await server.wait_closed()


async def test_a_run_that_takes_nobody_in_is_said_at_once(folder: DataFolder) -> None:
    """A real runtime's run holds the folder for itself; exit code 14."""
    folder.prepare()
    assert folder.lock()
    async with hosting(DataFolder(folder.path / "other"), []):
        folder.publish(replace_port(found(DataFolder(folder.path / "other"))))
    with pytest.raises(LaunchError, match="another run uses") as caught:
        await enter(DataFolder(folder.path), OPTIONS, folder.path, lambda _: None)
    assert caught.value.code is Exit.DATA_FOLDER
    folder.release()


def replace_port(record: RunRecord) -> RunRecord:
    apps = (RunningApp("real", 1),)
    return msgspec.structs.replace(record, control_port=0, apps=apps)


async def test_a_taken_port_gives_the_folder_back(folder: DataFolder, unused_port: int) -> None:
    """A host that cannot have its port leaves no lock and no record."""
    taken = replace(OPTIONS, dapr_http_port=unused_port)
    with (
        socket.create_server(("127.0.0.1", unused_port)),
        pytest.raises(LaunchError, match=f"port {unused_port} is taken"),
    ):
        await enter(folder, taken, folder.path, lambda _: None)
    assert folder.running() is None
    assert folder.lock()
    folder.release()
