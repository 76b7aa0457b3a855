"""Dependency injection: what is made when, in which order, and undone how."""

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, NewType

import pytest
from starlette.requests import Request

from daprflow import AppDefinitionError, Client, DaprFlow, Delivery, Router
from tests.helpers.app_calls import running

Dsn = NewType("Dsn", str)


class Database:
    def __init__(self, dsn: str = "") -> None:
        self.dsn = dsn


class Session:
    def __init__(self, database: Database | None = None) -> None:
        self.database = database


class Cache: ...


async def test_app_scoped_values_are_made_in_order_and_closed_in_reverse() -> None:
    """A provider opens after what it needs, whatever the order of declaration."""
    log: list[str] = []
    app = DaprFlow("shop")

    @app.provide
    async def session(database: Database) -> AsyncIterator[Session]:
        log.append("open session")
        yield Session(database)
        log.append("close session")

    @app.provide
    async def database(dsn: Dsn) -> AsyncIterator[Database]:
        log.append("open database")
        yield Database(dsn)
        log.append("close database")

    @app.provide
    def dsn() -> Dsn:
        log.append("dsn")
        return Dsn("x")

    @app.invoke
    async def read(*, session: Session, again: Session) -> str:
        assert session is again
        assert session.database is not None
        return session.database.dsn

    async with running(app) as call:
        assert (await call.post("/read")).body == b"x"
        assert (await call.post("/read")).body == b"x"
    assert log == ["dsn", "open database", "open session", "close session", "close database"]


async def test_call_scoped_values_are_made_for_each_delivery() -> None:
    """A new value for every call, shared within it, closed before the answer."""
    log: list[str] = []
    app = DaprFlow("shop")

    @app.provide
    async def database() -> Database:
        return Database("x")

    @app.provide(scope="call")
    async def session(database: Database, delivery: Delivery) -> AsyncIterator[Session]:
        log.append(f"open {delivery.name}")
        yield Session(database)
        log.append("close")

    @app.provide(scope="call")
    def cache(session: Session) -> Cache:
        log.append("cache")
        found = Cache()
        found.session = session  # type: ignore[attr-defined]  # to compare below
        return found

    @app.invoke
    async def read(*, cache: Cache, session: Session) -> bool:
        return cache.session is session  # type: ignore[attr-defined]  # set above

    async with running(app) as call:
        for _ in range(2):
            assert (await call.post("/read")).body == b"true"
    assert log == ["open read", "cache", "close"] * 2


@pytest.mark.parametrize("swallow", [False, True])
async def test_a_call_scoped_provider_sees_the_failure(swallow: bool) -> None:  # noqa: FBT001 - a parameter
    """It can roll back; even when it swallows the error, the delivery has failed."""
    seen: list[str] = []
    app = DaprFlow("shop")

    @app.provide(scope="call")
    async def session() -> AsyncIterator[Session]:
        try:
            yield Session()
        except ValueError as error:
            seen.append(str(error))
            if not swallow:
                raise

    @app.topic("pubsub", "orders")
    async def on_order(*, session: Session) -> None:
        raise ValueError("boom")

    async with running(app) as call:
        assert (await call.deliver(1)).status == 500
    assert seen == ["boom"]


async def test_a_sync_generator_opens_and_closes_in_threads() -> None:
    """Plain generators never run on the event loop, and see failures, too."""
    threads: list[int] = []
    app = DaprFlow("shop")

    @app.provide(scope="call")
    def session() -> Iterator[Session]:
        threads.append(threading.get_ident())
        try:
            yield Session()
        finally:
            threads.append(threading.get_ident())

    @app.invoke
    async def read(*, session: Session) -> int:
        raise ValueError

    async with running(app) as call:
        assert (await call.post("/read")).status == 500
    assert len(threads) == 2
    assert threading.get_ident() not in threads


async def test_a_call_cancelled_while_it_opens_leaves_nothing_open() -> None:
    """What a thread opens after the call was cancelled is closed before the call ends."""
    app, log = DaprFlow("shop"), list[str]()
    opening, go_on = threading.Event(), threading.Event()

    @app.provide(scope="call")
    def connection() -> Iterator[Session]:
        opening.set()
        go_on.wait(10)
        try:
            yield Session()
        finally:
            log.append("closed")

    @app.invoke
    async def quote(*, connection: Session) -> None:
        log.append("called")

    async with running(app) as call:
        request = asyncio.create_task(call.post("/quote"))
        await asyncio.to_thread(opening.wait, 10)
        request.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await request
        assert log == ["closed"]


async def test_a_class_can_be_a_provider() -> None:
    """A class is made from what its constructor asks for."""
    app = DaprFlow("shop")
    app.provide(Settings)

    @app.invoke
    async def read(*, settings: Settings) -> bool:
        return settings.client is app.client

    async with running(app) as call:
        assert (await call.post("/read")).body == b"true"


class Settings:
    def __init__(self, client: Client) -> None:
        self.client = client


async def test_annotated_types_are_seen_through() -> None:
    """``Annotated`` says nothing about what is injected, on either side."""
    app = DaprFlow("shop")

    @app.provide
    async def cache() -> Annotated[Cache, "made"]:
        return Cache()

    @app.invoke
    async def read(*, cache: Annotated[Cache, "asked"]) -> bool:
        return isinstance(cache, Cache)

    async with running(app) as call:
        assert (await call.post("/read")).body == b"true"


async def test_request_and_delivery_are_injected() -> None:
    """A handler may ask for the delivery and for Starlette's request."""
    app = DaprFlow("shop")

    @app.invoke
    def read(body: bytes, *, request: Request, delivery: Delivery) -> str:
        assert delivery.body == body
        assert ("x-a", "é") in delivery.headers
        return f"{delivery.kind} {delivery.name} {request.headers['x-b']}"

    async with running(app) as call:
        answer = await call.post("/read", b"x", [("x-a", "é"), ("x-b", "1")])
    assert answer.body == b"invoke read 1"


async def test_a_parameter_with_a_default_may_stay_unprovided() -> None:
    """Nothing is injected for a type that nobody makes when there is a default."""
    app = DaprFlow("shop")

    @app.invoke
    async def read(*, factor: int = 3, client: Client | None = None) -> int:
        return factor

    async with running(app) as call:
        assert (await call.post("/read")).body == b"3"


async def test_a_router_brings_its_providers() -> None:
    """Providers of an included router serve the whole app."""
    app, router = DaprFlow("shop"), Router()
    app.include(router)

    @router.provide
    async def cache() -> Cache:
        return Cache()

    @app.invoke
    async def read(*, cache: Cache) -> bool:
        return isinstance(cache, Cache)

    async with running(app) as call:
        assert (await call.post("/read")).body == b"true"


async def test_a_provider_that_fails_stops_the_start() -> None:
    """What was opened before is closed again, and the error says which provider it was."""
    log: list[str] = []
    app = DaprFlow("shop")

    @app.provide
    async def database() -> AsyncIterator[Database]:
        try:
            yield Database()
        finally:
            log.append("closed")

    @app.provide
    async def session(database: Database) -> Session:
        raise OSError("no route")

    with pytest.raises(OSError, match="no route") as caught:
        async with app.lifespan():
            pytest.fail("it must not start")
    assert "provider 'session'" in caught.value.__notes__[0]
    assert log == ["closed"]


def problem(declare: Callable[[DaprFlow], object]) -> str:
    """The single definition error of what ``declare`` adds to an app."""
    app = DaprFlow("shop")
    declare(app)
    with pytest.raises(AppDefinitionError) as caught:
        app.freeze()
    [text] = caught.value.problems
    assert __name__ in text
    return text


def test_an_unknown_injection_lists_what_there_is() -> None:
    """The message names parameter, type and everything available."""

    def declare(app: DaprFlow) -> None:
        @app.provide
        async def database() -> Database:
            return Database()

        @app.invoke
        async def read(*, cache: Cache, dsn: Dsn) -> None: ...

    text = problem(declare)
    assert "'cache: Cache'" in text
    assert "available: Client, Request, Delivery, Database (provider 'database')" in text


def test_two_providers_of_one_type_are_refused() -> None:
    """Injection by type needs one maker for each."""

    def declare(app: DaprFlow) -> None:
        @app.provide
        async def one() -> Database:
            return Database()

        @app.provide
        def two() -> Database:
            return Database()

    assert "and so does provider 'one'" in problem(declare)


def test_cyclic_providers_are_refused() -> None:
    """The ring is written out."""

    def declare(app: DaprFlow) -> None:
        @app.provide
        async def one(session: Session) -> Database:
            return Database()

        @app.provide
        async def two(database: Database) -> Session:
            return Session()

    assert "needs itself: 'one' → 'two' → 'one'" in problem(declare)


def test_an_app_scoped_provider_cannot_need_a_call() -> None:
    """What lives as long as the app cannot depend on one delivery."""

    def declare(app: DaprFlow) -> None:
        @app.provide(scope="call")
        async def session() -> Session:
            return Session()

        @app.provide
        async def cache(session: Session, request: Request) -> Cache:
            return Cache()

    text = problem(declare)
    assert "'session: Session', 'request: Request'" in text
    assert text.endswith("which exists for a call alone: set scope='call' here, too")


def test_every_reason_is_told_at_once() -> None:
    """What nothing makes, and what comes too late, in one line."""

    def declare(app: DaprFlow) -> None:
        @app.provide
        async def cache(session: Session, request: Request) -> Cache:
            return Cache()

    text = problem(declare)
    assert "'session: Session', which nothing provides; available: Client, Cache" in text
    assert "; and asks for 'request: Request', which exists for a call alone" in text


async def test_what_may_be_none_is_still_found() -> None:
    """``Client | None = None`` asks for a client; the default is for what nothing makes."""
    app = DaprFlow("shop")
    got: list[object] = []

    @app.provide
    async def database() -> Database:
        return Database()

    @app.invoke
    async def quote(
        *, database: Database | None, client: Client | None = None, cache: Cache | None = None
    ) -> None:
        got.extend((database, client, cache))

    async with running(app) as call:
        assert (await call.post("/quote")).status == 200
    assert [type(each).__name__ for each in got] == ["Database", "Client", "NoneType"]


def test_a_provider_that_makes_nothing_is_refused() -> None:
    """``-> None`` is an annotation, only not one that anybody could ask for."""

    def declare(app: DaprFlow) -> None:
        @app.provide
        async def make() -> None: ...

    assert "makes nothing; write the type of what it makes" in problem(declare)


def test_a_provider_must_say_what_it_makes() -> None:
    """No annotation and a generator of nothing in particular are refused."""

    def unannotated(app: DaprFlow) -> None:
        @app.provide
        async def make(client: Client):  # type: ignore[no-untyped-def]  # noqa: ANN202 - the point
            return 1

    def bare(app: DaprFlow) -> None:
        @app.provide
        async def make() -> AsyncIterator:  # type: ignore[type-arg]  # the point
            yield 1

    assert "no return annotation" in problem(unannotated)
    assert "AsyncIterator[...]" in problem(bare)


def test_a_provider_that_cannot_be_used_is_refused() -> None:
    """A type that is there already, variadic parameters and an unknown scope are refused."""

    def known(app: DaprFlow) -> None:
        @app.provide
        def make() -> Client:
            return Client()

    def variadic(app: DaprFlow) -> None:
        @app.provide
        def make(*clients: Client) -> Cache:
            return Cache()

    def scope(app: DaprFlow) -> None:
        @app.provide(scope="request")  # type: ignore[call-overload, untyped-decorator]  # the point
        def make() -> Cache:
            return Cache()

    assert "provided already" in problem(known)
    assert "'*clients: " in problem(variadic)
    assert "scope='request'" in problem(scope)


def test_a_provider_is_still_the_function() -> None:
    """Both forms of the decorator return the function itself."""
    app = DaprFlow("shop")

    async def one() -> Database:
        return Database()

    def two() -> Session:
        return Session()

    assert app.provide(one) is one
    assert app.provide(scope="call")(two) is two


@pytest.mark.row("FA-19")
async def test_context_variables_reach_threads() -> None:
    """A plain handler sees what the caller's context holds."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    app = DaprFlow("shop")

    @app.invoke
    def read() -> str:
        return variable.get()

    async with running(app) as call:
        variable.set("seen")
        assert (await call.post("/read")).body == b"seen"
