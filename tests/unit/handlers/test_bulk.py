"""Bulk subscriptions: every entry has a verdict of its own."""

import base64
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from daprflow import Batch, DaprFlow, Drop, Retry, Status, Topic
from tests.helpers.app_calls import Answer, attributes, running


class Metric(msgspec.Struct):
    value: int


metrics = Topic("pubsub", "metrics", Metric)
PATH = "/dapr/topics/pubsub/metrics"


def bulk(*events: Any) -> bytes:
    """A bulk delivery whose entries are called 0, 1, 2 and so on."""
    entries = [
        {"entryId": str(number), "event": each, "metadata": {}, "contentType": "x"}
        for number, each in enumerate(events)
    ]
    document = {
        "id": "b1",
        "entries": entries,
        "pubsubname": "pubsub",
        "topic": "metrics",
        "metadata": {"pubsubName": "pubsub"},
        "type": "com.dapr.event.sent.bulk",
    }
    return msgspec.json.encode(document)


def metric(value: object) -> dict[str, Any]:
    """One event of a batch."""
    return {**attributes(), "data": {"value": value}}


def verdicts(answer: Answer) -> dict[str, str]:
    """The status of each entry in an answer."""
    assert answer.status == 200
    return {each["entryId"]: each["status"] for each in answer.json["statuses"]}


async def handled(app: DaprFlow, body: bytes) -> dict[str, str]:
    """Deliver a batch and return the verdicts."""
    async with running(app) as call:
        return verdicts(await call.post(PATH, body))


def judging(
    dead_letter: str | None = None, ending: BaseException | Status | None = None
) -> DaprFlow:
    """An app that drops 1, retries 2, settles 3, and then ends in some way."""
    app = DaprFlow("shop")

    @app.topic(metrics, dead_letter=dead_letter)
    async def on_metrics(batch: Batch[Metric]) -> Status | None:
        for entry in batch:
            decide = {1: entry.drop, 2: entry.retry, 3: entry.done}.get(entry.data.value)
            if decide is not None:
                decide()
        if isinstance(ending, BaseException):
            raise ending
        return ending

    return app


async def test_every_entry_is_answered() -> None:
    """The answer lists every entry, in order, done unless the handler said otherwise."""
    found = await handled(judging(), bulk(metric(0), metric(1), metric(2), metric(3)))
    assert list(found.items()) == [
        ("0", "SUCCESS"),
        ("1", "DROP"),
        ("2", "RETRY"),
        ("3", "SUCCESS"),
    ]


@pytest.mark.parametrize(
    ("ending", "word"),
    [
        (ValueError("x"), "RETRY"),
        (Retry(), "RETRY"),
        (Drop(), "DROP"),
        (Status.RETRY, "RETRY"),
        (Status.DROP, "DROP"),
        (Status.SUCCESS, "SUCCESS"),
    ],
    ids=str,
)
async def test_how_the_handler_ends_is_for_the_rest(
    ending: BaseException | Status, word: str
) -> None:
    """A failure or a status counts for the entries that were not decided before."""
    found = await handled(judging(ending=ending), bulk(metric(0), metric(1), metric(3)))
    assert found == {"0": word, "1": "DROP", "2": "SUCCESS"}


@pytest.mark.row("FA-14")
@pytest.mark.parametrize(("dead_letter", "word"), [("dead", "DROP"), (None, "RETRY")])
async def test_an_undecodable_entry_leaves_its_neighbours_alone(
    dead_letter: str | None, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Only the bad entry is dropped or retried, and the log names it without its payload."""
    body = bulk(metric(0), metric("hush"), {"id": "1"}, 5, None, metric(0))
    found = await handled(judging(dead_letter), body)
    assert found == {"0": "SUCCESS", "1": word, "2": word, "3": word, "4": word, "5": "SUCCESS"}
    assert "entry '1'" in caplog.text
    assert "hush" not in caplog.text


async def test_a_batch_of_bad_entries_calls_nobody() -> None:
    """A handler is not called with an empty batch."""
    found = await handled(judging(ending=AssertionError()), bulk(metric("x")))
    assert found == {"0": "RETRY"}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"entries":[{}]}', b"\xff"])
async def test_an_undecodable_batch_has_the_usual_verdict(body: bytes) -> None:
    """What is no batch at all is answered 500, or dropped where a dead letter is named."""
    async with running(judging()) as call:
        assert (await call.post(PATH, body)).status == 500
    async with running(judging("dead")) as call:
        assert (await call.post(PATH, body)).verdict == "DROP"


async def test_raw_entries_are_events_around_bytes() -> None:
    """The entries of a raw subscription are base64 and get an envelope of their own."""
    seen: list[tuple[str, str, str, bytes]] = []
    app = DaprFlow("shop")

    @app.topic("pubsub", "metrics", raw=True)
    async def on_metrics(batch: Batch[bytes]) -> None:
        seen.extend((each.id, each.event.topic, each.event.source, each.data) for each in batch)

    found = await handled(app, bulk(base64.b64encode(b"\xff").decode(), "no base64!"))
    assert found == {"0": "SUCCESS", "1": "RETRY"}
    assert seen == [("0", "metrics", "Dapr", b"\xff")]


async def test_a_batch_is_a_sequence() -> None:
    """A batch has a length, an order, and entries by position."""
    seen: list[object] = []
    app = DaprFlow("shop")

    @app.topic(metrics)
    async def on_metrics(batch: Batch[Metric]) -> None:
        seen.extend([len(batch), batch[0].data, batch[-1].data.value, repr(batch[0])])

    await handled(app, bulk(metric(4), metric(5)))
    assert seen == [2, Metric(4), 5, "Entry('0')"]


async def test_bulk_is_asked_for_in_the_subscription() -> None:
    """The options of a bulk handler stand in the document the sidecar reads."""
    app = DaprFlow("shop")

    @app.topic(metrics, max_messages=200, max_wait=timedelta(milliseconds=150))
    async def on_metrics(batch: Batch[Metric]) -> None: ...

    async with running(app) as call:
        [found] = (await call.get("/dapr/subscribe")).json
    assert found["bulkSubscribe"] == {
        "enabled": True,
        "maxMessagesCount": 200,
        "maxAwaitDurationMs": 150,
    }
