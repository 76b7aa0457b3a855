"""API tokens: on Dapr's endpoints by themselves, on a user's own routes where asked for."""

import re
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from daprflow import Actor, AppDefinitionError, DaprFlow
from daprflow.handlers.tokens import Tokens
from daprflow.middleware import ApiToken
from daprflow.settings import Settings
from daprflow.testing import TestSidecar
from tests.helpers.app_calls import Caller, event, running

PACKAGE = Path(__file__).parents[3] / "daprflow"
RIGHT = "canary-right-token"
FORMER = "canary-former-token"
Pairs = Sequence[tuple[str, str]]
REFUSED: dict[str, Pairs] = {
    "none": [],
    "empty": [("dapr-api-token", "")],
    "wrong": [("dapr-api-token", "wrong-token")],
    "longer": [("dapr-api-token", RIGHT + "x")],
    "case": [("dapr-api-token", RIGHT.upper())],
    "two": [("dapr-api-token", "wrong"), ("dapr-api-token", RIGHT)],
    "two right ones": [("dapr-api-token", RIGHT), ("dapr-api-token", RIGHT)],
    "another header": [("authorization", f"Bearer {RIGHT}")],
}
ROUTES = [
    ("GET", "/dapr/config"),
    ("GET", "/dapr/subscribe"),
    ("POST", "/dapr/topics/pubsub/orders"),
    ("POST", "/dapr/topics/pubsub/unknown"),
    ("POST", "/sms"),
    ("OPTIONS", "/sms"),
    ("POST", "/job/report"),
    ("POST", "/job/unknown"),
    ("POST", "/configuration/settings/limit"),
    ("POST", "/quote"),
    ("DELETE", "/quote"),
]


def tokens_of(app_api_token: str = RIGHT) -> Settings:
    """Settings with a token and the one before."""
    return Settings(app_api_token=app_api_token, app_api_token_previous=FORMER)


def shop() -> DaprFlow:
    """An app with every kind of endpoint, and routes of its own, one of which asks for a token."""

    async def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse("hello")

    guard = Middleware(ApiToken, tokens=[RIGHT, FORMER])
    app = DaprFlow(
        "shop",
        settings=tokens_of(),
        routes=[Route("/open", page), Route("/closed", page, middleware=[guard])],
    )

    @app.topic("pubsub", "orders")
    async def on_order(data: bytes) -> None: ...

    @app.binding("sms")
    async def on_sms() -> None: ...

    @app.job("report")
    async def report() -> None: ...

    @app.invoke
    async def quote() -> int:
        return 1

    return app


@pytest.mark.row("S-01")
@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED)
async def test_s01_every_dapr_route_requires_the_token(headers: Pairs) -> None:
    """Whatever is sent in its place, on every kind of endpoint; two tokens are none."""
    async with running(shop()) as call:
        for method, path in ROUTES:
            answer = await call.request(method, path, event("x"), headers)
            assert answer.status == 401, (method, path)
            assert RIGHT.encode() not in answer.body


@pytest.mark.row("S-01")
async def test_s01_the_right_token_passes_and_so_does_the_one_before() -> None:
    """Both hold while tokens are changed."""
    async with running(shop()) as call:
        for token in (RIGHT, FORMER):
            headers = [("dapr-api-token", token)]
            answer = await call.post("/dapr/topics/pubsub/orders", event("x"), headers)
            assert answer.verdict == "SUCCESS"


@pytest.mark.row("S-01")
async def test_s01_actors_require_the_token_too() -> None:
    """Their methods as well as their end."""
    app = DaprFlow("shop", settings=tokens_of())

    @app.actor
    class Cart(Actor[list[int]]):
        async def add(self) -> int:
            return 1

    async with TestSidecar(app) as dapr:
        assert await dapr.client.actor(Cart, "ann").add() == 1
        for method, path in (
            ("PUT", "/actors/Cart/ann/method/add"),
            ("DELETE", "/actors/Cart/ann"),
        ):
            assert (await Caller(app).request(method, path)).status == 401


@pytest.mark.row("S-01")
async def test_s01_health_and_routes_of_the_users_own_are_open_unless_they_opt_in() -> None:
    """A probe has no token; a route may ask for one."""
    async with running(shop()) as call:
        assert (await call.get("/healthz")).status == 200
        assert (await call.get("/open")).status == 200
        for headers in REFUSED.values():
            answer = await call.get("/closed", headers)
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "ApiToken")
        for token in (RIGHT, FORMER):
            answer = await call.get("/closed", [("dapr-api-token", token)])
            assert answer.body == b"hello"


async def test_s01_a_former_token_alone_protects_nothing_and_lets_nobody_else_in() -> None:
    """Without a token anything goes, as it does without both: there is nothing to change from."""
    app = DaprFlow("shop", settings=tokens_of(""))
    async with running(app) as call:
        assert (await call.get("/dapr/config")).status == 200


@pytest.mark.parametrize("tokens", ["", [], ["a", ""]])
def test_s01_an_empty_token_is_a_mistake(tokens: list[str]) -> None:
    """It would let everybody in; it is found when the app freezes."""
    app = DaprFlow("shop", middleware=[Middleware(ApiToken, tokens=tokens)])
    with pytest.raises(AppDefinitionError, match="would let everybody in"):
        app.freeze()


@pytest.mark.row("S-02")
def test_s02_no_token_is_compared_with_an_equals_sign() -> None:
    """In the whole package, sidecar included; a workflow's turn tokens are numbers, no secrets."""
    secret = r"(\w+\.)*\w*(token|secret|password)\b"
    comparison = re.compile(rf"(==|!=)\s*{secret}|\b{secret}\s*(==|!=)\s*\w")
    found = [
        f"{path.relative_to(PACKAGE)}:{number}"
        for path in PACKAGE.rglob("*.py")
        if "workflows" not in path.parts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if comparison.search(line.partition("#")[0])
    ]
    assert found == []
    assert comparison.search("if given == self.token:")
    assert comparison.search("if settings.app_api_token != given:")


@pytest.mark.row("S-02")
def test_s02_the_time_of_a_comparison_tells_nothing() -> None:
    """A token that begins rightly takes as long as one that does not, at any length."""
    secret = "s" * 64
    tokens = Tokens([secret])
    near, far = (secret[:-1] + "x").encode(), b"x" * 64

    def median(given: bytes) -> float:
        times = []
        for _ in range(2_000):
            begun = time.perf_counter_ns()
            tokens.hold(given)
            times.append(time.perf_counter_ns() - begun)
        return statistics.median(times)

    ratios = [median(near) / median(far) for _ in range(7)]
    assert 0.8 < statistics.median(ratios) < 1.25
    assert tokens.hold(secret.encode())
    assert not tokens.hold(near)
    assert secret not in repr(tokens)
