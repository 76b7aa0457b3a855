"""Error handlers: exceptions of handlers and interceptors turned into answers and verdicts."""

from typing import Any

import msgspec
import pytest
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from daprflow import (
    AppDefinitionError,
    Batch,
    Client,
    DaprFlow,
    Delivery,
    Drop,
    Next,
    Outcome,
    Retry,
    Router,
    Status,
)
from tests.helpers.app_calls import attributes, running


class StockError(Exception):
    """What an app's own code raises."""


class SoldOutError(StockError):
    """A more specific one."""


class Trouble(msgspec.Struct):
    code: str


def failing(app: DaprFlow, error: BaseException) -> None:
    """Declare a handler of each kind that raises."""

    @app.topic("pubsub", "orders")
    async def on_order(data: bytes) -> None:
        raise error

    @app.invoke
    async def quote() -> int:
        raise error

    @app.binding("sms")
    async def on_sms() -> None:
        raise error

    @app.job("report")
    async def report() -> None:
        raise error


async def test_a_value_is_the_answer_of_an_invocation() -> None:
    """It is encoded as a handler's result, with the status that the decorator names."""
    app = DaprFlow("shop")
    failing(app, SoldOutError())

    @app.on_error(StockError, status=409)
    async def on_stock(error: StockError) -> Trouble:
        return Trouble(type(error).__name__)

    async with running(app) as call:
        answer = await call.post("/quote")
    assert (answer.status, answer.json) == (409, {"code": "SoldOutError"})


@pytest.mark.parametrize(
    ("status", "event", "binding"),
    [
        (Status.SUCCESS, (200, "SUCCESS"), 200),
        (Status.DROP, (200, "DROP"), 200),
        (Status.RETRY, (200, "RETRY"), 500),
    ],
    ids=str,
)
async def test_a_status_is_the_verdict_on_an_event(
    status: Status, event: tuple[int, str], binding: int
) -> None:
    """Topics say it in the body; bindings and jobs, which have no verdicts, by 200 or 500."""
    app = DaprFlow("shop")
    failing(app, StockError())

    @app.on_error(StockError)
    def on_stock(error: StockError) -> Status:
        return status

    async with running(app) as call:
        answer = await call.deliver("x")
        assert (answer.status, answer.verdict) == event
        assert (await call.post("/sms", b"1")).status == binding
        assert (await call.post("/job/report", b"{}")).status == binding


@pytest.mark.parametrize(
    ("raised", "verdict"), [(Retry(), "RETRY"), (Drop(), "DROP")], ids=["retry", "drop"]
)
async def test_an_error_handler_may_raise_a_verdict(raised: Exception, verdict: str) -> None:
    """`Retry` and `Drop` mean what they mean in a handler."""
    app = DaprFlow("shop")
    failing(app, StockError())

    @app.on_error(StockError)
    async def on_stock(error: StockError) -> None:
        raise raised

    async with running(app) as call:
        assert (await call.deliver("x")).verdict == verdict


async def test_an_error_handler_may_raise_an_http_exception() -> None:
    """In an invocation it keeps its status."""
    app = DaprFlow("shop")
    failing(app, StockError())

    @app.on_error(StockError)
    async def on_stock(error: StockError) -> None:
        raise HTTPException(410, "gone")

    async with running(app) as call:
        answer = await call.post("/quote")
    assert (answer.status, answer.json) == (410, {"error": "gone"})


async def test_an_outcome_or_a_response_is_taken_as_it_is() -> None:
    """They say status, headers and body themselves."""
    app = DaprFlow("shop")
    failing(app, SoldOutError())

    @app.on_error(SoldOutError)
    async def on_sold_out(error: SoldOutError, *, delivery: Delivery) -> Any:
        if delivery.kind == "invoke":
            return JSONResponse({"left": 0}, 418, {"x-shop": "1"})
        return Outcome(Status.DROP)

    async with running(app) as call:
        answer = await call.post("/quote")
        assert (answer.status, answer.json, answer.headers["x-shop"]) == (418, {"left": 0}, "1")
        assert (await call.deliver("x")).verdict == "DROP"


async def test_the_most_specific_class_goes_first_then_the_nearest_router() -> None:
    """The order of declaration means nothing."""
    app, inner = DaprFlow("shop"), Router()
    asked: list[str] = []

    def note(router: Router, kind: type[Exception], name: str) -> None:
        @router.on_error(kind)
        async def on_error(error: Exception) -> Status:
            asked.append(name)
            return Status.SUCCESS

    note(app, Exception, "app: any")
    note(app, SoldOutError, "app: sold out")
    note(inner, StockError, "router: stock")
    note(inner, Exception, "router: any")
    app.include(inner)
    raising: list[Exception] = []

    @inner.topic("pubsub", "orders")
    async def on_order(data: bytes) -> None:
        raise raising[0]

    async with running(app) as call:
        for error in (SoldOutError(), StockError(), ValueError()):
            raising[:] = [error]
            await call.deliver("x")
    assert asked == ["app: sold out", "router: stock", "router: any"]


async def test_an_error_handler_of_a_router_is_not_for_others() -> None:
    """Handlers of the app itself keep the default."""
    app, inner = DaprFlow("shop"), Router()
    failing(app, StockError())
    app.include(inner)

    @inner.on_error(StockError)
    async def on_stock(error: StockError) -> Status:
        return Status.SUCCESS

    async with running(app) as call:
        assert (await call.deliver("x")).status == 500


async def test_what_an_interceptor_raises_is_turned_too() -> None:
    """Its exceptions come to the same error handlers."""

    async def broken(delivery: Delivery, call: Next) -> Outcome:
        raise StockError

    app = DaprFlow("shop", interceptors=[broken])

    @app.topic("pubsub", "orders")
    async def on_order(data: bytes) -> None: ...

    @app.on_error(StockError)
    async def on_stock(error: StockError) -> Status:
        return Status.DROP

    async with running(app) as call:
        assert (await call.deliver("x")).verdict == "DROP"


async def test_interceptors_see_what_an_error_handler_made() -> None:
    """The outcome they get is the turned one, with the error that was raised."""
    seen: list[tuple[Status, str]] = []

    async def watch(delivery: Delivery, call: Next) -> Outcome:
        outcome = await call(delivery)
        seen.append((outcome.status, type(outcome.error).__name__))
        return outcome

    app = DaprFlow("shop", interceptors=[watch])
    failing(app, StockError())

    @app.on_error(StockError)
    async def on_stock(error: StockError) -> Status:
        return Status.DROP

    async with running(app) as call:
        await call.deliver("x")
    assert seen == [(Status.DROP, "StockError")]


async def test_none_leaves_the_default(caplog: pytest.LogCaptureFixture) -> None:
    """A handler that forgets its return acknowledges nothing; the traceback is logged."""
    app = DaprFlow("shop")
    failing(app, StockError())

    @app.on_error(StockError)
    async def on_stock(error: StockError) -> None: ...

    async with running(app) as call:
        assert (await call.deliver("x")).status == 500
    assert "topic handler 'on_order'" in caplog.text
    assert "Traceback" in caplog.text


async def test_what_an_error_handler_turned_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing failed: an expected error is no line in the log."""
    app = DaprFlow("shop")
    failing(app, StockError())

    @app.on_error(StockError)
    async def on_stock(error: StockError) -> Status:
        return Status.DROP

    async with running(app) as call:
        caplog.clear()
        await call.deliver("x")
    assert caplog.text == ""


async def on_stock_badly(error: StockError) -> Status:
    raise KeyError("of the error handler")


async def test_an_error_handler_that_fails_is_named_and_the_default_holds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log has its place and traceback, and then the one of the handler."""
    app = DaprFlow("shop")
    failing(app, StockError())
    app.on_error(StockError)(on_stock_badly)

    async with running(app) as call:
        assert (await call.deliver("x")).status == 500
    line = on_stock_badly.__code__.co_firstlineno
    assert f"error handler 'on_stock_badly' ({__name__}:{line}) failed" in caplog.text
    assert "KeyError" in caplog.text
    assert "topic handler 'on_order'" in caplog.text


async def test_a_value_is_no_verdict_on_an_event(caplog: pytest.LogCaptureFixture) -> None:
    """It is told, and the default holds."""
    app = DaprFlow("shop")
    failing(app, StockError())

    @app.on_error(StockError)
    async def on_stock(error: StockError) -> str:
        return "sorry"

    async with running(app) as call:
        assert (await call.deliver("x")).status == 500
    assert "returned 'str'" in caplog.text


async def test_what_is_an_answer_already_is_not_asked_about() -> None:
    """A handler for ``Exception`` gets no `Retry`, no HTTPException, no unfit payload."""
    app = DaprFlow("shop")

    @app.on_error(Exception)
    async def on_any(error: Exception) -> Outcome:
        raise AssertionError

    @app.topic("pubsub", "orders")
    async def on_order(data: str) -> None:
        raise Retry

    @app.invoke
    async def quote(data: int) -> int:
        raise HTTPException(404)

    async with running(app) as call:
        assert (await call.deliver("x")).verdict == "RETRY"
        assert (await call.post("/quote", b"1")).status == 404
        assert (await call.post("/quote", b'"x"')).status == 400


async def test_a_handler_for_a_verdict_is_asked() -> None:
    """Who names `Drop` means it."""
    app = DaprFlow("shop")
    failing(app, Drop())

    @app.on_error(Drop)
    async def on_drop(error: Drop) -> Status:
        return Status.RETRY

    async with running(app) as call:
        assert (await call.deliver("x")).verdict == "RETRY"


async def test_a_batch_has_the_verdict_for_what_was_not_decided() -> None:
    """Entries keep their own verdicts."""
    app = DaprFlow("shop")

    @app.topic("pubsub", "orders", max_messages=10)
    async def on_orders(batch: Batch[str]) -> None:
        next(iter(batch)).retry()
        raise StockError

    @app.on_error(StockError)
    async def on_stock(error: StockError) -> Status:
        return Status.DROP

    entries = [
        {
            "entryId": str(n),
            "event": {**attributes(), "data": "x"},
            "contentType": "application/cloudevents+json",
        }
        for n in range(2)
    ]
    body = msgspec.json.encode(
        {"id": "1", "entries": entries, "topic": "orders", "pubsubname": "pubsub", "metadata": {}}
    )
    async with running(app) as call:
        answer = await call.post("/dapr/topics/pubsub/orders", body)
    assert [each["status"] for each in answer.json["statuses"]] == ["RETRY", "DROP"]


async def test_an_error_handler_is_given_what_handlers_are() -> None:
    """Client, Delivery and what providers make come after ``*``."""
    app = DaprFlow("shop")
    failing(app, StockError())
    given: list[object] = []

    class Pager:
        pass

    @app.provide
    def pager() -> Pager:
        return Pager()

    @app.on_error(StockError)
    async def on_stock(
        error: StockError, *, pager: Pager, client: Client, delivery: Delivery
    ) -> Status:
        given.extend((pager, client, delivery.name))
        return Status.DROP

    async with running(app) as call:
        await call.deliver("x")
        assert isinstance(given[0], Pager)
        assert given[1:] == [app.client, "pubsub/orders"]


def nothing() -> None: ...


async def wrongly_typed(error: KeyError) -> None: ...


async def asks(error: ValueError, *, what: bytearray) -> None: ...


@pytest.mark.parametrize(
    ("kind", "status", "function", "problem"),
    [
        (ValueError, 500, nothing, "takes no error; write 'async def name(error: ValueError)'"),
        (ValueError, 500, wrongly_typed, "which is no 'ValueError'"),
        (ValueError, 500, asks, "asks for 'what: bytearray', which nothing provides"),
        (ValueError, 200, wrongly_typed, "sets status=200"),
        (BaseException, 500, wrongly_typed, "must be a class of exceptions"),
        ("ValueError", 500, wrongly_typed, "must be a class of exceptions"),
    ],
)
def test_a_wrong_error_handler_is_found_at_freeze(
    kind: Any, status: int, function: Any, problem: str
) -> None:
    """The problem names it with its place, once."""
    app = DaprFlow("shop")
    failing(app, StockError())
    app.on_error(kind, status=status)(function)
    with pytest.raises(AppDefinitionError) as caught:
        app.freeze()
    (found,) = caught.value.problems
    assert problem in found
    assert f"({__name__}:{function.__code__.co_firstlineno})" in found


def test_two_error_handlers_of_one_class_are_one_too_many() -> None:
    """Of one router; each is named."""
    app = DaprFlow("shop")
    failing(app, StockError())

    @app.on_error(StockError)
    async def first(error: StockError) -> None: ...

    @app.on_error(StockError)
    async def second(error: StockError) -> None: ...

    with pytest.raises(AppDefinitionError, match=r"error handler 'second'.*and so is .*'first'"):
        app.freeze()


def test_an_error_handler_without_a_function_is_found_at_freeze() -> None:
    """A line that decorates nothing is a mistake."""
    app = DaprFlow("shop")
    app.on_error(StockError)
    with pytest.raises(AppDefinitionError, match=r"'app.on_error\(...\)' \(.*\) decorates no"):
        app.freeze()
