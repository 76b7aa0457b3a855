"""Topic handlers: what each way of ending means to the sidecar."""

import logging

import msgspec
import pytest
from starlette.exceptions import HTTPException

from daprflow import Client, CloudEvent, DaprFlow, Drop, Retry, Status, Topic
from tests.helpers.app_calls import event, running, without_data


class Order(msgspec.Struct):
    id: str
    total: int


orders = Topic("pubsub", "orders", Order)
ORDER = {"id": "7", "total": 5}


def raising(error: BaseException, dead_letter: str | None = None) -> DaprFlow:
    """An app whose only handler raises ``error``."""
    app = DaprFlow("shop")

    @app.topic(orders, dead_letter=dead_letter)
    async def on_order(order: Order) -> None:
        raise error

    return app


def returning(status: Status | None) -> DaprFlow:
    """An app whose only handler returns ``status``."""
    app = DaprFlow("shop")

    @app.topic(orders)
    async def on_order(order: Order) -> Status | None:
        return status

    return app


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (None, "SUCCESS"),
        (Status.SUCCESS, "SUCCESS"),
        (Status.RETRY, "RETRY"),
        (Status.DROP, "DROP"),
    ],
)
async def test_a_returned_status_is_the_verdict(status: Status | None, word: str) -> None:
    """None means success, a Status means itself, and every one is answered 200."""
    async with running(returning(status)) as call:
        answer = await call.deliver(ORDER)
    assert (answer.status, answer.json) == (200, {"status": word})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.body))


@pytest.mark.parametrize(("error", "word"), [(Retry(), "RETRY"), (Drop("bad"), "DROP")])
async def test_retry_and_drop_are_answered_200(error: Exception, word: str) -> None:
    """Retry and Drop are verdicts, not failures."""
    async with running(raising(error)) as call:
        answer = await call.deliver(ORDER)
    assert (answer.status, answer.verdict) == (200, word)


@pytest.mark.row("FA-09", "FA-11")
@pytest.mark.parametrize(
    "error",
    [ValueError("x"), HTTPException(404), SystemExit(3), StopAsyncIteration(), TimeoutError()],
    ids=lambda error: type(error).__name__,
)
async def test_other_exceptions_are_500(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever else is raised is 500 with one traceback in the log, never 404."""
    async with running(raising(error)) as call:
        caplog.clear()
        answer = await call.deliver(ORDER, id="e1")
    assert answer.status == 500
    [record] = caplog.records
    assert record.exc_info is not None
    assert "topic handler 'on_order'" in record.getMessage()
    assert "event 'e1'" in record.getMessage()
    assert "'pubsub/orders'" in record.getMessage()


@pytest.mark.row("FA-11")
@pytest.mark.parametrize("error", [KeyboardInterrupt(), GeneratorExit()])
async def test_the_end_of_the_process_is_passed_on(error: BaseException) -> None:
    """Ctrl-C is not a verdict."""
    async with running(raising(error)) as call:
        with pytest.raises(type(error)):
            await call.deliver(ORDER)


async def test_the_payload_is_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Neither a failure nor an undecodable payload puts a value of the payload into the log."""
    caplog.set_level(logging.DEBUG)
    app = raising(ValueError("boom"))
    async with running(app) as call:
        await call.deliver({"id": "hush-secret", "total": 5})
        await call.deliver({"id": "hush-secret", "total": "hush-total"})
    assert "hush" not in caplog.text


@pytest.mark.row("FA-14")
@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "empty"),
        (b"\xff\xfe", "not"),
        (b'{"id":"\xff"}', "UTF-8"),
        (b'{"data":' + b"[" * 100_000, "nested too deeply"),
        (b"{", "not JSON"),
        (b"[]", "Expected `object`"),
        (b"null", "Expected `object`"),
        (event(ORDER, id=7), "$.id"),
        (event(ORDER, source=None), "$.source"),
        (event(ORDER, type=[]), "$.type"),
        (event(ORDER, specversion=1.0), "$.specversion"),
        (event({"id": "7", "total": "5"}), "$.total"),
        (event({"id": "7"}), "total"),
        (event(None), "data"),
        (without_data(), "no 'data'"),
        (without_data(data_base64="*"), "data_base64"),
        (without_data(data_base64="bm9wZQ=="), "not JSON"),
        (event('{"id":1}'), "data"),
    ],
    ids=lambda value: repr(value)[:32],
)
async def test_undecodable_events_have_a_declared_verdict(
    body: bytes, named: str, caplog: pytest.LogCaptureFixture
) -> None:
    """They are dropped to the dead letter topic where one is named, else answered 500."""
    verdicts = []
    for dead_letter in ("orders-dead", None):
        async with running(raising(AssertionError(), dead_letter)) as call:
            caplog.clear()
            answer = await call.post("/dapr/topics/pubsub/orders", body)
        [record] = caplog.records
        assert named in record.getMessage().replace("at `$.data.", "at `$.")
        assert record.exc_info is None
        verdicts.append((answer.status, answer.json.get("status")))
    assert verdicts == [(200, "DROP"), (500, None)]


@pytest.mark.parametrize("name", ["id", "source", "type", "specversion"])
async def test_a_missing_attribute_is_named(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """An envelope that lacks a required attribute is undecodable, and the log says which."""
    envelope = msgspec.json.decode(event(ORDER))
    del envelope[name]
    async with running(raising(AssertionError())) as call:
        caplog.clear()
        answer = await call.post("/dapr/topics/pubsub/orders", msgspec.json.encode(envelope))
    assert answer.status == 500
    assert f"`{name}`" in caplog.text


async def test_duplicate_keys_take_the_last() -> None:
    """Of two equal keys the last one wins, as in the real runtime."""
    seen: list[CloudEvent[Order]] = []
    app = DaprFlow("shop")

    @app.topic(orders)
    async def on_order(received: CloudEvent[Order]) -> None:
        seen.append(received)

    body = event(ORDER)[:-1] + b',"id":"last","data":{"id":"9","total":9}}'
    async with running(app) as call:
        assert (await call.post("/dapr/topics/pubsub/orders", body)).verdict == "SUCCESS"
    assert (seen[0].id, seen[0].data) == ("last", Order("9", 9))


async def test_json_that_was_published_as_text_is_decoded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """JSON inside a string is decoded to the payload's type, and that is logged once."""
    seen: list[Order] = []
    app = DaprFlow("shop")

    @app.topic(orders, dead_letter="dead")
    async def on_order(order: Order) -> None:
        seen.append(order)

    async with running(app) as call:
        for _ in range(2):
            await call.deliver('{"id":"7","total":5}', datacontenttype="text/plain")
    assert seen == [Order("7", 5)] * 2
    assert caplog.text.count("JSON inside a string") == 1


async def test_a_handler_may_have_no_payload() -> None:
    """A topic handler with keyword-only parameters alone is called without the event."""
    seen: list[Client] = []
    app = DaprFlow("shop")

    @app.topic("pubsub", "orders")
    async def on_order(*, client: Client) -> None:
        seen.append(client)

    async with running(app) as call:
        assert (await call.deliver(ORDER)).verdict == "SUCCESS"
        assert seen == [app.client]


async def test_an_unannotated_payload_takes_the_type_of_the_handle() -> None:
    """The handle's type is used where the parameter has none."""
    seen: list[object] = []
    app = DaprFlow("shop")

    def on_order(order) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - the point
        seen.append(order)

    app.topic(orders)(on_order)
    async with running(app) as call:
        await call.deliver(ORDER)
    assert seen == [Order("7", 5)]


async def test_a_return_value_without_annotation_is_never_sent() -> None:
    """A handler that returns something odd without saying so acknowledges the event."""
    app = DaprFlow("shop")

    def on_order(order):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - the point
        return {"status": "paid"}

    app.topic(orders)(on_order)
    async with running(app) as call:
        assert (await call.deliver(ORDER)).json == {"status": "SUCCESS"}
