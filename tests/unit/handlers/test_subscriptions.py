"""The document a sidecar reads, and what start-up warns of."""

import logging
from typing import Any

import msgspec
import pytest

from daprflow import DaprFlow, Topic
from tests.helpers.app_calls import running

orders = Topic("pubsub", "orders", dict)


async def one(order: dict[str, Any]) -> None: ...


async def two(order: dict[str, Any]) -> None: ...


async def three(order: dict[str, Any]) -> None: ...


async def document(app: DaprFlow) -> Any:
    """What ``GET /dapr/subscribe`` answers."""
    async with running(app) as call:
        answer = await call.get("/dapr/subscribe")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    return answer.json


async def test_an_app_without_topics_has_no_subscriptions() -> None:
    """The document is an empty list, and the configuration an empty object."""
    app = DaprFlow("shop")
    assert await document(app) == []
    async with running(app) as call:
        assert (await call.get("/dapr/config")).json == {}


async def test_a_single_handler_is_a_route() -> None:
    """One handler without a rule needs no routes object."""
    app = DaprFlow("shop")
    app.topic(orders)(one)
    assert await document(app) == [
        {"pubsubname": "pubsub", "topic": "orders", "route": "/dapr/topics/pubsub/orders"}
    ]


async def test_rules_keep_their_order_and_the_default_is_last() -> None:
    """The handler without ``match`` may stand first and is emitted as the default."""
    app = DaprFlow("shop")
    app.topic(orders)(one)
    app.topic(orders, match='event.type == "b"')(two)
    app.topic(orders, match='event.type == "a"')(three)
    [found] = await document(app)
    assert found["routes"] == {
        "rules": [
            {"path": "/dapr/topics/pubsub/orders/two", "match": 'event.type == "b"'},
            {"path": "/dapr/topics/pubsub/orders/three", "match": 'event.type == "a"'},
        ],
        "default": "/dapr/topics/pubsub/orders",
    }
    assert "route" not in found


async def test_options_belong_to_the_topic() -> None:
    """One handler may set them for all; metadata values are strings."""
    app = DaprFlow("shop")
    app.topic(orders)(one)
    app.topic(orders, match="event.x", dead_letter="dead", raw=True, metadata={"consumerID": "x"})(
        two
    )
    [found] = await document(app)
    assert found["deadLetterTopic"] == "dead"
    assert found["metadata"] == {"consumerID": "x", "rawPayload": "true"}


async def test_a_dead_letter_counts_for_every_handler_of_the_topic() -> None:
    """An undecodable event is dropped although another handler named the dead letter topic."""
    app = DaprFlow("shop")
    app.topic(Topic("pubsub", "orders", int))(number)
    app.topic(Topic("pubsub", "orders", int), match="event.x", dead_letter="dead")(another_number)
    async with running(app) as call:
        assert (await call.deliver("x")).verdict == "DROP"


async def number(value: int) -> None: ...


async def another_number(value: int) -> None: ...


async def test_names_are_escaped_in_paths() -> None:
    """A topic whose name has slashes and spaces is one path segment, and is found again."""
    app = DaprFlow("shop")
    seen: list[str] = []

    @app.topic("pub sub", "orders/eu/#1")
    async def on_order(*, delivery: "Any" = None) -> None:
        seen.append("called")

    [found] = await document(app)
    assert found["route"] == "/dapr/topics/pub%20sub/orders%2Feu%2F%231"
    async with running(app) as call:
        assert (await call.post(found["route"], b"x")).verdict == "SUCCESS"
    assert seen == ["called"]


async def test_names_that_look_alike_once_decoded_are_told_apart() -> None:
    """Slashes inside names stay inside them, by the path as it was sent."""
    app = DaprFlow("shop")
    seen: list[str] = []

    @app.topic("pubsub/a", "b")
    async def first() -> None:
        seen.append("first")

    @app.topic("pubsub", "a/b")
    async def second() -> None:
        seen.append("second")

    async with running(app) as call:
        for path in [each["route"] for each in (await call.get("/dapr/subscribe")).json]:
            await call.post(path, b"x")
        unknown = await call.post("/dapr/topics/pubsub/a/b", b"x")
    assert seen == ["first", "second"]
    assert unknown.status == 500


async def test_missing_defaults_and_dead_letters_are_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Start-up says what may surprise: events without a handler, events without a way out."""
    app = DaprFlow("shop")
    app.topic(orders, match="event.x")(one)
    app.topic("pubsub", "other", dead_letter="dead")(two)
    caplog.set_level(logging.WARNING)
    async with running(app):
        pass
    assert [record.getMessage() for record in caplog.records] == list(app.warnings())
    assert [warning[:36] for warning in app.warnings()] == [
        "topic 'pubsub/orders' has rules but ",
        "no dead letter topic is named for 'p",
    ]
    assert "other" not in app.warnings()[1]


def test_the_table_describes_every_handler() -> None:
    """Tools see kind, path, place, payload and options of each handler."""
    app = DaprFlow("shop")
    app.topic(orders, match="event.x", dead_letter="dead")(one)
    app.cron("tick", "@daily")(empty)
    app.invoke(empty)
    first, second, third = app.table()
    assert (first.kind, first.method, first.path) == (
        "topic",
        "POST",
        "/dapr/topics/pubsub/orders/one",
    )
    assert (first.name, first.handler, first.payload) == ("pubsub/orders", "one", "dict[str, Any]")
    assert first.source == f"{__name__}:{one.__code__.co_firstlineno}"
    assert first.options == {"match": "event.x", "dead_letter": "dead"}
    assert (second.kind, second.path, second.options) == ("cron", "/tick", {"schedule": "@daily"})
    assert (third.kind, third.path, third.payload, third.options) == ("invoke", "/empty", "", {})
    assert msgspec.json.encode(app.table())
    assert [plan.address for plan in app.topics()] == ["pubsub/orders"]


async def empty() -> None: ...
