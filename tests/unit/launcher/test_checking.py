"""``daprflow check``: which probes are sent, and who stops them."""

from pathlib import Path

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from daprflow import DaprFlow, Router
from daprflow.launcher.checking import blocked, probes
from daprflow.launcher.child import freeze
from daprflow.launcher.target import Loaded
from daprflow.middleware import ApiToken, ErrorHandling


class Order(msgspec.Struct):
    id: str


class AuthMiddleware:
    """Lets nobody in."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b"who are you?"})


def service(*middleware: type[AuthMiddleware]) -> DaprFlow:
    """An app with one handler of every kind."""
    app = DaprFlow("shop", middleware=[Middleware(each) for each in middleware])

    async def handle(order: Order) -> None: ...

    app.topic("pubsub", "orders")(handle)
    app.topic("pubsub", "orders", match="event.type == 'vip'")(handle)
    app.binding("in")(handle)
    app.invoke(handle)
    return app


async def problems(asgi: ASGIApp, app: DaprFlow) -> list[str]:
    """What ``daprflow check`` finds in the way of an app."""
    loaded = Loaded(asgi, app, Path())
    return await blocked(loaded, freeze(loaded), "token")


@pytest.mark.parametrize(
    ("topics", "binding"),
    [
        (("orders",), "in"),
        (("a/b", "c%2Fd", "e f", "100%25", "ü"), "mail in"),
        (("a/b", "a"), "100%"),
    ],
)
async def test_probes_call_what_a_sidecar_calls(topics: tuple[str, ...], binding: str) -> None:
    """Names with slashes, blanks and percent signs are found, as a sidecar would find them."""
    app = DaprFlow("shop")

    async def handle(order: Order) -> None: ...

    for topic in topics:
        app.topic("pubsub", topic)(handle)
        app.topic("pubsub/a", topic)(handle)
    app.binding(binding)(handle)
    assert await problems(app, app) == []


async def test_every_path_has_its_probe() -> None:
    """Health, configuration, subscriptions, discovery and deliveries are all tried."""
    app = service()
    sent = [
        (probe.request.method, probe.request.target)
        for probe in probes(freeze(Loaded(app, app, Path())))
    ]
    assert sent == [
        ("GET", "/healthz"),
        ("GET", "/dapr/config"),
        ("GET", "/dapr/subscribe"),
        ("POST", "/dapr/topics/pubsub/orders"),
        ("POST", "/dapr/topics/pubsub/orders/handle"),
        ("OPTIONS", "/in"),
        ("POST", "/in"),
        ("POST", "/handle"),
    ]


async def test_middleware_made_of_a_function_is_named_by_it() -> None:
    """``@api.middleware("http")`` and its like: the function says more than Starlette's class."""

    async def no_subscriptions(request: Request, call_next: RequestResponseEndpoint) -> Response:
        if request.url.path == "/dapr/subscribe":
            return Response(status_code=403)
        return await call_next(request)

    guest = service()
    host = Starlette(middleware=[Middleware(BaseHTTPMiddleware, dispatch=no_subscriptions)])
    guest.install(host)
    [found] = await problems(host, guest)
    assert found.startswith("GET /dapr/subscribe (the app's subscriptions) is stopped by")
    assert found.endswith("middleware 'no_subscriptions': it answers 403")


async def test_the_middleware_in_the_way_is_named() -> None:
    """Be it the app's own, that of the host it is installed into, or wrapped around by hand."""
    own = service(AuthMiddleware)
    guest, host = service(), Starlette(middleware=[Middleware(AuthMiddleware)])
    guest.install(host)
    bare = service()
    for found in (
        await problems(own, own),
        await problems(host, guest),
        await problems(AuthMiddleware(bare), bare),
    ):
        assert len(found) == 8
        assert found[2] == (
            "GET /dapr/subscribe (the app's subscriptions) is stopped by "
            "middleware 'AuthMiddleware': it answers 401"
        )


async def test_paths_are_probed_with_their_verbs() -> None:
    """A handler of a verb and a path is asked with that verb, and found."""
    app = DaprFlow("shop")

    @app.invoke("GET", "/orders/{number}")
    async def get(*, number: str) -> str:
        return number

    @app.invoke("DELETE", "/orders/{number}")
    async def delete(*, number: str) -> None: ...

    loaded = Loaded(app, app, Path())
    asked = [each.request for each in probes(freeze(loaded))][3:]
    assert [(each.method, each.body) for each in asked] == [("GET", b""), ("DELETE", b"{}")]
    assert await problems(app, app) == []


async def test_a_method_may_ask_who_calls() -> None:
    """A challenge is an answer to a caller; a sidecar's own deliveries meet none."""
    app, router = DaprFlow("shop"), Router(middleware=[Middleware(ApiToken, tokens=["t"])])
    app.include(router)

    @router.invoke
    async def quote() -> int:
        return 1

    assert await problems(app, app) == []

    @router_of(app := DaprFlow("shop")).binding("sms")
    async def on_sms() -> None: ...

    (found,) = await problems(app, app)
    assert found.startswith("POST /sms (deliveries to binding 'sms') is stopped by")


def router_of(app: DaprFlow) -> Router:
    """A router of an app whose requests need a token."""
    router = Router(middleware=[Middleware(ApiToken, tokens=["t"])])
    app.include(router)
    return router


async def test_a_problem_is_seen_through() -> None:
    """Whatever middleware writes in the place of the answer, it came from the handler's path."""
    app = DaprFlow("shop", middleware=[Middleware(ErrorHandling)])

    @app.invoke
    async def quote() -> int:
        return 1

    assert await problems(app, app) == []
