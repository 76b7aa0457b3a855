"""Interceptors: nested once around every handler."""

import msgspec
import pytest

from daprflow import (
    AppDefinitionError,
    Batch,
    DaprFlow,
    Delivery,
    Drop,
    Interceptor,
    Next,
    Outcome,
    Retry,
    Status,
)
from tests.helpers.app_calls import attributes, event, running


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
    text = caplog.text
    assert f"interceptor 'broken' ({__name__}:" in text
    assert ") of topic handler 'on_order'" in text
    assert "Traceback" in caplog.text


async def forgetful(delivery: Delivery, call: Next) -> None:
    await call(delivery)


async def test_an_interceptor_that_returns_nothing_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A forgotten ``return`` is 500 and one line that says what to write, without a traceback."""
    app = DaprFlow("shop", interceptors=[forgetful])  # type: ignore[list-item]  # the point

    @app.topic("pubsub", "orders")
    async def on_order(data: bytes) -> None: ...

    async with running(app) as call:
        caplog.clear()
        answer = await call.deliver("x")
    assert answer.status == 500
    [record] = caplog.records
    assert record.exc_info is None
    assert f"interceptor 'forgetful' ({__name__}:" in record.getMessage()
    assert ") of topic handler 'on_order'" in record.getMessage()
    assert "returned 'NoneType' instead of an Outcome; write 'return await" in record.getMessage()


def answering(status: Status) -> Interceptor:
    """An interceptor that gives a verdict without calling the handler."""

    async def interceptor(delivery: Delivery, call: Next) -> Outcome:
        return Outcome(status)

    return interceptor


def raising(error: Exception) -> Interceptor:
    """An interceptor that raises."""

    async def interceptor(delivery: Delivery, call: Next) -> Outcome:
        raise error

    return interceptor


def overruling(status: Status) -> Interceptor:
    """An interceptor that changes the verdict of the handler."""

    async def interceptor(delivery: Delivery, call: Next) -> Outcome:
        return msgspec.structs.replace(await call(delivery), status=status)

    return interceptor


def shop(interceptor: Interceptor) -> DaprFlow:
    """An app with handlers of three kinds behind one interceptor."""
    app = DaprFlow("shop", interceptors=[interceptor])

    async def handle(data: bytes) -> None: ...

    async def handle_all(batch: Batch[str]) -> None: ...

    app.topic("pubsub", "orders")(handle)
    app.topic("pubsub", "metrics")(handle_all)
    app.binding("in")(handle)
    app.invoke(handle)
    return app


@pytest.mark.parametrize(
    ("interceptor", "word", "binding"),
    [
        (answering(Status.RETRY), "RETRY", 500),
        (answering(Status.DROP), "DROP", 200),
        (answering(Status.SUCCESS), "SUCCESS", 200),
        (overruling(Status.RETRY), "RETRY", 500),
        (overruling(Status.DROP), "DROP", 200),
        (raising(Retry()), "RETRY", 500),
        (raising(Drop()), "DROP", 200),
    ],
)
async def test_the_verdict_of_an_interceptor_reaches_the_sidecar(
    interceptor: Interceptor, word: str, binding: int
) -> None:
    """A sidecar takes an empty 200 for success: the answer is made of the verdict."""
    async with running(shop(interceptor)) as call:
        assert (await call.deliver("x")).verdict == word
        assert (await call.post("/in", b"x")).status == binding


@pytest.mark.parametrize("status", list(Status))
async def test_the_verdict_of_an_interceptor_is_that_of_every_entry(status: Status) -> None:
    """The runtime retries entries that an answer leaves out."""
    entries = [{"entryId": each, "event": attributes() | {"data": each}} for each in "12"]
    batch = msgspec.json.encode({"id": "b", "entries": entries})
    async with running(shop(answering(status))) as call:
        answer = await call.post("/dapr/topics/pubsub/metrics", batch)
        broken = await call.post("/dapr/topics/pubsub/metrics", b"no batch")
    assert answer.json == {"statuses": [{"entryId": each, "status": status.value} for each in "12"]}
    assert broken.status == 500


async def test_an_invocation_knows_no_verdicts() -> None:
    """There nobody would deliver again: Drop and Retry are failures as any other."""
    async with running(shop(raising(Drop()))) as call:
        assert (await call.post("/handle", b"x")).status == 500
    async with running(shop(answering(Status.RETRY))) as call:
        assert (await call.post("/handle", b"x")).status == 200


async def one_argument(delivery: Delivery) -> None: ...


async def three_arguments(delivery: Delivery, call: Next, more: int) -> None: ...


@pytest.mark.parametrize("interceptor", [5, one_argument, three_arguments])
def test_what_cannot_be_an_interceptor_is_reported(interceptor: Interceptor) -> None:
    """It is a mistake of the definition, with name and place."""
    with pytest.raises(AppDefinitionError) as caught:
        DaprFlow("shop", interceptors=[interceptor]).freeze()
    [problem] = caught.value.problems
    assert problem.startswith(
        f"interceptor '{getattr(interceptor, '__name__', 'int')}' ({__name__}:"
    )
    assert "write 'async def name(delivery: Delivery, call: Next)'" in problem


async def test_an_interceptor_sees_the_media_type() -> None:
    """It is the request's own; what says none counts as JSON."""
    seen: list[str] = []

    async def watch(delivery: Delivery, call: Next) -> Outcome:
        seen.append(delivery.content_type)
        return await call(delivery)

    async with running(shop(watch)) as call:
        await call.post("/handle", b"x", [("content-type", "text/plain")])
        await call.post("/handle", b"x")
    assert seen == ["text/plain", "application/json"]
