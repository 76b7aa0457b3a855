"""The app as a whole: its client, its life, its routers."""

import asyncio
import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette

import daprflow
from daprflow import Client, DaprFlow, Router, Topic
from daprflow.settings import Settings
from tests.helpers.app_calls import lifespan_messages, recording_client, running

orders = Topic("pubsub", "orders", str)


async def test_handlers_are_given_the_apps_client() -> None:
    """A client set before start-up is the one that is injected, and it is closed at the end."""
    app = DaprFlow("shop")
    client, transport = recording_client()
    app.client = client

    @app.cron("tick", "@daily")
    async def tick(*, client: Client) -> None:
        await client.publish(orders, "x")

    async with running(app) as call:
        assert (await call.post("/tick")).status == 200
    assert [request.target for request in transport.requests][-1] == "/v1.0/publish/pubsub/orders"
    assert transport.closed == 1
    assert app.client is client


async def test_a_function_may_have_several_decorators() -> None:
    """Whatever their order, each kind of handler is known by the function's own name."""
    app = DaprFlow("shop")
    got: list[str] = []

    @app.topic("pubsub", "b", match="event.type == 'b'")  # type: ignore[arg-type]  # see Endpoint
    @app.invoke
    @app.topic("pubsub", "a", match="event.type == 'a'")
    @app.binding("in")
    async def keep(text: str) -> None:
        got.append(text)

    async with running(app) as call:
        for path in ("/in", "/keep"):
            assert (await call.post(path, path.encode())).status == 200
        for topic in "ab":
            answer = await call.deliver(topic, path=f"pubsub/{topic}/keep")
            assert answer.verdict == "SUCCESS"
    assert got == ["/in", "/keep", "a", "b"]
    assert {row.handler for row in app.table()} == {"keep"}


@pytest.mark.row("FA-01")
async def test_start_up_does_not_wait_for_the_sidecar() -> None:
    """An app opens without one: the sidecar waits for the app's port, not the reverse."""
    app = DaprFlow("shop", settings=Settings(http_endpoint="http://127.0.0.1:9"))
    async with running(app) as call:
        answer = await call.get("/readyz")
        assert answer.status == 503
        assert [cause["part"] for cause in answer.json["causes"]] == ["sidecar"]
        assert (await call.get("/healthz")).status == 200


async def test_an_app_can_run_again() -> None:
    """After its lifespan it is as before, with a client of its own again."""
    opened: list[Client] = []
    app = DaprFlow("shop")

    @app.provide
    async def text(client: Client) -> AsyncIterator[str]:
        opened.append(client)
        yield "x"

    @app.invoke
    async def quote(*, text: str) -> str:
        return text

    early = app.client
    for _ in range(2):
        async with running(app) as call:
            assert app.client is opened[-1]
            assert (await call.post("/quote")).body == b"x"
        assert (await call.post("/quote")).status == 500
    assert opened[0] is early
    assert opened[1] is not early


async def test_an_app_cannot_run_twice_at_once() -> None:
    """Entering the lifespan again while it runs is refused."""
    app = DaprFlow("shop")
    async with app.lifespan():
        with pytest.raises(RuntimeError, match="running already"):
            async with app.lifespan():
                pytest.fail("it must not open")


async def test_an_app_cannot_start_twice_at_once() -> None:
    """A second start is refused while the first still opens; a start that failed is no bar."""
    app, opening, go_on = DaprFlow("shop"), asyncio.Event(), asyncio.Event()

    @app.provide
    async def slow() -> list[int]:
        opening.set()
        await go_on.wait()
        raise ValueError("not yet")

    async def start() -> None:
        async with app.lifespan():
            pytest.fail("it must not open")

    first = asyncio.create_task(start())
    await opening.wait()
    with pytest.raises(RuntimeError, match="running already"):
        await start()
    go_on.set()
    with pytest.raises(ValueError, match="not yet"):
        await first
    with pytest.raises(ValueError, match="not yet"):
        await start()


async def test_the_users_lifespan_is_inside_ours() -> None:
    """It starts when providers and client are there, and its state reaches requests."""
    log: list[bool] = []
    app: DaprFlow

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        log.append(isinstance(app.client, Client))
        yield
        log.append(False)

    app = DaprFlow("shop", lifespan=lifespan)
    assert await lifespan_messages(app) == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert log == [True, False]


async def test_a_definition_error_stops_the_start() -> None:
    """Freeze runs at lifespan start."""
    app = DaprFlow("shop")
    app.topic("pubsub", "orders")
    with pytest.raises(daprflow.AppDefinitionError):
        await lifespan_messages(app)


async def test_routers_are_included_with_what_they_declare_later() -> None:
    """A router of another module may be filled after it was included, and hold others."""
    app, outer, inner = DaprFlow("shop"), Router(), Router()
    app.include(outer)
    outer.include(inner)
    outer.include(outer)

    @inner.topic(orders)
    async def on_order(order: str) -> None: ...

    @outer.invoke
    async def quote() -> int:
        return 1

    with pytest.raises(RuntimeError, match="on a router that no app includes yet"):
        _ = quote.app_id
    async with running(app) as call:
        assert (await call.deliver("x")).status == 200
        assert (await call.post("/quote")).body == b"1"
    assert quote.app_id == "shop"


async def test_two_apps_can_include_one_router() -> None:
    """Each compiles the handlers for itself."""
    router = Router()

    @router.topic(orders)
    async def on_order(order: str) -> None: ...

    first, second = DaprFlow("first"), DaprFlow("second")
    first.include(router)
    second.include(router)
    for app in (first, second):
        async with running(app) as call:
            assert (await call.deliver("x")).status == 200


def test_a_handle_cannot_belong_to_two_apps() -> None:
    """A shared router's invoke handler would be called in the first app by users of the second."""
    router = Router()

    @router.invoke
    async def quote() -> int:
        return 1

    apps = [DaprFlow("first"), DaprFlow("first"), DaprFlow("second")]
    for app in apps:
        app.include(router)
    apps[0].freeze()
    apps[1].freeze()
    with pytest.raises(daprflow.AppDefinitionError) as caught:
        apps[2].freeze()
    [problem] = caught.value.problems
    assert problem.startswith(f"invoke handler 'quote' ({__name__}:")
    assert "is on a router that app 'first' includes, too" in problem
    assert quote.app_id == "first"


async def test_methods_partials_and_objects_can_handle() -> None:
    """Whatever can be called can be decorated."""
    seen: list[str] = []

    class Shop:
        async def method(self, order: str) -> None:
            seen.append(f"method {order}")

        async def __call__(self, order: str) -> None:
            seen.append(f"object {order}")

    async def function(kind: str, order: str) -> None:
        seen.append(f"{kind} {order}")

    app = DaprFlow("shop")
    app.topic("pubsub", "a")(Shop().method)
    app.topic("pubsub", "b")(Shop())
    app.topic("pubsub", "c")(functools.partial(function, "partial"))
    async with running(app) as call:
        for topic in "abc":
            assert (await call.deliver("x", f"pubsub/{topic}")).status == 200
    assert seen == ["method x", "object x", "partial x"]
    assert [row.handler for row in app.table()] == ["method", "Shop", "function"]


def test_the_public_names_are_sorted_and_there() -> None:
    """``__all__`` is in order, complete, and every name in it exists."""
    assert daprflow.__all__ == sorted(daprflow.__all__)
    assert all(hasattr(daprflow, name) for name in daprflow.__all__)
    public = {
        name
        for name, value in vars(daprflow).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("daprflow")
    }
    assert public <= set(daprflow.__all__)


def test_handles_are_values() -> None:
    """Two handles of one topic and type are equal, and print as they are written."""
    assert orders == Topic("pubsub", "orders", str)
    assert orders != Topic("pubsub", "orders", bytes)
    assert len({orders, Topic("pubsub", "orders", str)}) == 1
    assert repr(orders) == "Topic('pubsub', 'orders', str)"
