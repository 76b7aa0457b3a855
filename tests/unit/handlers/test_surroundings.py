"""Interceptors and middleware of apps, routers and handlers: who is around whom."""

import re
from typing import Any

import pytest
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daprflow import (
    Actor,
    AppDefinitionError,
    DaprFlow,
    Delivery,
    Interceptor,
    Next,
    Outcome,
    Retry,
    Router,
)
from daprflow.middleware import RequestLimits
from daprflow.testing import TestSidecar
from tests.helpers.app_calls import running


class Noted:
    """Middleware that notes a request on its way in and the answer on its way out."""

    def __init__(self, app: ASGIApp, name: str, log: list[str]) -> None:
        self.app = app
        self.name = name
        self.log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        self.log.append(f"> {self.name}")

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.log.append(f"< {self.name}")
            await send(message)

        await self.app(scope, receive, noted)


def named(name: str, log: list[str]) -> Interceptor:
    """An interceptor that notes a delivery on its way in and the outcome on its way out."""

    async def interceptor(delivery: Delivery, call: Next) -> Outcome:
        log.append(f"> {name}")
        outcome = await call(delivery)
        log.append(f"< {name}")
        return outcome

    return interceptor


def layered(log: list[str]) -> DaprFlow:
    """An app with a router in a router, each with an interceptor and a middleware."""
    app = DaprFlow(
        "shop",
        interceptors=[named("app", log)],
        middleware=[Middleware(Noted, "app's middleware", log)],
    )
    outer = Router(
        interceptors=[named("outer", log)], middleware=[Middleware(Noted, "outer's", log)]
    )
    inner = Router(
        interceptors=[named("inner", log)], middleware=[Middleware(Noted, "inner's", log)]
    )
    outer.include(inner)
    app.include(outer)

    @inner.invoke(
        interceptors=[named("first", log), named("second", log)],
        middleware=[Middleware(Noted, "handler's", log)],
    )
    async def quote() -> int:
        log.append("handler")
        return 1

    @inner.topic("pubsub", "orders", interceptors=[named("topic", log)])
    async def on_order(data: bytes) -> None:
        log.append("handler")

    @outer.binding("sms", interceptors=[named("binding", log)])
    async def on_sms() -> None:
        log.append("handler")

    @app.invoke
    async def total() -> int:
        log.append("handler")
        return 1

    return app


def mirrored(*names: str) -> list[str]:
    """The way in and the way out through these."""
    return [f"> {each}" for each in names] + ["handler"] + [f"< {each}" for each in names[::-1]]


async def test_the_app_is_outermost_then_routers_then_the_handler() -> None:
    """On the way in; on the way out it is the other way round. Middleware is outside all of it."""
    log: list[str] = []
    async with running(layered(log)) as call:
        await call.post("/quote")
        assert log == mirrored(
            "app's middleware", "outer's", "inner's", "handler's",
            "app", "outer", "inner", "first", "second",
        )  # fmt: skip
        log.clear()
        await call.deliver("x")
        middleware = ("app's middleware", "outer's", "inner's")
        assert log == mirrored(*middleware, "app", "outer", "inner", "topic")
        log.clear()
        await call.post("/sms", b"1")
        assert log == mirrored("app's middleware", "outer's", "app", "outer", "binding")
        log.clear()
        await call.post("/total")
        assert log == mirrored("app's middleware", "app")


async def test_every_kind_of_handler_takes_interceptors() -> None:
    """Jobs, crons and activities have them like the rest."""
    log: list[str] = []
    app = DaprFlow("shop")

    @app.job("report", interceptors=[named("job", log)])
    async def report() -> None: ...

    @app.cron("sweep", "@every 1m", interceptors=[named("cron", log)])
    async def sweep() -> None: ...

    @app.activity(interceptors=[named("activity", log)])
    async def charge(total: int) -> int:
        return total

    async with running(app) as call:
        await call.post("/job/report", b"{}")
        await call.post("/sweep")
        activity = app.work().activities["charge"]
        await activity.call(Delivery("activity", "charge", b"1"))
    assert log == ["> job", "< job", "> cron", "< cron", "> activity", "< activity"]


async def test_actors_and_items_pass_their_interceptors() -> None:
    """Both come without a path of their own; in the order of all others."""
    log: list[str] = []
    app, router = DaprFlow("shop"), Router(interceptors=[named("router", log)])
    app.include(router)

    @router.actor(interceptors=[named("actor", log)])
    class Counter(Actor[list[int]]):
        async def add(self) -> None:
            log.append("handler")

    @router.configuration("settings", "limit", interceptors=[named("item", log)])
    async def on_limit(item: str) -> None:
        log.append("handler")

    async with TestSidecar(app, configuration={"settings": {"limit": "1"}}) as dapr:
        assert log == mirrored("router", "item")
        log.clear()
        await dapr.client.actor(Counter, "1").add()
        assert log == mirrored("router", "actor")


async def raises_retry(delivery: Delivery, call: Next) -> Outcome:
    raise Retry


async def raises(delivery: Delivery, call: Next) -> Outcome:
    await call(delivery)
    raise ValueError


async def test_an_interceptor_that_raises_is_named_with_its_place(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever is around it; the handler's verdicts hold for it."""
    log: list[str] = []
    app = DaprFlow("shop", interceptors=[named("outer", log)])

    @app.topic("pubsub", "orders", interceptors=[raises, named("inner", log)])
    async def on_order(data: bytes) -> None: ...

    @app.topic("pubsub", "others", interceptors=[raises_retry])
    async def on_other(data: bytes) -> None: ...

    async with running(app) as call:
        assert (await call.deliver("x")).status == 500
        assert (await call.deliver("x", "pubsub/others")).verdict == "RETRY"
    line = raises.__code__.co_firstlineno
    assert f"interceptor 'raises' ({__name__}:{line}) of topic handler 'on_order'" in caplog.text


async def test_a_router_without_anything_costs_nothing() -> None:
    """A handler around which nothing stands is what it was."""
    app, router = DaprFlow("shop"), Router()
    app.include(router)

    @router.topic("pubsub", "orders")
    async def on_order(data: bytes) -> None: ...

    bare = DaprFlow("shop")
    bare.topic("pubsub", "orders")(on_order)
    (inside,), (alone,) = (each._frozen().routes for each in (app, bare))
    assert inside.handler.call.__qualname__ == alone.handler.call.__qualname__
    assert inside.middleware == ()


def wrong(problem: str, router: Router) -> str:
    """Freeze an app with ``router`` and return its one problem, which matches."""
    app = DaprFlow("shop")
    app.include(router)
    with pytest.raises(AppDefinitionError) as caught:
        app.freeze()
    (found,) = caught.value.problems
    assert re.search(problem, found), found
    return found


def takes_too_little(delivery: Delivery) -> None: ...


TOO_LITTLE: Any = takes_too_little


def test_a_wrong_interceptor_is_found_at_freeze() -> None:
    """On routers and handlers as on the app, with its place and theirs."""
    router = Router(interceptors=[TOO_LITTLE])
    found = wrong("interceptor 'takes_too_little'.* of the router", router)
    assert f"{__name__}:{takes_too_little.__code__.co_firstlineno}" in found
    router = Router()

    @router.topic("pubsub", "orders", interceptors=[TOO_LITTLE])
    async def on_order(data: bytes) -> None: ...

    wrong("interceptor 'takes_too_little'.* of topic handler 'on_order'", router)
    router = Router(interceptors=TOO_LITTLE)
    wrong("'interceptors' of the router .* is of type 'function'; give it a list", router)


def test_wrong_middleware_is_found_at_freeze() -> None:
    """A class without ``Middleware``, an argument that is missing, and a limit that is none."""
    untyped: Any = Noted
    given: list[tuple[Any, str]] = [
        (Noted, "middleware 'Noted' of the router .* is not wrapped"),
        (Middleware(untyped), "cannot be made so: missing a required argument: 'name'"),
        (Middleware(RequestLimits, timeout=0), "cannot be made so: timeout=0 is no limit"),
    ]
    for middleware, problem in given:
        found = wrong(problem, Router(middleware=[middleware]))
        assert f"({__name__}:" in found


def test_wrong_middleware_of_the_app_is_found_at_freeze() -> None:
    """Before the first request meets it."""
    app = DaprFlow("shop", middleware=[Middleware(RequestLimits, max_body=0)])
    with pytest.raises(AppDefinitionError, match=r"'RequestLimits'.*max_body=0 is no limit"):
        app.freeze()
