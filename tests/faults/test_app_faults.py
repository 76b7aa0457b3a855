"""Faults of an app in production (FA- rows) that have no test beside the part itself."""

import ast
import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import daprflow
from daprflow import DaprFlow
from daprflow.transports.server import HttpServer
from tests.helpers.app_calls import running
from tests.helpers.timing import eventually


@contextlib.asynccontextmanager
async def served(app: DaprFlow, grace: float = 1.0) -> AsyncIterator[int]:
    """Serve an app over a socket; gives the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(app, lifespan=True)
    await server.start(listener)
    try:
        yield listener.getsockname()[1]
    finally:
        await server.stop(grace)


async def leave(port: int, path: str, entered: asyncio.Event) -> None:
    """Post to ``path``, and go away once the handler has begun."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST %s HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n" % path.encode()
    )
    await entered.wait()
    writer.close()
    await writer.wait_closed()


@pytest.mark.row("FA-17")
async def test_a_handler_whose_caller_left_ends_its_work() -> None:
    """What is no actor's turn goes on to its end, and what it was given is closed."""
    app, entered, may, ended = DaprFlow("shop"), asyncio.Event(), asyncio.Event(), asyncio.Event()
    closed: list[str] = []

    class Db:
        pass

    @app.provide(scope="call")
    async def db() -> AsyncIterator[Db]:
        try:
            yield Db()
        finally:
            closed.append("db")

    @app.invoke
    async def work(*, db: Db) -> None:
        entered.set()
        await may.wait()
        ended.set()

    async with served(app) as port:
        await leave(port, "/work", entered)
        may.set()
        await asyncio.wait_for(ended.wait(), 10)
        await eventually(lambda: bool(closed))


@pytest.mark.row("FA-18")
async def test_a_handler_that_swallows_its_cancellation(caplog: pytest.LogCaptureFixture) -> None:
    """It holds the end of an app no longer than the grace period, and one line says so."""
    app, entered, release = DaprFlow("shop"), asyncio.Event(), asyncio.Event()

    @app.invoke
    async def stubborn() -> None:
        entered.set()
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()

    async with asyncio.timeout(20), served(app, 0.1) as port:
        await leave(port, "/stubborn", entered)
        caplog.set_level(logging.WARNING)
        caplog.clear()
    release.set()
    assert [record.getMessage() for record in caplog.records] == [
        "1 request(s) outlived the grace period and were cancelled; a longer one lets them end"
    ]


@pytest.mark.row("FA-40")
@pytest.mark.parametrize("error", [ConnectionRefusedError, TimeoutError, OSError])
async def test_what_a_handler_needs_is_away(error: type[Exception]) -> None:
    """The event is refused so that it comes again, the others are handled meanwhile."""
    app, away = DaprFlow("shop"), [True]

    class Db:
        pass

    @app.provide(scope="call")
    async def db() -> Db:
        if away[0]:
            raise error("the database is away")
        return Db()

    @app.topic("pubsub", "orders")
    async def on_order(data: int, *, db: Db) -> None: ...

    @app.topic("pubsub", "others")
    async def on_other(data: int) -> None: ...

    async with running(app) as call:
        assert (await call.deliver(1)).status == 500
        assert (await call.deliver(1, "pubsub/others")).verdict == "SUCCESS"
        away[0] = False
        assert (await call.deliver(1)).verdict == "SUCCESS"


WALL_CLOCK = {
    "daprflow/actors/hosting.py": "an actor's parts expire by the moments that a store tells",
    "daprflow/client/opening.py": "a workflow may begin at a moment of the wall clock",
    "daprflow/client/circuit.py": "it tells since when the sidecar is away",
}
"""Who on the app's side may ask for the time of day, and why."""


@pytest.mark.row("FA-42")
def test_deadlines_know_no_time_of_day() -> None:
    """On the app's side a jump of the wall clock moves no deadline: none is measured by it."""
    root = Path(daprflow.__file__).parent
    sides = ("actors", "client", "handlers", "transports", "workflows")
    asking = {
        path.relative_to(root.parent).as_posix()
        for side in sides
        for path in (root / side).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and ast.unparse(node) in {"time.time", "datetime.now", "datetime.utcnow", "time.time_ns"}
    }
    assert asking == WALL_CLOCK.keys()


@pytest.mark.row("FA-46", "FA-45")
async def test_documents_are_the_same_from_start_to_end() -> None:
    """What a sidecar reads once is there as soon as the app is, and says the same each time."""
    app = DaprFlow("shop")

    @app.topic("pubsub", "orders")
    async def on_order(data: int) -> None:
        raise ValueError

    async with running(app) as call:
        first = [await call.get(path) for path in ("/dapr/config", "/dapr/subscribe")]
        await call.deliver(1)
        later = [await call.get(path) for path in ("/dapr/config", "/dapr/subscribe")]
    assert [answer.status for answer in first] == [200, 200]
    assert [answer.body for answer in first] == [answer.body for answer in later]
