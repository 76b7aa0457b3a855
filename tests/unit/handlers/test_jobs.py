"""Job handlers: their handles, mistakes in their definition, payloads and verdicts."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from daprflow import (
    AppDefinitionError,
    ConstantFailurePolicy,
    DaprFlow,
    Drop,
    Job,
    Retry,
    Router,
)
from daprflow.testing import TestSidecar
from tests.helpers.asgi import call_asgi


class Limits(msgspec.Struct):
    daily: int


class Opaque:
    """No JSON becomes this."""


async def takes_limits(limits: Limits) -> None: ...


async def takes_nothing() -> None: ...


async def returns_text(limits: Limits) -> str:
    return str(limits)


async def takes_two(limits: Limits, other: Limits) -> None: ...


async def takes_opaque(limits: Opaque) -> None: ...


async def untyped(limits) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001 - the mistake


@pytest.mark.parametrize(
    ("name", "options", "function", "reason"),
    [
        ("", {}, takes_nothing, "which no job can have: it is empty"),
        ("a/b", {}, takes_nothing, "it holds '/'"),
        (5, {}, takes_nothing, "has a name of type 'int'"),
        ("a", {"schedule": 5}, takes_nothing, "has a schedule of type 'int'"),
        ("a", {"schedule": "0 3 * * *"}, takes_nothing, "has 5 fields; a job's has six"),
        ("a", {"schedule": "daily"}, takes_nothing, "has the schedule 'daily', which cannot be"),
        ("a", {"schedule": "@daily"}, takes_limits, "takes a Limits, so each tick needs one"),
        ("a", {"schedule": "@daily", "data": Limits(1)}, takes_nothing, "takes no payload"),
        ("a", {"data": Limits(1)}, takes_limits, "has data= without a schedule"),
        ("a", {"schedule": "@daily", "data": "x"}, takes_limits, "data= that is no 'Limits'"),
        ("a", {"schedule": "@daily", "data": Opaque()}, takes_limits, "cannot be encoded as JSON"),
        ("a", {"failure_policy": ConstantFailurePolicy()}, takes_limits, "without a schedule"),
        ("a", {"schedule": "@daily", "failure_policy": 3}, takes_nothing, "failure_policy=3"),
        (
            "a",
            {"schedule": "@daily", "failure_policy": ConstantFailurePolicy(-timedelta(1))},
            takes_nothing,
            "a failure_policy that cannot be",
        ),
        ("a", {}, returns_text, "the runtime ignores what"),
        ("a", {}, takes_two, "takes 'other' after the payload"),
        ("a", {}, takes_opaque, "which no JSON fits"),
        ("a", {}, untyped, "without a type"),
    ],
)
def test_mistakes(
    name: Any, options: dict[str, Any], function: Callable[..., Any], reason: str
) -> None:
    """Each mistake is found at freeze, with the handler and its place."""
    app = DaprFlow("shop")
    app.job(name, **options)(function)
    with pytest.raises(AppDefinitionError) as caught:
        app.freeze()
    [problem] = caught.value.problems
    assert reason in problem
    assert f"job handler '{function.__name__}' ({__name__}:" in problem


def test_a_name_has_one_handler() -> None:
    """Two handlers of one job are a collision."""
    app = DaprFlow("shop")
    app.job("a")(takes_limits)
    app.job("a")(takes_nothing)
    with pytest.raises(AppDefinitionError, match="has the route 'POST /job/a', and so has"):
        app.freeze()


def test_a_decorator_without_a_name() -> None:
    """A bare decorator is reported with what to write."""
    app = DaprFlow("shop")
    app.job(takes_nothing)  # type: ignore[call-overload]  # the mistake
    with pytest.raises(AppDefinitionError, match=r"write '@app.job\(...\)' with its arguments"):
        app.freeze()


def test_the_handle() -> None:
    """A handle has name and payload, and is called as it was written."""
    app = DaprFlow("shop")

    def double(number: int) -> None:
        calls.append(2 * number)

    calls: list[int] = []
    job: Any = app.job("double")(double)
    job(4)
    assert calls == [8]
    assert isinstance(job, Job)
    assert (job.name, job.payload, repr(job)) == ("double", int, "Job('double')")
    assert app.job("empty")(takes_nothing).payload is type(None)
    assert Job("elsewhere", None).payload is type(None)


def test_the_table() -> None:
    """Jobs stand in the table of handlers, with their schedule."""
    app = DaprFlow("shop")
    router = Router()
    router.job("nightly report", schedule="@daily", data=Limits(1))(takes_limits)
    router.job("other")(takes_nothing)
    app.include(router)
    rows = [(row.kind, row.path, row.payload, dict(row.options)) for row in app.table()]
    assert rows == [
        ("job", "/job/nightly%20report", "Limits", {"schedule": "@daily"}),
        ("job", "/job/other", "", {}),
    ]


@pytest.mark.parametrize(
    ("payload", "data"),
    [
        (Limits, Limits(3)),
        (str, "text, \N{SNOWMAN}"),
        (str, '{"a":1}'),
        (bytes, b"\x00\xff bytes"),
        (int, 5),
        (list[Limits], [Limits(1), Limits(2)]),
        (dict[str, int], {"a": 1}),
    ],
)
async def test_data_arrives_as_it_was(payload: Any, data: object) -> None:
    """What a job is scheduled with is what its handler is given, text and bytes, too."""
    app = DaprFlow("shop")
    got: list[object] = []

    async def take(value: Any) -> None:
        got.append(value)

    take.__annotations__["value"] = payload
    job: Any = app.job("take")(take)
    async with TestSidecar(app) as dapr:
        await dapr.client.schedule(job, data, due=timedelta(0))
        await dapr.advance(timedelta(0))
        assert got == [data]


@pytest.mark.row("FA-09")
@pytest.mark.parametrize(
    ("raised", "calls"), [(None, 1), (Drop("no use"), 1), (Retry("later"), 3), (OSError("x"), 3)]
)
async def test_verdicts(raised: Exception | None, calls: int) -> None:
    """Returning and `Drop` end a tick; what else is raised has it called again by its policy."""
    app = DaprFlow("shop")
    count = 0

    @app.job("a")
    async def a() -> None:
        nonlocal count
        count += 1
        if raised is not None:
            raise raised

    async with TestSidecar(app) as dapr:
        policy = ConstantFailurePolicy(timedelta(seconds=1), 2)
        await dapr.client.schedule(a, due=timedelta(0), failure_policy=policy)
        await dapr.advance(timedelta(seconds=10))
        assert count == calls
        assert await dapr.client.job(a) is None


async def test_data_that_does_not_fit() -> None:
    """Data of another type is a failure: the handler is not called, the policy goes on."""
    app = DaprFlow("shop")

    @app.job("a")
    async def a(limits: Limits) -> None:
        raise AssertionError(limits)

    async with TestSidecar(app) as dapr:
        await dapr.client.schedule("a", {"daily": "many"}, every="10s")
        await dapr.advance(timedelta(seconds=11))
        assert await dapr.client.job("a") is not None


@pytest.mark.parametrize(
    ("verb", "path", "headers", "status"),
    [
        ("POST", "/job/a", {}, 200),
        ("POST", "/job/a b", {}, 200),
        ("POST", "/job/unknown", {}, 500),
        ("POST", "/job/", {}, 500),
        ("GET", "/job/a", {}, 500),
        ("POST", "/job/a", {"dapr-caller-app-id": "evil"}, 403),
        ("POST", "/job/unknown", {"dapr-callee-app-id": "shop"}, 403),
        ("POST", "/job", {}, 404),
        ("POST", "/jobs/a", {}, 404),
    ],
)
async def test_paths(
    verb: str,
    path: str,
    headers: dict[str, str],
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Only the sidecar fires jobs; an unknown one is 500, since 404 would end its tick for good."""
    app = DaprFlow("shop")
    app.job("a")(takes_nothing)
    app.job("a b")(takes_nothing)
    async with app.lifespan():
        answer = await call_asgi(app, verb, path, tuple(headers.items()), b"")
    assert answer.status == status
    if "unknown" in path and status == 500:
        assert "known jobs: /job/a, /job/a%20b;" in caplog.text
