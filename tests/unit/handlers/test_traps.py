"""Traps of the runtime's contract, each test named after one, and defects of the official SDK."""

import logging
from typing import Any

import msgspec
import pydantic
import pytest
from starlette.exceptions import HTTPException

from daprflow import AppDefinitionError, Batch, BindingEvent, DaprFlow, Retry, Topic
from daprflow.settings import Settings
from tests.helpers.app_calls import event, running


class Order(pydantic.BaseModel):
    id: int


orders = Topic("pubsub", "orders", Order)


def topic_app(error: Exception | None = None, dead_letter: str | None = None) -> DaprFlow:
    """An app with one topic handler."""
    app = DaprFlow("shop")

    @app.topic(orders, dead_letter=dead_letter)
    async def on_order(order: Order) -> None:
        if error is not None:
            raise error

    return app


async def test_trap_status_words() -> None:
    """A handler's own ``{"status": "paid"}`` would loop for ever: it is refused at freeze."""
    app = DaprFlow("shop")

    @app.topic("pubsub", "orders")  # type: ignore[type-var]  # the point
    async def on_order(order: dict[str, Any]) -> dict[str, str]:
        return {"status": "paid"}

    with pytest.raises(AppDefinitionError, match=r"returns dict\[str, str\]"):
        app.freeze()


@pytest.mark.row("FA-10")
async def test_trap_404_drops_events() -> None:
    """Neither an HTTPException(404) nor an unknown topic is answered 404."""
    async with running(topic_app(HTTPException(404))) as call:
        assert (await call.deliver({"id": 1})).status == 500
        assert (await call.deliver({"id": 1}, "pubsub/unknown")).status == 500


async def test_trap_retry_is_not_a_failure() -> None:
    """``raise Retry`` is 200 RETRY, an unexpected exception 500, so that rules see it."""
    async with running(topic_app(Retry())) as call:
        answer = await call.deliver({"id": 1})
        assert (answer.status, answer.verdict) == (200, "RETRY")
    async with running(topic_app(KeyError())) as call:
        assert (await call.deliver({"id": 1})).status == 500


async def test_trap_bulk_entries_left_out_come_again() -> None:
    """The answer to a batch lists every entry id, whatever the handler did."""
    app = DaprFlow("shop")

    @app.topic("pubsub", "orders")
    async def on_orders(batch: Batch[int]) -> None:
        raise ValueError

    entries = [
        {"entryId": each, "event": msgspec.Raw(event(data)), "contentType": ""}
        for each, data in [("a", 1), ("b", "x"), ("c", 2)]
    ]
    async with running(app) as call:
        body = msgspec.json.encode({"entries": entries})
        answer = await call.post("/dapr/topics/pubsub/orders", body)
    assert [each["entryId"] for each in answer.json["statuses"]] == ["a", "b", "c"]
    assert all(each["status"] for each in answer.json["statuses"])


async def test_trap_204_counts_as_failure() -> None:
    """Bindings, cron ticks and their probes are answered 200 with a body."""
    app = DaprFlow("shop")

    @app.binding("in")
    async def on_in(event: BindingEvent[bytes]) -> None: ...

    @app.cron("tick", "@daily")
    async def tick() -> None: ...

    async with running(app) as call:
        for method in ("POST", "OPTIONS"):
            for path in ("/in", "/tick"):
                answer = await call.request(method, path)
                assert answer.status == 200
                assert answer.body != b""


def test_trap_binding_answers_are_ignored() -> None:
    """A binding handler that returns state or outputs is refused: over HTTP nobody reads it."""
    app = DaprFlow("shop")

    @app.binding("in")
    async def on_in(data: bytes) -> dict[str, str]:
        return {"to": "elsewhere"}

    with pytest.raises(AppDefinitionError, match="call the client instead"):
        app.freeze()


async def test_trap_discovery_behind_a_token() -> None:
    """OPTIONS and ``/dapr/subscribe`` are answered by the app itself, with the sidecar's token."""
    app = DaprFlow("shop", settings=Settings(app_api_token="t"))

    @app.binding("in")
    async def on_in(data: bytes) -> None: ...

    async with running(app) as call:
        headers = [("dapr-api-token", "t")]
        assert (await call.request("OPTIONS", "/in", headers=headers)).status == 200
        assert (await call.get("/dapr/subscribe", headers)).status == 200


async def test_trap_options_405_counts_as_subscribed() -> None:
    """OPTIONS on a path that is no binding is 404, even where POST is an invoke method."""
    app = DaprFlow("shop")

    @app.invoke
    async def quote() -> int:
        return 1

    async with running(app) as call:
        for path in ("/quote", "/nothing", "/"):
            assert (await call.request("OPTIONS", path)).status == 404


async def test_trap_double_encoded_payloads(caplog: pytest.LogCaptureFixture) -> None:
    """JSON that was published without a content type arrives as a string and is decoded."""
    async with running(topic_app()) as call:
        caplog.clear()
        for _ in range(3):
            answer = await call.deliver('{"id":7}', datacontenttype="text/plain")
            assert answer.verdict == "SUCCESS"
    assert len(caplog.records) == 1


@pytest.mark.row("FA-13")
async def test_trap_undecodable_messages(caplog: pytest.LogCaptureFixture) -> None:
    """A poison message is dropped where a dead letter is named, else 500 after a warning."""
    caplog.set_level(logging.WARNING)
    async with running(topic_app(dead_letter="dead")) as call:
        assert caplog.records == []
        assert (await call.deliver({"id": "x"})).verdict == "DROP"
    caplog.clear()
    async with running(topic_app()) as call:
        assert "no dead letter topic is named for 'pubsub/orders'" in caplog.text
        assert (await call.deliver({"id": "x"})).status == 500


async def test_trap_app_token() -> None:
    """With APP_API_TOKEN set nobody else can deliver events."""
    app = topic_app()
    app.settings = Settings(app_api_token="t")
    async with running(app) as call:
        assert (await call.deliver({"id": 1})).status == 401


@pytest.mark.row("S-33")
async def test_trap_forged_events() -> None:
    """An app that may invoke this one cannot deliver events to it past publishing scopes."""
    async with running(topic_app()) as call:
        headers = [("dapr-caller-app-id", "other"), ("dapr-caller-namespace", "default")]
        answer = await call.post("/dapr/topics/pubsub/orders", event({"id": 1}), headers)
    assert answer.status == 403


async def test_defect_1_the_payload_comes_from_data() -> None:
    """An envelope whose own id is "1" does not become ``Order(id=1)``: data says 7."""
    seen: list[Order] = []
    app = DaprFlow("shop")

    @app.topic("pubsub", "orders")
    async def on_order(order: Order) -> None:
        seen.append(order)

    async with running(app) as call:
        await call.deliver({"id": 7}, id="1")
    assert seen == [Order(id=7)]


@pytest.mark.parametrize(("dead_letter", "status"), [("dead", 200), (None, 500)])
async def test_defect_2_a_bad_payload_has_a_declared_policy(
    dead_letter: str | None, status: int
) -> None:
    """An envelope with a UUID is fine, and bad data is dropped or retried, never a bare 422."""
    async with running(topic_app(dead_letter=dead_letter)) as call:
        assert (await call.deliver({"id": 7})).verdict == "SUCCESS"
        assert (await call.deliver({"id": "seven"})).status == status


async def test_defect_3_decorators_return_the_function() -> None:
    """The module's name is still the function: it can be called and decorated again."""
    app = DaprFlow("shop")

    async def on_order(order: Order) -> None: ...

    async def tick() -> None: ...

    async def made() -> int:
        return 1

    assert app.topic(orders)(on_order) is on_order
    assert app.topic("pubsub", "others")(on_order) is on_order
    assert app.cron("tick", "@daily")(tick) is tick
    assert app.binding("in")(tick) is tick
    assert app.provide(made) is made
    assert await app.invoke(made)() == 1  # type: ignore[operator]  # typed as a handle
    app.freeze()
