"""What of an event gets into protobuf; the expectations were seen with a real runtime 1.18.3."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from daprflow.protocol import messages as m
from daprflow.protocol.deliveries import Status
from daprflow.sidecar.app.postman import Reading, TopicEntry
from daprflow.sidecar.components.base import Message
from daprflow.sidecar.topic_events import BadEnvelope, bulk_entry, topic_event, verdict_of

EVENT = {
    "id": "e1",
    "source": "shop",
    "type": "order",
    "specversion": "1.0",
    "datacontenttype": "application/json",
    "data": {"n": 1},
    "time": "2026-11-21T08:29:03Z",
    "traceid": "",
}


def read(
    event: Mapping[str, Any] | bytes, metadata: Mapping[str, str] | None = None, path: str = "/"
) -> m.TopicEventRequest:
    """Tell of an event."""
    body = event if isinstance(event, bytes) else msgspec.json.encode(event)
    return topic_event("pubsub", "t", Message("t", body, metadata), Reading(body, None, path))


def test_every_field_has_its_place() -> None:
    """Attributes with a field of their own are in it, and all others are extensions."""
    expected = m.TopicEventRequest(
        id="e1",
        source="shop",
        type="order",
        spec_version="1.0",
        data_content_type="application/json",
        data=b'{"n":1}',
        topic="t",
        pubsub_name="pubsub",
        path="/vip",
    )
    expected.extensions.update({"time": "2026-11-21T08:29:03Z", "traceid": ""})
    assert read(EVENT, path="/vip") == expected


@pytest.mark.parametrize(
    ("content_type", "data", "expected"),
    [
        ("application/json", {"<": 1.0, "a": None}, b'{"\\u003c":1,"a":null}'),
        ("application/json", 12345678901234567890, b"12345678901234567000"),
        ("application/json; charset=utf-8", "text", b'"text"'),
        ("application/cloudevents+json", [1], b"[1]"),
        ("application/json", None, b""),
        ("text/plain", "text", b"text"),
        ("TEXT/HTML", "h\u00e9", "h\u00e9".encode()),
        ("application/xml", "<x/>", b"<x/>"),
        ("application/vnd.x+json", {"n": 1}, b""),
        ("application/x-www-form-urlencoded", "a=b", b""),
        ("", "text", b""),
    ],
)
def test_data(content_type: str, data: Any, expected: bytes) -> None:
    """JSON is written anew with float64 numbers, text is itself, other types lose their data."""
    assert read({**EVENT, "datacontenttype": content_type, "data": data}).data == expected


def test_binary_data() -> None:
    """What is in ``data_base64`` arrives whatever the content type, and goes before ``data``."""
    event = {**EVENT, "datacontenttype": "image/png", "data_base64": "AP8=\n"}
    assert read(event).data == b"\x00\xff"
    assert (
        read({**event, "data_base64": None, "datacontenttype": "text/x", "data": "x"}).data == b"x"
    )


@pytest.mark.parametrize(
    "event",
    [
        {**EVENT, "datacontenttype": "text/plain"},
        {**EVENT, "data_base64": "!!"},
        {**EVENT, "data_base64": 5},
        b"[]",
        b'{"id":"\xff"',
    ],
)
def test_what_cannot_be_told(event: Mapping[str, Any] | bytes) -> None:
    """Text that is no string, base64 that is none, and what is no event are refused."""
    with pytest.raises(BadEnvelope):
        read(event)


def test_attributes_that_are_no_strings() -> None:
    """An id that is a number counts as none."""
    assert read({**EVENT, "id": 5}).id == ""


def test_extensions_may_be_of_any_kind() -> None:
    """Extensions keep their JSON, numbers as float64."""
    deep = {"list": [1, None, True, "s", {}], "n": 5, "big": 2**70}
    assert dict(read({"id": "e", "ext": deep}).extensions)["ext"] == {**deep, "big": float(2**70)}


def test_an_event_without_extensions_has_an_empty_set_of_them() -> None:
    """The field is there though it is empty."""
    assert read({"id": "e"}).HasField("extensions")


def test_trace_context_of_the_metadata() -> None:
    """A trace context in the message's metadata fills in what the event lacks, and no more."""
    metadata = {"traceid": "t1", "traceparent": "p1", "tracestate": "s1"}
    found = dict(read({"id": "e", "tracestate": "own"}, metadata).extensions)
    assert found == {"traceid": "p1", "traceparent": "p1", "tracestate": "own"}
    assert dict(read({"id": "e"}, {"traceid": "t1"}).extensions) == {"traceid": "t1"}


def entry(body: bytes, metadata: Mapping[str, str] | None = None) -> TopicEntry:
    """An event of a batch."""
    return TopicEntry("1", Message("t", body, metadata), Reading(body, None, "/"))


def test_an_event_of_a_batch() -> None:
    """It has its id, its metadata, no content type, and of the event all but binary data."""
    found = bulk_entry(entry(msgspec.json.encode(EVENT), {"k": "v"}), raw=False)
    assert (found.entry_id, found.content_type, dict(found.metadata)) == ("1", "", {"k": "v"})
    assert (found.cloud_event.id, found.cloud_event.data) == ("e1", b'{"n":1}')
    assert found.cloud_event.extensions["time"] == EVENT["time"]
    binary = msgspec.json.encode({"id": "e", "data_base64": "AA=="})
    assert bulk_entry(entry(binary), raw=False).cloud_event.data == b""


def test_a_raw_event_of_a_batch() -> None:
    """It is the bytes that were published."""
    assert bulk_entry(entry(b"\x00raw"), raw=True).bytes == b"\x00raw"


def test_verdicts() -> None:
    """A number nobody knows means "again"."""
    statuses = [verdict_of(status).status for status in (0, 1, 2, 7)]
    assert statuses == [Status.SUCCESS, Status.RETRY, Status.DROP, Status.RETRY]
