"""Faults whose one line needs more than a call to come about; see `test_error_lines`."""

import asyncio
import contextlib
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path

from daprflow import Actor, Client, DaprFlow, WorkflowContext
from daprflow.errors import DaprFlowError
from daprflow.launcher.exits import LaunchError
from daprflow.launcher.folder import DataFolder
from daprflow.settings import Settings
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ComponentError, Message, Nack, Undelivered
from daprflow.sidecar.components.event_log import MemoryLog, StoredEvent
from daprflow.sidecar.components.pubsub_durable import DurablePubSub
from daprflow.sidecar.sqlite import SqliteWriter, versioned
from daprflow.testing import TestSidecar
from daprflow.transports.server import HttpServer, Limits
from tests.faults.told import Lines, Scenario, logged, raised
from tests.helpers.app_calls import running
from tests.helpers.cli_run import finish
from tests.helpers.components import context
from tests.helpers.timing import eventually

MORE: dict[str, Scenario] = {}


def fault(name: str) -> Callable[[Scenario], Scenario]:
    """Name a scenario by the row that it belongs to, and what is the matter."""

    def add(scenario: Scenario) -> Scenario:
        MORE[name] = scenario
        return scenario

    return add


# ---- a sidecar that answers badly ---------------------------------------------------------------

OK, BAD = b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 502 Bad Gateway\r\n"
ANSWERS: Mapping[str, bytes] = {
    "FA-03 a sidecar that goes while it is asked": b"",
    "FA-05 half an answer": OK + b"content-length: 100\r\n\r\nhalf",
    "FA-06 a page of somebody else's": BAD
    + b"content-type: text/html\r\ncontent-length: 6\r\n\r\n<html>",
}


def of_answer(answer: bytes) -> Scenario:
    """Return a scenario in which the sidecar gives an answer."""

    async def ask(_folder: Path) -> Lines:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        settings = Settings(
            http_endpoint=address, http_timeout=5.0, health_timeout=0, circuit_failures=0
        )
        async with Client(settings) as client:
            told = await raised(Exception, client.state("store").get("k", int))
        server.close()
        return told

    return ask


MORE.update({name: of_answer(answer) for name, answer in ANSWERS.items()})

# ---- handlers -----------------------------------------------------------------------------------


class UnspeakableError(Exception):
    """Has no text."""

    def __str__(self) -> str:
        raise ValueError("no text")


ERRORS: Mapping[str, BaseException] = {
    "FA-09 a handler raises": ValueError("it is wrong"),
    "FA-11 a handler ends the process": SystemExit(3),
    "FA-12 an exception without a text": UnspeakableError(),
}


def of_handler(error: BaseException) -> Scenario:
    """Return a scenario in which a handler raises."""

    async def deliver(_folder: Path) -> Lines:
        app = DaprFlow("shop")

        @app.topic("pubsub", "orders")
        async def on_order(total: int) -> None:
            raise error

        async with running(app) as call:
            with logged() as lines:
                await call.deliver(1)
        return lines

    return deliver


MORE.update({name: of_handler(error) for name, error in ERRORS.items()})


@fault("FA-15 an event that is none")
async def _(_folder: Path) -> Lines:
    app = DaprFlow("shop")

    @app.topic("pubsub", "orders", dead_letter="dead")
    async def on_order(total: int) -> None: ...

    async with running(app) as call:
        with logged() as lines:
            await call.post("/dapr/topics/pubsub/orders", b'{"id": 1')
    return lines


@fault("FA-24 an event by way of another app")
async def _(_folder: Path) -> Lines:
    app = DaprFlow("shop")

    @app.topic("pubsub", "orders")
    async def on_order(total: int) -> None: ...

    async with running(app) as call:
        with logged() as lines:
            pairs = (("dapr-caller-app-id", "other"),)
            await call.post("/dapr/topics/pubsub/orders", b"{}", pairs)
    return lines


@fault("FA-25 an actor that waits for itself")
async def _(_folder: Path) -> Lines:
    app = DaprFlow("shop")

    @app.actor
    class Loop(Actor[int]):
        """Calls itself."""

        def __init__(self, client: Client) -> None:
            self.client = client

        async def turn(self) -> None:
            """Wait for itself."""
            await self.client.actor(Loop, "one").turn()

    async with TestSidecar(app) as dapr:
        with logged():
            return await raised(DaprFlowError, dapr.client.actor(Loop, "one").turn())


@fault("FA-18 a request that outlives the end")
async def _(_folder: Path) -> Lines:
    entered, release = asyncio.Event(), asyncio.Event()

    async def stubborn(_scope: object, _receive: object, _send: object) -> None:
        entered.set()
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()

    async with _served(stubborn) as (server, port, lines):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        await entered.wait()
        writer.close()
        await server.stop(0.1)
        release.set()
        return lines


@contextlib.asynccontextmanager
async def _served(
    app: object, limits: Limits | None = None
) -> AsyncIterator[tuple[HttpServer, int, Lines]]:
    """Serve something over a socket; gives what is logged as well."""
    import logging

    from tests.faults.told import Capture

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server, handler = HttpServer(app, limits), Capture()  # type: ignore[arg-type]
    loggers = [logging.getLogger("daprflow"), logging.getLogger("uvicorn.error")]
    for logger in loggers:
        logger.addHandler(handler)
    await server.start(listener)
    try:
        yield server, port, handler.lines
    finally:
        await server.stop(0)
        for logger in loggers:
            logger.removeHandler(handler)


@fault("FA-39 more connections than there may be")
async def _(_folder: Path) -> Lines:
    async def app(_scope: object, _receive: object, _send: object) -> None: ...

    async with _served(app, Limits(connections=1)) as (_, port, lines):
        made = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        await eventually(lambda: bool(lines))
        for _, writer in made:
            writer.close()
        return lines


# ---- workflows ----------------------------------------------------------------------------------


@fault("FA-32 a workflow that reads the clock")
async def _(_folder: Path) -> Lines:
    import time

    app = DaprFlow("shop")

    @app.workflow
    async def late(ctx: WorkflowContext) -> float:
        return time.time()

    async with TestSidecar(app) as dapr:
        with logged():
            run = await dapr.start(late)
            return await raised(DaprFlowError, run.result())


# ---- databases ----------------------------------------------------------------------------------


async def writer_in(folder: Path) -> SqliteWriter:
    """Open a database with a table."""

    def prepare(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE t (x)")

    writer = SqliteWriter(folder / "x.db", prepare)
    await writer.open()
    return writer


@fault("FS-06 a full disk")
async def _(folder: Path) -> Lines:
    writer = await writer_in(folder)

    def fill(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA max_page_count = 3")
        connection.execute("INSERT INTO t VALUES (zeroblob(100000))")

    told = await raised(ComponentError, writer.run(fill))
    await writer.close()
    return told


@fault("FS-21 a value that somebody else has changed")
async def _(_folder: Path) -> Lines:
    async with TestSidecar(DaprFlow("shop")) as dapr:
        store = dapr.client.state("statestore")
        await store.set("key", 1)
        return await raised(DaprFlowError, store.set("key", 2, etag="no"))


@fault("FS-10 a database of a later release")
async def _(folder: Path) -> Lines:
    told: Lines = []
    for version in (2, 1):
        writer = SqliteWriter(folder / "x.db", versioned(7, version, ("CREATE TABLE t (x)",)))
        told = await raised(ComponentError, writer.open())
        await writer.close()
    return told


@fault("FS-08 a database of another program")
async def _(folder: Path) -> Lines:
    with contextlib.closing(sqlite3.connect(folder / "x.db")) as theirs:
        theirs.execute("CREATE TABLE theirs (x)")
    return await raised(
        ComponentError, SqliteWriter(folder / "x.db", versioned(7, 1, ("SELECT 1",))).open()
    )


# ---- the broker ---------------------------------------------------------------------------------


async def _of_broker(folder: Path, error: Exception) -> Lines:
    made = context(folder, VirtualClock(0.0), "pubsub.daprflow")
    broker, tried = DurablePubSub(replace(made, name="pubsub")), asyncio.Event()

    async def receive(_message: Message) -> None:
        tried.set()
        raise error

    await broker.open()
    with logged() as lines:
        stop = await broker.subscribe("orders", "shop", {}, receive)
        await broker.publish(Message("orders", b"1"))
        await tried.wait()
        await eventually(lambda: bool(lines))
        await stop()
    await broker.close()
    return lines


@fault("FA-13 an event that fails")
async def _(folder: Path) -> Lines:
    return await _of_broker(folder, Nack("the app answered 500"))


@fault("FS-13 an app that is away")
async def _(folder: Path) -> Lines:
    return await _of_broker(folder, Undelivered("the app does not accept connections on a:1"))


@fault("FS-24 events that nobody wants")
async def _(folder: Path) -> Lines:
    broker = DurablePubSub(
        replace(context(folder, VirtualClock(0.0), "pubsub.daprflow"), name="pubsub")
    )
    await broker.open()
    with logged() as lines:
        for number in range(102):
            await broker.publish(Message("orders", b"%d" % number))
    await broker.close()
    return lines


@fault("FS-32 more events than may be in memory")
async def _(_folder: Path) -> Lines:
    log = MemoryLog(limit=2_000_000)
    event = StoredEvent(1, bytes(3_000_000), None, "text/plain")
    return await raised(ComponentError, log.publish([event]))


# ---- the command --------------------------------------------------------------------------------


@fault("FC-11 a data folder that cannot be written")
async def _(folder: Path) -> Lines:
    (folder / "data").write_text("a file")

    async def prepare() -> None:
        DataFolder(folder / "data").prepare()

    return await raised(LaunchError, prepare())


APP = "from daprflow import DaprFlow\napp = DaprFlow('shop')\n"


def of_command(*words: str, wanted: str) -> Scenario:
    """Return a scenario of the command; of what it prints, the line with ``wanted`` in it."""

    async def run(folder: Path) -> Lines:
        (folder / "app.py").write_text(APP)
        code, said = await asyncio.to_thread(finish, folder, *words)
        assert code, said
        return [line.strip() for line in said.splitlines() if wanted in line]

    return run


ALONE = ("run", "--ephemeral", "--app-id", "shop")
MORE.update(
    {
        "FC-13 a command that is none": of_command(*ALONE, "--", "nowhere", wanted="nowhere"),
        "FC-03 an app that ends": of_command(
            *(*ALONE, "--app-port", "39871", "--", sys.executable, "-c", "raise SystemExit(3)"),
            wanted="3",
        ),
    }
)
