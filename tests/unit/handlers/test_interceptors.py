"""Interceptors: nested once around every handler."""

import msgspec
import pytest

from daprflow import DaprFlow, Delivery, Drop, Next, Outcome, Retry, Status
from tests.helpers.app_calls import event, running


async def test_the_first_interceptor_is_the_outermost() -> None:
    """They are nested in order, see every kind of delivery and its outcome."""
    log: list[str] = []

    def named(name: str) -> object:
        async def interceptor(delivery: Delivery, call: Next) -> Outcome:
            log.append(f"{name}> {delivery.kind} {delivery.name}")
            outcome = await call(delivery)
            log.append(f"<{name} {outcome.status.value} {type(outcome.error).__name__}")
            return outcome

        return interceptor

    app = DaprFlow("shop", interceptors=[named("a"), named("b")])  # type: ignore[list-item]  # typed as object

    @app.topic("pubsub", "orders")
    async def on_order(data: bytes) -> None:
        raise Retry

    @app.invoke
    async def quote() -> int:
        return 1

    async with running(app) as call:
        assert (await call.deliver("x")).verdict == "RETRY"
        assert (await call.post("/quote")).body == b"1"
    assert log == [
        "a> topic pubsub/orders",
        "b> topic pubsub/orders",
        "<b RETRY Retry",
        "<a RETRY Retry",
        "a> invoke quote",
        "b> invoke quote",
        "<b SUCCESS NoneType",
        "<a SUCCESS NoneType",
    ]


@pytest.mark.parametrize(
    "error", [ValueError("x"), Drop(), msgspec.ValidationError("x")], ids=lambda e: type(e).__name__
)
async def test_an_interceptor_sees_what_was_raised(error: Exception) -> None:
    """The outcome carries the handler's exception."""
    seen: list[BaseException | None] = []

    async def watch(delivery: Delivery, call: Next) -> Outcome:
        outcome = await call(delivery)
        seen.append(outcome.error)
        return outcome

    app = DaprFlow("shop", interceptors=[watch])

    @app.topic("pubsub", "orders")
    async def on_order(data: bytes) -> None:
        raise error

    async with running(app) as call:
        await call.deliver("x")
    assert seen == [error]


async def test_an_interceptor_can_answer_itself() -> None:
    """A handler that is not called is not called."""

    async def refuse(delivery: Delivery, call: Next) -> Outcome:
        return Outcome(Status.DROP, 200, b'{"status":"DROP"}')

    app = DaprFlow("shop", interceptors=[refuse])

    @app.topic("pubsub", "orders")
    async def on_order(data: bytes) -> None:
        raise AssertionError

    async with running(app) as call:
        assert (await call.deliver("x")).verdict == "DROP"


async def test_an_interceptor_can_change_the_delivery() -> None:
    """What it passes on is what the handler gets."""

    async def replace(delivery: Delivery, call: Next) -> Outcome:
        delivery.body = event("changed")
        return await call(delivery)

    seen: list[str] = []
    app = DaprFlow("shop", interceptors=[replace])

    @app.topic("pubsub", "orders")
    async def on_order(data: str) -> None:
        seen.append(data)

    async with running(app) as call:
        await call.deliver("x")
    assert seen == ["changed"]


async def test_an_interceptor_that_fails_is_500(caplog: pytest.LogCaptureFixture) -> None:
    """Its own failure is a failure of the delivery, with a traceback."""

    async def broken(delivery: Delivery, call: Next) -> Outcome:
        raise ValueError

    app = DaprFlow("shop", interceptors=[broken])

    @app.topic("pubsub", "orders")
    async def on_order(data: bytes) -> None: ...

    async with running(app) as call:
        caplog.clear()
        assert (await call.deliver("x")).status == 500
    assert "an interceptor of topic handler 'on_order'" in caplog.text
    assert "Traceback" in caplog.text
