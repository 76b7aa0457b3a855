"""Delivery through ``pubsub.redis`` and a sidecar: bulk both ways, failures and expiry."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.helpers.recording import Answer
from tests.helpers.servers import RedisServer, redis_server
from tests.helpers.subscribers import Subscribed, subscribed

ORDERS = {"topic": "orders", "route": "/orders", "deadLetterTopic": "dead"}
DEAD = {"topic": "dead", "route": "/dead"}
PLAIN = {"topic": "plain", "route": "/plain"}
BULK = {
    "topic": "bulk",
    "route": "/bulk",
    "bulkSubscribe": {"enabled": True, "maxMessagesCount": 5, "maxAwaitDurationMs": 500},
}


@pytest.fixture
async def redis() -> AsyncIterator[RedisServer]:
    """An empty database of Redis."""
    async with redis_server() as server:
        yield server


@pytest.fixture
async def found(redis: RedisServer, tmp_path: Path) -> AsyncIterator[Subscribed]:
    """An app that subscribes to topics on Redis; the virtual clock ends no handling there."""
    metadata = {**redis.metadata, "processingTimeout": "0"}
    components = {"pubsub": ("pubsub.redis", metadata)}
    async with subscribed(tmp_path, [ORDERS, DEAD, PLAIN, BULK], components) as app:
        yield app


async def test_c_ps_06_bulk_publish(found: Subscribed) -> None:
    """C-PS-06: all entries of a bulk publish arrive."""
    entries = [
        {"entryId": str(n), "event": n, "contentType": "application/json"} for n in range(10)
    ]
    answer = await found.send(
        "POST", "/v1.0/publish/bulk/pubsub/plain", msgspec.json.encode(entries)
    )
    assert (answer.status, answer.body) == (204, b"")
    calls = await found.arrived("/plain", 10)
    assert sorted(call.json()["data"] for call in calls) == list(range(10))


async def test_c_ps_07_bulk_subscribe(found: Subscribed, redis: RedisServer) -> None:
    """C-PS-07: entries come together and are answered one by one; nothing stays pending."""

    def verdicts(body: Any) -> Answer:
        statuses = [
            {"entryId": e["entryId"], "status": "RETRY" if e["event"]["data"] == 3 else "SUCCESS"}
            for e in body["entries"]
        ]
        return Answer.of({"statuses": statuses})

    def seen() -> list[int]:
        calls = found.app.to("/bulk")
        return sorted(e["event"]["data"] for call in calls for e in call.json()["entries"])

    found.app.computed["/bulk"] = lambda call: verdicts(call.json())
    for number in range(7):
        await found.publish("bulk", number)
    await found.sidecar.until(lambda: len(seen()) == 7)
    await found.settled("/bulk")
    assert seen() == list(range(7))
    assert max(len(call.json()["entries"]) for call in found.app.to("/bulk")) <= 5


async def test_a_failed_event_goes_to_its_dead_letter_topic(
    found: Subscribed, redis: RedisServer
) -> None:
    """As with the real one the first failure is the last, with the bytes that were published."""
    found.app.answers["/orders"] = Answer(500)
    await found.publish("orders", {"n": 1})
    (dead,) = await found.arrived("/dead")
    (failed,) = await found.settled("/orders")
    assert dead.json() == failed.json()
    assert await redis.client.xlen("dead") == 1


async def test_a_failed_event_without_one_is_gone(found: Subscribed) -> None:
    """As with the real one it is delivered once."""
    found.app.answers["/plain"] = Answer(500)
    await found.publish("plain", 1)
    await found.arrived("/plain")
    found.app.answers.pop("/plain")
    await found.publish("plain", 2)
    calls = await found.arrived("/plain", 2)
    assert [call.json()["data"] for call in calls] == [1, 2]


async def test_c_ps_15_an_expired_event_is_not_delivered(found: Subscribed) -> None:
    """C-PS-15: an event whose TTL is over when its turn comes is dropped."""
    target = "/v1.0/publish/pubsub/plain?metadata.ttlInSeconds=1"
    await found.sidecar.runtime.pause()
    assert (await found.send("POST", target, b"1")).status == 204
    assert (await found.send("POST", "/v1.0/publish/pubsub/plain", b"2")).status == 204
    found.sidecar.clock.move_to(found.sidecar.clock.now() + 2)
    await found.sidecar.runtime.reconnect()
    calls = await found.arrived("/plain")
    assert [call.json()["data"] for call in calls] == [2]
