"""The routes of an app: what is ours, who may call it, and how much it reads."""

from collections.abc import Sequence
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, NoMatchFound, Route

from daprflow import BindingEvent, DaprFlow
from daprflow.settings import Settings
from tests.helpers.app_calls import Caller, event, recording_client, running

TOPIC = "/dapr/topics/pubsub/orders"
DAPR_OWNED = [
    ("GET", "/dapr/config"),
    ("GET", "/dapr/subscribe"),
    ("POST", TOPIC),
    ("POST", "/in"),
    ("OPTIONS", "/in"),
    ("POST", "/tick"),
    ("OPTIONS", "/tick"),
    ("POST", "/quote"),
]
PROBES = [("GET", "/healthz"), ("HEAD", "/healthz"), ("GET", "/readyz"), ("HEAD", "/readyz")]


def shop(**options: Any) -> DaprFlow:
    """An app with one handler of each kind and a route of its own."""

    async def page(_: Request) -> PlainTextResponse:
        return PlainTextResponse("page")

    app = DaprFlow("shop", routes=[Route("/page", page)], **options)
    app.client, _ = recording_client()

    @app.topic("pubsub", "orders")
    async def on_order(data: bytes) -> None: ...

    @app.binding("in")
    async def on_in(event: BindingEvent[bytes]) -> None: ...

    @app.cron("tick", "@daily")
    async def tick() -> None: ...

    @app.invoke
    async def quote(data: bytes) -> int:
        return len(data)

    return app


@pytest.fixture(params=[(), (Middleware(GZipMiddleware),)], ids=["direct", "middleware"])
def middleware(request: pytest.FixtureRequest) -> Sequence[Middleware]:
    """With middleware the route stands in Starlette; without, it is answered before."""
    found: Sequence[Middleware] = request.param
    return found


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        *((method, path, 200) for method, path in DAPR_OWNED),
        *((method, path, 200) for method, path in PROBES),
        ("GET", "/page", 200),
        ("GET", "/dapr/nothing", 500),
        ("POST", "/dapr/topics/pubsub/nothing", 500),
        ("GET", TOPIC, 500),
        ("OPTIONS", "/dapr/topics/pubsub/orders", 500),
        ("POST", "/dapr/config", 500),
        ("GET", "/configuration/settings/limits", 500),
        ("POST", "/configuration/unknown/limits", 500),
        ("POST", "/configuration/", 500),
        ("PUT", "/configuration/settings/limits", 500),
        ("GET", "/nothing", 404),
        ("POST", "/nothing", 404),
        ("POST", "/", 404),
        ("OPTIONS", "/nothing", 404),
        ("OPTIONS", "/quote", 404),
        ("OPTIONS", "/", 404),
        ("GET", "/in", 404),
        ("GET", "/quote", 405),
        ("POST", "/In", 404),
    ],
)
async def test_what_each_path_answers(
    method: str, path: str, status: int, middleware: Sequence[Middleware]
) -> None:
    """Unknown below our prefix is 500, elsewhere 404, another verb 405; never so for OPTIONS."""
    async with running(shop(middleware=middleware)) as call:
        answer = await call.request(method, path, event("x") if path == TOPIC else b"")
    assert answer.status == status


@pytest.mark.parametrize("path", ["/in/", "/dapr", "//in"])
async def test_an_app_of_handlers_alone_never_redirects(path: str) -> None:
    """A path that is almost right is unknown."""
    app = DaprFlow("shop")

    @app.binding("in")
    async def on_in() -> None: ...

    async with running(app) as call:
        assert (await call.post(path)).status == 404


@pytest.mark.parametrize(("method", "path"), DAPR_OWNED)
@pytest.mark.parametrize("token", [None, "wrong", "secret-token2", "Secret-token", ""])
async def test_a_wrong_token_is_refused_before_the_body_is_read(
    method: str,
    path: str,
    token: str | None,
    middleware: Sequence[Middleware],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Every Dapr-owned path answers 401 and reads nothing; the log never shows a token."""
    app = shop(middleware=middleware, settings=Settings(app_api_token="secret-token"))
    headers = [] if token is None else [("dapr-api-token", token)]
    async with running(app) as call:
        answer = await call.request(method, path, b"x", headers)
        assert (answer.status, call.received) == (401, 0)
        right = await call.request(method, path, event("x"), [("dapr-api-token", "secret-token")])
    assert right.status == 200
    assert "secret-token" not in caplog.text + answer.body.decode()


async def test_unknown_paths_of_dapr_ask_for_the_token_first(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A stranger neither learns which paths there are nor fills the log, nor forges its lines."""
    async with running(shop(settings=Settings(app_api_token="t"))) as call:
        caplog.clear()
        for _ in range(3):
            assert (await call.post("/dapr/topics/pubsub/none%0Aforged")).status == 401
        [line] = caplog.messages
        assert line.startswith(
            "refused 'POST /dapr/topics/pubsub/none%0Aforged' with 401: the 'dap"
        )
        right = [("dapr-api-token", "t")]
        assert (await call.post("/dapr/topics/none%0Aforged", headers=right)).status == 500
        assert caplog.messages[1].startswith("no handler for 'POST /dapr/topics/none%0Aforged'; kn")


async def test_an_unknown_path_is_logged_in_a_bounded_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither many topics nor a long path makes a long line."""
    app = DaprFlow("shop")
    for number in range(12):
        app.topic("pubsub", f"topic-{number}")(lambda: None)
    async with running(app) as call:
        caplog.clear()
        assert (await call.post("/dapr/topics/" + "x" * 5000)).status == 500
    [line] = caplog.messages
    assert len(line) < 700
    assert "xxx…'; known topics: /dapr/topics/pubsub/topic-0, " in line
    assert "topic-9 and 2 more ('daprflow routes' lists them)" in line


async def test_a_body_that_is_too_long_is_told_with_what_allows_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log has one line with path, limit and next step, however often it happens."""
    async with running(shop(max_body_size=10)) as call:
        caplog.clear()
        for body in (b"x" * 11, [b"x" * 6, b"x" * 5]):
            assert (await call.post("/quote", body)).status == 413
    [line] = caplog.messages
    assert line.startswith("refused 'POST /quote' with 413: the body is longer than 10 bytes; ")
    assert line.endswith("'max_body_size' allows more; further ones are not logged")


async def test_probes_and_other_routes_need_no_token() -> None:
    """The sidecar probes health without a token, and the user's own routes are not Dapr's."""
    async with running(shop(settings=Settings(app_api_token="t"))) as call:
        for method, path in [*PROBES, ("GET", "/page")]:
            assert (await call.request(method, path)).status == 200


async def test_the_token_comes_from_the_environment_at_start_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is read when the app starts, not when it is made or imported."""
    app = shop()
    monkeypatch.setenv("APP_API_TOKEN", "late")
    async with running(app) as call:
        assert (await call.get("/dapr/config")).status == 401
    monkeypatch.delenv("APP_API_TOKEN")
    async with running(app) as call:
        assert (await call.get("/dapr/config")).status == 200


@pytest.mark.parametrize("header", ["dapr-caller-app-id", "dapr-callee-app-id"])
@pytest.mark.parametrize(("method", "path"), DAPR_OWNED)
async def test_an_app_cannot_invoke_what_is_for_the_sidecar(
    header: str, method: str, path: str
) -> None:
    """A relayed request is refused on topics, bindings and /dapr; invoke methods take it."""
    async with running(shop()) as call:
        answer = await call.request(method, path, event("x"), [(header, "other")])
        assert answer.status == (200 if path == "/quote" else 403)
        assert call.received == (1 if path == "/quote" else 0)


@pytest.mark.row("FA-21")
async def test_a_long_body_is_refused_unread() -> None:
    """A declared length beyond the limit is answered 413 at once, and the connection ends."""
    async with running(shop(max_body_size=10)) as call:
        answer = await call.post("/quote", b"x" * 11, [("content-length", "11")])
        assert (answer.status, call.received) == (413, 0)
        assert answer.headers["connection"] == "close"
        huge = await call.post("/quote", b"", [("content-length", "9" * 30)])
        assert (huge.status, call.received) == (413, 0)


@pytest.mark.row("FA-21")
async def test_a_body_without_a_length_is_read_up_to_the_limit() -> None:
    """Pieces are counted as they come; reading stops beyond the limit."""
    async with running(shop(max_body_size=10)) as call:
        assert (await call.post("/quote", [b"12345", b"67890"])).body == b"10"
        received = call.received
        answer = await call.post("/quote", [b"12345", b"678901", b"more", b"more"])
        assert (answer.status, call.received - received) == (413, 2)
        assert (await call.post("/quote", b"x" * 11)).status == 413
        assert (await call.post("/quote", b"x" * 10)).body == b"10"


async def test_a_chunked_empty_body_is_empty() -> None:
    """A sidecar may forward no body as an empty chunked one."""
    async with running(shop()) as call:
        assert (await call.post("/quote", [b"", b""])).body == b"0"


@pytest.mark.row("FA-17")
async def test_a_peer_that_goes_away_is_not_answered() -> None:
    """A request whose body never completes calls no handler."""
    async with running(shop()) as call:
        scope_pieces = [b"12345"]
        answer = await Interrupted(call.app).post("/quote", scope_pieces)
    assert answer.status == 0


class Interrupted(Caller):
    """A peer that goes away in the middle of its body."""

    async def request(self, *arguments: Any, **extra: Any) -> Any:
        """Send a body that promises more than comes."""
        inner = self.app

        async def promising(scope: Any, receive: Any, send: Any) -> None:
            async def first_then_gone() -> Any:
                message = await receive()
                return (
                    message
                    if message["type"] == "http.disconnect"
                    else {
                        **message,
                        "more_body": True,
                    }
                )

            await inner(scope, first_then_gone, send)

        return await Caller(promising).request(*arguments, **extra)


@pytest.mark.row("FA-45")
async def test_before_start_up_nothing_is_404() -> None:
    """An app whose lifespan was not entered answers 500 and says why; it is alive, not ready."""
    app = shop()
    app.freeze()
    call = Caller(app)
    for method, path in DAPR_OWNED:
        answer = await call.request(method, path)
        assert answer.status == 500
        assert "has not started" in answer.json["error"]
    assert (await call.get("/healthz")).status == 200
    assert (await call.get("/readyz")).status == 503


async def test_an_unfrozen_app_is_not_ready() -> None:
    """Below our prefix even an app that never started answers 500, not 404."""
    assert (await Caller(shop()).get("/dapr/config")).status == 500


async def test_a_root_path_is_taken_off() -> None:
    """A server that runs below a root path adds it to every path."""
    async with running(shop()) as call:
        answer = await call.request("GET", "/api/dapr/config", root_path="/api")
    assert answer.status == 200


async def test_answers_are_not_shared_between_requests() -> None:
    """Middleware may change an answer in place without harm to the next one."""
    app = shop()

    async def meddling(scope: Any, receive: Any, send: Any) -> None:
        async def change(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-meddled", b"1"))
            await send(message)

        await app(scope, receive, change)

    async with app.lifespan():
        call = Caller(meddling)
        for _ in range(2):
            await call.deliver("x")
            assert [name for name, _ in call.sent[0]["headers"]].count(b"x-meddled") == 1


async def test_a_mounted_app_says_why_it_cannot_work() -> None:
    """Below a prefix every Dapr path answers 500 with the reason."""
    app = shop()
    outer = Starlette(routes=[Mount("/sub", Starlette(routes=app.routes))])
    also = Starlette(routes=[Mount("/sub", app)])
    async with app.lifespan():
        for host in (outer, also):
            answer = await Caller(host).get("/sub/dapr/config")
            assert answer.status == 500
            assert "mounted under a prefix" in answer.json["error"]


def test_the_route_has_no_name_to_reverse() -> None:
    """Reversing a URL passes over our route, as over a foreign one."""
    with pytest.raises(NoMatchFound):
        shop().routes[0].url_path_for("anything")


async def test_websockets_are_not_ours() -> None:
    """The route leaves everything but HTTP to others."""
    match, scope = shop().routes[0].matches({"type": "websocket", "path": "/in"})
    assert (match.name, scope) == ("NONE", {})
