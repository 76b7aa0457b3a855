"""Living in another application: install, routes and wrap."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from daprflow import AppDefinitionError, DaprFlow
from tests.helpers.app_calls import Caller, lifespan_messages

BOTH = ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def shop(log: list[str] | None = None) -> DaprFlow:
    """An app that logs when it opens and closes."""
    app = DaprFlow("shop")

    @app.provide
    async def value() -> AsyncIterator[list[str]]:
        if log is not None:
            log.append("open app")
        yield []
        if log is not None:
            log.append("close app")

    @app.topic("pubsub", "orders")
    async def on_order(data: bytes) -> None: ...

    return app


async def catch_all(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"host {request.url.path}")


def logging_lifespan(log: list[str]) -> Any:
    """A host's lifespan that logs and yields state."""

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[dict[str, str]]:
        log.append("open host")
        yield {"name": "host"}
        log.append("close host")

    return lifespan


@pytest.mark.parametrize("kind", [Starlette, FastAPI])
async def test_install_puts_our_route_first(kind: type[Starlette]) -> None:
    """A catch-all of the host cannot hide Dapr's paths, and the host keeps its own."""
    log: list[str] = []
    app, host = shop(log), kind(lifespan=logging_lifespan(log))
    host.router.routes.append(Route("/{path:path}", catch_all))
    app.install(host)
    async with host.router.lifespan_context(host) as state:
        call = Caller(host)
        assert (await call.deliver("x")).verdict == "SUCCESS"
        assert (await call.get("/dapr/config")).json == {}
        assert (await call.get("/anything")).body == b"host /anything"
        assert state == {"name": "host"}
    assert log == ["open app", "open host", "close host", "close app"]


async def test_install_works_through_the_hosts_own_start_up() -> None:
    """The host's lifespan messages open and close this app."""
    log: list[str] = []
    app, host = shop(log), FastAPI()
    app.install(host)
    assert await lifespan_messages(host) == BOTH
    assert log == ["open app", "close app"]


async def test_what_another_library_told_the_sidecar_is_missed_aloud(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Topics and actors of another Dapr library in the host are hidden, and a warning says so."""
    app, host, included = shop(), FastAPI(), APIRouter()
    app.install(host)
    host.add_api_route("/dapr/subscribe", catch_all)
    included.add_api_route("/dapr/config", catch_all)
    host.include_router(included)
    host.include_router(included, prefix="/elsewhere")
    assert await lifespan_messages(host) == BOTH
    told = [each for each in app.warnings() if "hidden" in each]
    assert [each.split("'")[3] for each in told] == ["/dapr/subscribe", "/dapr/config"]
    assert all(each in caplog.text for each in told)


async def test_a_host_without_another_library_hides_nothing() -> None:
    """A catch-all, and routes of the host's own, are no reason to warn."""
    app, host = shop(), Starlette(routes=[Route("/{path:path}", catch_all)])
    app.install(host)
    assert [each for each in app.warnings() if "hidden" in each] == []


async def test_static_files_at_the_root_do_not_hide_dapr(tmp_path: Any) -> None:
    """A mount at ``/`` comes after our route."""
    app = shop()
    host = Starlette(routes=[Mount("/", StaticFiles(directory=tmp_path))])
    app.install(host)
    async with app.lifespan():
        assert (await Caller(host).get("/dapr/subscribe")).status == 200


async def test_dapr_routes_are_hidden_from_openapi() -> None:
    """The host's API page shows none of Dapr's paths."""
    app, host = shop(), FastAPI()
    app.install(host)

    @host.get("/orders")
    async def listed() -> list[str]:
        return []

    assert list(host.openapi()["paths"]) == ["/orders"]


async def test_the_hosts_middleware_is_around_our_routes() -> None:
    """Answers pass through it unharmed."""
    app, host = shop(), Starlette(middleware=[Middleware(GZipMiddleware, minimum_size=1)])
    app.install(host)
    async with app.lifespan():
        answer = await Caller(host).request(
            "GET", "/dapr/subscribe", headers=[("accept-encoding", "gzip")]
        )
    assert (answer.status, answer.headers["content-encoding"]) == (200, "gzip")


@pytest.mark.parametrize(
    "host",
    [APIRouter(prefix="/api"), Mount("/x", Starlette()), object(), DaprFlow("x")],
    ids=lambda host: type(host).__name__,
)
def test_only_a_root_application_can_be_a_host(host: Any) -> None:
    """A router with a prefix or a mount is refused with the reason and the alternative."""
    with pytest.raises(AppDefinitionError, match=r"at the root.*app\.wrap"):
        shop().install(host)


class Stamp:
    """Middleware that notes which requests pass through it."""

    def __init__(self, app: ASGIApp, passed: list[str], name: str) -> None:
        self.app = app
        self.passed = passed
        self.name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.passed.append(self.name)
        await self.app(scope, receive, send)


@pytest.mark.parametrize("how", ["install", "routes", "wrap"])
async def test_an_apps_own_middleware_stays_around_daprs_endpoints(how: str) -> None:
    """However an app is hosted, its middleware sees what its handlers see, inside the host's."""
    passed: list[str] = []
    own = [Middleware(Stamp, passed, "outer"), Middleware(Stamp, passed, "inner")]
    around = [Middleware(Stamp, passed, "host")]
    app = DaprFlow("shop", middleware=own)
    host: Any = FastAPI(middleware=around)
    if how == "install":
        app.install(host)
    elif how == "routes":
        host = Starlette(routes=app.routes, lifespan=app.lifespan, middleware=around)
    else:
        host = app.wrap(host)

    async with app.lifespan():
        await Caller(host).get("/nowhere")
        assert passed == ["host"]
        passed.clear()
        assert (await Caller(host).get("/dapr/subscribe")).status == 200

    assert passed == ["outer", "inner"] if how == "wrap" else ["host", "outer", "inner"]


async def test_an_apps_own_routes_and_lifespan_go_with_it() -> None:
    """A host serves the further routes, and the further lifespan is told of the host."""
    told: list[object] = []

    @asynccontextmanager
    async def lifespan(host: object) -> AsyncIterator[None]:
        told.append(host)
        yield

    app = DaprFlow("shop", routes=[Route("/own", lambda _: PlainTextResponse("own"))])
    other = DaprFlow("two", lifespan=lifespan)
    host = FastAPI()
    app.install(host)
    other.install(host)

    assert await lifespan_messages(host) == BOTH
    assert told == [host]
    assert (await Caller(host).get("/own")).body == b"own"


def test_a_wrapped_application_would_hide_an_apps_own_routes() -> None:
    """They are refused, with where the app was made and what to do."""
    app = DaprFlow("shop", routes=[Route("/own", lambda _: PlainTextResponse("own"))])

    with pytest.raises(AppDefinitionError, match=rf"\({__name__}:\d+\) has 'routes' of its own"):
        app.wrap(Starlette())


def test_installing_twice_is_refused() -> None:
    """The lifespan would run twice."""
    app, host = shop(), FastAPI()
    app.install(host)
    with pytest.raises(AppDefinitionError, match="already"):
        app.install(host)


async def test_routes_and_lifespan_can_be_passed_by_hand() -> None:
    """``Starlette(routes=[*app.routes], lifespan=app.lifespan)`` serves the app."""
    log: list[str] = []
    app = shop(log)
    site = Starlette(routes=[*app.routes, Route("/page", catch_all)], lifespan=app.lifespan)
    async with site.router.lifespan_context(site):
        assert (await Caller(site).deliver("x")).verdict == "SUCCESS"
        assert (await Caller(site).get("/page")).status == 200
    assert log == ["open app", "close app"]


async def test_two_apps_can_share_a_process() -> None:
    """Nothing is shared between two apps."""
    first, second = shop(), DaprFlow("other")

    @second.topic("pubsub", "other")
    async def on_other(data: bytes) -> None: ...

    async with first.lifespan(), second.lifespan():
        assert (await Caller(first).deliver("x")).status == 200
        assert (await Caller(first).deliver("x", "pubsub/other")).status == 500
        assert (await Caller(second).deliver("x", "pubsub/other")).status == 200
        assert (await Caller(second).deliver("x")).status == 500


async def test_wrap_passes_everything_else_on() -> None:
    """Dapr's paths are ours; other paths and websockets belong to the wrapped app."""
    seen: list[str] = []

    async def socket(websocket: WebSocket) -> None:
        seen.append(websocket.url.path)

    other = Starlette(routes=[Route("/page", catch_all), WebSocketRoute("/ws", socket)])
    app = shop()
    wrapped = app.wrap(other)
    async with app.lifespan():
        call = Caller(wrapped)
        assert (await call.deliver("x")).verdict == "SUCCESS"
        assert (await call.get("/healthz")).status == 200
        assert (await call.get("/page")).body == b"host /page"
        assert (await call.get("/other")).status == 404
        await wrapped(
            {"type": "websocket", "path": "/ws", "headers": [], "server": ("x", 1)}, _none, _ignore
        )
    assert seen == ["/ws"]
    assert wrapped.daprflow_app is app


async def test_wrap_nests_the_lifespans() -> None:
    """This app opens before the wrapped one and closes after it."""
    log: list[str] = []
    wrapped = shop(log).wrap(Starlette(lifespan=logging_lifespan(log)))
    assert await lifespan_messages(wrapped) == BOTH
    assert log == ["open app", "open host", "close host", "close app"]


async def raises_on_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """As Django answers a lifespan."""
    if scope["type"] != "http":
        raise ValueError("only HTTP")


async def returns_on_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """As a bare function that looks at nothing."""


async def raises_after_receiving(scope: Scope, receive: Receive, send: Send) -> None:
    """As an app that reads before it looks."""
    await receive()
    raise ValueError("only HTTP")


@pytest.mark.parametrize("other", [raises_on_lifespan, returns_on_lifespan, raises_after_receiving])
async def test_wrap_takes_apps_without_a_lifespan(other: Any) -> None:
    """An app that does not speak the lifespan protocol is left alone."""
    log: list[str] = []
    assert await lifespan_messages(shop(log).wrap(other)) == BOTH
    assert log == ["open app", "close app"]


async def test_a_wrapped_app_that_never_returns_is_cancelled() -> None:
    """After its shutdown is complete it has nothing left to do."""
    log: list[str] = []

    async def lingering(scope: Scope, receive: Receive, send: Send) -> None:
        for each in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{each}.complete"})
        try:
            await receive()
        finally:
            log.append("cancelled")

    assert await lifespan_messages(shop(log).wrap(lingering)) == BOTH
    assert log == ["open app", "cancelled", "close app"]


@pytest.mark.parametrize("phase", ["startup", "shutdown"])
async def test_a_wrapped_app_that_fails_is_heard(phase: str) -> None:
    """Its failure is ours, with its message, and this app is closed."""
    log: list[str] = []

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        for each in ("startup", "shutdown"):
            await receive()
            if each == phase:
                await send({"type": f"lifespan.{phase}.failed", "message": "no disk"})
                return
            await send({"type": f"lifespan.{each}.complete"})

    with pytest.raises(RuntimeError, match=f"the wrapped app's {phase} failed: no disk"):
        await lifespan_messages(shop(log).wrap(failing))
    assert log[0] == "open app"


async def _none() -> Any:
    return {"type": "websocket.connect"}


async def _ignore(_: Any) -> None: ...


async def startup_of(app: Any) -> dict[str, Any]:
    """Start an app through the lifespan protocol; the first message it sends."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    with contextlib.suppress(ValueError, AppDefinitionError):
        await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
    return sent[0]


@pytest.mark.parametrize("wrapped", [False, True])
async def test_a_wrong_definition_is_told_without_a_traceback(*, wrapped: bool) -> None:
    """Any server logs the list of problems, which need no stack to be understood."""
    app = DaprFlow("shop")

    @app.binding("in")
    async def on_in(value: object, more: int) -> None: ...

    message = await startup_of(app.wrap(returns_on_lifespan) if wrapped else app)
    assert message["type"] == "lifespan.startup.failed"
    assert message["message"].startswith("1 problem in the app's definition:\n- binding handler")


@pytest.mark.parametrize("variable", ["DAPRFLOW_CALLS_WAIT", "DAPRFLOW_DRAIN", "DAPRFLOW_METRICS"])
@pytest.mark.parametrize("wrapped", [False, True])
async def test_a_setting_that_cannot_be_used_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, variable: str, *, wrapped: bool
) -> None:
    """The line names the variable, whatever it is for."""
    monkeypatch.setenv(variable, "soon")
    app = DaprFlow("shop")
    message = await startup_of(app.wrap(returns_on_lifespan) if wrapped else app)
    assert message["type"] == "lifespan.startup.failed"
    assert message["message"].startswith(f"environment variable '{variable}' is 'soon'; it must be")


@pytest.mark.parametrize("wrapped", [False, True])
async def test_a_provider_that_fails_is_told_with_its_traceback(*, wrapped: bool) -> None:
    """What the user's own code raised, where, and for which provider."""
    app = DaprFlow("shop")

    @app.provide
    async def number() -> int:
        raise ValueError("no database")

    message = await startup_of(app.wrap(returns_on_lifespan) if wrapped else app)
    assert message["type"] == "lifespan.startup.failed"
    for part in ("in number", "ValueError: no database", "while opening provider 'number' ("):
        assert part in message["message"]
