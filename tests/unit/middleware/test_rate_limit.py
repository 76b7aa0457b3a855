"""Rate limits: the arithmetic, the answers, and counts that replicas share."""

import asyncio
import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.middleware import Middleware

from daprflow import AppDefinitionError, Client, DaprFlow, Router
from daprflow.middleware import (
    RateLimit,
    RequestLimits,
    SharedCounts,
    SlidingWindow,
    TokenBucket,
    by_caller,
    by_header,
    by_route,
)
from daprflow.middleware.rate_rules import NOTHING, Rule
from daprflow.settings import Settings
from daprflow.testing import TestSidecar
from tests.helpers.app_calls import Answer, Caller, running
from tests.helpers.own_ports import free_port

EVENT = b'{"id":"1","source":"s","type":"t","specversion":"1.0","data":1}'
SLOW = TokenBucket(2, 3600)
"""Two requests, and hardly any more."""


def passed(rule: Rule, moments: list[float]) -> list[float]:
    """Return the moments of requests that pass; whoever waits as told passes."""
    state, found = NOTHING, []
    for now in sorted(moments):
        taken, surely = rule.take(state, now), rule.passes(state, now)
        assert surely is None or (taken.allowed and surely == taken.state)
        state = taken.state
        if taken.allowed:
            found.append(now)
        else:
            assert taken.wait > 0
            again = rule.take(state, now + taken.wait + 1e-3)
            assert again.allowed, (now, taken)
            early = rule.take(state, now + taken.wait - 1e-2)
            assert not early.allowed or taken.wait < 1e-2
    return found


@given(st.lists(st.floats(0, 100, allow_subnormal=False), max_size=80), st.integers(1, 9))
def test_a_bucket_holds_its_rate_in_any_stretch_of_time(moments: list[float], limit: int) -> None:
    """Never more than the burst and what flowed in; who waits as told passes."""
    rule = TokenBucket(limit, 10.0)
    found = passed(rule, moments)
    for first, begin in enumerate(found):
        for last in range(first, len(found)):
            most = limit + (found[last] - begin) * limit / 10.0
            assert last - first + 1 <= most + 1e-3


@given(st.lists(st.floats(0, 100, allow_subnormal=False), max_size=80), st.integers(1, 9))
def test_a_window_holds_its_limit(moments: list[float], limit: int) -> None:
    """Never more than the limit in one window of the clock; who waits as told passes."""
    found = passed(SlidingWindow(limit, 10.0), moments)
    for number in range(11):
        inside = [each for each in found if number * 10 <= each < number * 10 + 10]
        assert len(inside) <= limit


def test_a_burst_may_be_smaller_or_larger_than_the_rate() -> None:
    """It is what a key that rested may make at once."""
    for burst in (1, 5):
        rule = TokenBucket(60, 60.0, burst)
        assert len(passed(rule, [100.0] * 10)) == burst


def test_a_clock_that_is_ahead_does_no_harm() -> None:
    """What another replica wrote in the future counts as now."""
    for rule in (TokenBucket(2, 10.0), SlidingWindow(2, 10.0)):
        state = rule.take(NOTHING, 1000.0).state
        assert not math.isinf(rule.take(state, 990.0).wait)


@pytest.mark.parametrize(
    "made",
    [
        lambda: TokenBucket(0),
        lambda: TokenBucket(1, 0),
        lambda: TokenBucket(1, 1, 0),
        lambda: SlidingWindow(0),
        lambda: SlidingWindow(1, -1),
        lambda: SharedCounts("", Client()),
        lambda: SharedCounts("statestore", Client(), away="maybe"),  # type: ignore[arg-type]  # the point
    ],
)
def test_numbers_that_let_nothing_pass_are_refused(made: Any) -> None:
    """When the rule is made."""
    with pytest.raises(ValueError, match=r"must be|is in seconds|is empty"):
        made()


def shop(**options: Any) -> DaprFlow:
    """An app with two methods and a topic that count together, as ``by`` says."""
    app, router = DaprFlow("shop"), Router(middleware=[Middleware(RateLimit, **options)])
    app.include(router)

    @router.invoke
    async def quote() -> int:
        return 1

    @router.invoke("GET", "/orders/{id}")
    async def order(*, id: str) -> str:  # noqa: A002 - the path's name
        return id

    @router.topic("pubsub", "orders")
    async def on_order(data: bytes) -> None: ...

    return app


def caller_of(app: str) -> list[tuple[str, str]]:
    """What a sidecar says of who calls."""
    return [("dapr-caller-app-id", app)]


@pytest.mark.parametrize("rule", [TokenBucket(3, 3600), SlidingWindow(3, 3600)])
async def test_a_rate_limit_right_inside_of_request_limits_counts_the_same(rule: Rule) -> None:
    """An event beyond the rate is refused, whoever sends it, and its length told or not."""
    router = Router(middleware=[Middleware(RequestLimits), Middleware(RateLimit, rule=rule)])

    @router.topic("pubsub", "orders", dead_letter="dead")
    async def on_order(number: int) -> None: ...

    app = DaprFlow("shop")
    app.include(router)
    path = app.table()[0].path
    told = [("content-length", str(len(EVENT)))]
    async with running(app) as call:
        others = [*told, *caller_of("a"), *caller_of("b")]
        sent = (told, (), told, told, others, others, [*told, *caller_of("b")], others)
        answers = [await call.request("POST", path, EVENT, each) for each in sent]
    # Another app may not send an event; that is said to those that the rate lets pass.
    assert [each.status for each in answers] == [200, 200, 200, 429, 403, 403, 403, 429]


@pytest.mark.parametrize("rule", [TokenBucket, SlidingWindow])
def test_a_window_is_seconds_or_a_timedelta(rule: type[TokenBucket | SlidingWindow]) -> None:
    """Both decide alike."""
    given, plain = rule(1, timedelta(minutes=2)), rule(1, 120.0)
    assert given.seconds == plain.seconds == 120.0
    taken = given.take(NOTHING, 1000.0)
    assert taken == plain.take(NOTHING, 1000.0)
    assert given.take(taken.state, 1001.0) == plain.take(taken.state, 1001.0)


async def test_each_caller_has_its_own_count() -> None:
    """429 with the time to wait, in both forms; other callers pass."""
    async with running(shop(rule=SLOW)) as call:
        first = await call.post("/quote", headers=caller_of("a"))
        assert first.headers["ratelimit-policy"] == '"default";q=2;w=3600'
        assert first.headers["ratelimit"] == '"default";r=1;t=0'
        await call.post("/quote", headers=caller_of("a"))
        answer = await call.post("/quote", headers=caller_of("a"))
        assert (answer.status, answer.json["title"]) == (429, "Too Many Requests")
        assert 1700 < int(answer.headers["retry-after"]) <= 1800
        assert answer.headers["ratelimit"].startswith('"default";r=0;t=')
        assert (await call.post("/quote", headers=caller_of("b"))).status == 200


async def test_routes_and_headers_may_be_counted_for_themselves() -> None:
    """Several parts make one key."""
    options = {"rule": TokenBucket(1, 3600), "by": [by_route, by_header("X-Tenant")]}
    async with running(shop(**options)) as call:
        tenant = [("x-tenant", "ann")]
        assert (await call.post("/quote", headers=tenant)).status == 200
        assert (await call.post("/quote", headers=tenant)).status == 429
        assert (await call.post("/quote")).status == 200
        assert (await call.get("/orders/7", tenant)).status == 200


async def test_an_event_beyond_the_rate_comes_again() -> None:
    """429 is no verdict, so the sidecar's resiliency policy has it delivered again."""
    async with running(shop(rule=TokenBucket(1, 3600))) as call:
        assert (await call.deliver("x")).status == 200
        assert (await call.deliver("x")).status == 429


async def test_no_more_keys_are_kept_than_allowed() -> None:
    """The least used are forgotten, so that strangers cannot fill the memory."""
    async with running(shop(rule=TokenBucket(1, 3600), max_keys=2)) as call:
        for name in ("a", "b", "c"):
            assert (await call.post("/quote", headers=caller_of(name))).status == 200
        assert (await call.post("/quote", headers=caller_of("c"))).status == 429
        assert (await call.post("/quote", headers=caller_of("a"))).status == 200


def test_a_limit_without_a_key_is_a_mistake() -> None:
    """Found when the app freezes."""
    with pytest.raises(AppDefinitionError, match="'by' is empty"):
        shop(rule=SLOW, by=[]).freeze()


def replicas() -> DaprFlow:
    """An app with two methods, each with a limit of its own that counts in the same state store.

    As two replicas of one app do: the runtime puts the app's id before every key.
    """
    app = DaprFlow("shop")
    for name in ("one", "two"):
        counts = SharedCounts("statestore", lambda: app.client, timeout=30)
        limit = Middleware(RateLimit, rule=TokenBucket(10, 3600), counts=counts)
        router = Router(middleware=[limit])
        app.include(router)

        @router.invoke(name=name)
        async def quote() -> int:
            return 1

    return app


async def test_replicas_share_their_counts() -> None:
    """Whatever comes at once to both, no more than the limit passes."""
    app = replicas()
    async with TestSidecar(app) as dapr:
        call = Caller(app)
        answers: list[Answer] = []
        for _ in range(10):
            answers += await asyncio.gather(call.post("/one"), call.post("/two"))
        statuses = [each.status for each in answers]
        assert sorted(set(statuses)) == [200, 429]
        assert statuses.count(200) == 10
        assert (await call.post("/one")).status == (await call.post("/two")).status == 429
        assert dapr is not None


async def test_many_at_once_are_not_refused_for_racing() -> None:
    """As many as the limit allows pass, however they come; those of one process take turns."""
    app = replicas()
    async with TestSidecar(app):
        call = Caller(app)
        answers = await asyncio.gather(*(call.post("/one") for _ in range(30)))
        assert [each.status for each in answers].count(200) == 10


@pytest.mark.parametrize(
    ("away", "statuses"),
    [("memory", [200, 200, 429]), ("allow", [200, 200, 200]), ("refuse", [503, 503, 503])],
)
async def test_what_holds_while_the_store_is_away_is_said(
    away: Any, statuses: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    """Each replica counts for itself unless told otherwise; the log says it once."""
    port = free_port()
    settings = Settings(http_endpoint=f"http://127.0.0.1:{port}", health_timeout=0)
    async with Client(settings) as client:
        counts = SharedCounts("statestore", client, away=away, timeout=0.5, pause=60)
        async with running(shop(rule=SLOW, counts=counts, by=by_caller)) as call:
            found = [(await call.post("/quote")).status for _ in statuses]
    assert found == statuses
    assert caplog.text.count("cannot count requests") == 1
