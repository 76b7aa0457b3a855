"""What a publish request puts onto a broker."""

import re
import time
from typing import Any

import msgspec
import pytest

from daprflow.protocol.operations import BulkPublishEntry
from daprflow.sidecar.blocks.pubsub_publish import (
    NO_CONTEXT,
    BadEntryError,
    BadEventError,
    BadMetadataError,
    Publisher,
    Trace,
    checked,
    entry_body,
    is_raw,
    merged,
    read_entries,
    rfc3339,
    ttl_seconds,
)
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import Message

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def publish(
    body: bytes,
    content_type: str,
    metadata: dict[str, str] | None = None,
    trace: Trace = NO_CONTEXT,
    *,
    keeps_ttl: bool = False,
) -> Message:
    """Return the message of one request."""
    publisher = Publisher("app1", VirtualClock(1_000_000_000.5))
    metadata = metadata or {}
    return publisher.message(
        "pubsub",
        "t",
        body,
        content_type,
        metadata,
        trace=trace,
        keeps_ttl=keeps_ttl,
        raw=is_raw(metadata),
    )


def event(message: Message) -> dict[str, Any]:
    """Return the envelope."""
    decoded: dict[str, Any] = msgspec.json.decode(message.data)
    return decoded


def test_an_envelope_has_everything_the_real_one_has() -> None:
    """Its attributes, in the order of the wire."""
    found = event(publish(b'{"a":1}', "application/json"))
    assert list(found) == sorted(found)
    identity, moment = found.pop("id"), found.pop("time")
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", identity
    )
    assert moment == rfc3339(1_000_000_000)
    assert found == {
        "data": {"a": 1},
        "datacontenttype": "application/json",
        "pubsubname": "pubsub",
        "source": "app1",
        "specversion": "1.0",
        "topic": "t",
        "traceid": "",
        "traceparent": "",
        "tracestate": "",
        "type": "com.dapr.event.sent",
    }


def test_a_trace_stands_in_the_envelope() -> None:
    """``traceid`` and ``traceparent`` are the caller's parent."""
    found = event(publish(b"x", "", trace=Trace(PARENT, "a=b")))
    assert (found["traceid"], found["traceparent"], found["tracestate"]) == (PARENT, PARENT, "a=b")


def test_a_ttl_becomes_an_expiration() -> None:
    """Only where the broker does not keep track itself."""
    metadata = {"TTLInSeconds": "10"}
    assert event(publish(b"x", "", metadata))["expiration"] == "2001-09-09T01:46:50Z"
    assert "expiration" not in event(publish(b"x", "", metadata, keeps_ttl=True))
    assert "expiration" not in event(publish(b"x", "", {"ttlInSeconds": "-1"}))


def test_a_raw_payload_has_no_envelope() -> None:
    """The bytes go out untouched, whatever they are."""
    message = publish(b"\x00\xff", "application/json", {"rawPayload": "true"})
    assert message == Message("t", b"\x00\xff", {"rawPayload": "true"}, "application/json")


@pytest.mark.parametrize(
    ("value", "raw"),
    [("true", True), ("1", True), ("T", True), ("false", False), ("0", False), ("", False)],
)
def test_raw_payload_takes_gos_booleans(value: str, raw: bool) -> None:  # noqa: FBT001 - a table's column
    """The name is case-sensitive, the value is one of Go's."""
    assert is_raw({"rawPayload": value, "RAWPAYLOAD": "x"}) is raw


@pytest.mark.parametrize("value", ["yes", '"true"', "tRUE", "2"])
def test_raw_payload_refuses_the_rest(value: str) -> None:
    """Anything else is an error with the real one's words."""
    with pytest.raises(
        BadMetadataError, match="rawPayload value must be a valid boolean: actual is"
    ):
        is_raw({"rawPayload": value})


@pytest.mark.parametrize(
    ("metadata", "seconds"),
    [
        ({"ttlInSeconds": "5"}, 5),
        ({"ttl": "7"}, 7),
        ({"ttlInSeconds": "0"}, 0),
        ({"ttlInSeconds": "1m"}, 60),
        ({"ttlInSeconds": "5", "ttl": "7"}, 7),
        ({"ttlInSeconds": "-3"}, None),
        ({"ttlInSeconds": "x"}, None),
        ({"other": "5"}, None),
    ],
)
def test_ttl_is_a_number_above_zero(metadata: dict[str, str], seconds: int | None) -> None:
    """What is none is ignored, as the real one ignores it."""
    assert ttl_seconds(metadata) == seconds


@pytest.mark.parametrize(
    ("content_type", "raw", "body"),
    [
        ("application/json", b'{"b":1.0,"a":2}', b'{"a":2,"b":1}'),
        ("application/cloudevents+json", b'{"id":"1"}', b'{"id":"1"}'),
        ("text/plain", b'"two"', b"two"),
        ("application/xml; charset=utf-8", b'"<a/>"', b"<a/>"),
        ("application/octet-stream", b'"AAH/"', b"\x00\x01\xff"),
    ],
)
def test_an_entrys_event_fits_its_content_type(content_type: str, raw: bytes, body: bytes) -> None:
    """JSON is taken as it is, text and binary from strings."""
    assert entry_body(BulkPublishEntry("a", msgspec.Raw(raw), content_type)) == body


@pytest.mark.parametrize(
    ("content_type", "raw"),
    [
        ("text/plain", b"5"),
        ("application/octet-stream", b'"no base64!"'),
        ("application/octet-stream", b"{}"),
        ("application/vnd.x+json", b"{}"),
        ("", b'"x"'),
    ],
)
def test_an_event_that_does_not_fit_is_refused(content_type: str, raw: bytes) -> None:
    """A mismatch is an error of the whole request."""
    with pytest.raises(BadEventError, match=r"mismatch between contentType and event|base64"):
        entry_body(BulkPublishEntry("a", msgspec.Raw(raw), content_type))


@pytest.mark.parametrize("ids", [("a", "a"), ("",)])
def test_entry_ids_must_be_there_once(ids: tuple[str, ...]) -> None:
    """A missing or repeated id is an error of the whole request."""
    entries = [BulkPublishEntry(i, msgspec.Raw(b"1"), "application/json") for i in ids]
    with pytest.raises(BadEntryError, match="duplicated or not present"):
        list(checked(read_entries(entries)))


def test_an_entrys_metadata_stands_over_the_requests() -> None:
    """The request's counts only for entries that have some."""
    assert merged({}, None) is None
    assert merged({"a": "1"}, None) is None
    assert merged({"a": "1"}, {}) == {"a": "1"}
    assert merged({"a": "1", "b": "1"}, {"b": "2"}) == {"a": "1", "b": "2"}
    assert merged({}, {"b": "2"}) == {"b": "2"}


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("UTC", "2001-09-09T01:46:40Z"),
        ("Asia/Kolkata", "2001-09-09T07:16:40+05:30"),
        ("America/St_Johns", "2001-09-08T23:16:40-02:30"),
    ],
)
def test_time_is_local_with_its_offset(
    monkeypatch: pytest.MonkeyPatch, zone: str, text: str
) -> None:
    """As Go writes RFC 3339: ``Z`` only for UTC."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert rfc3339(1_000_000_000) == text
    finally:
        monkeypatch.undo()
        time.tzset()
