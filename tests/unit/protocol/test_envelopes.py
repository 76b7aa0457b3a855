"""The envelope that a publisher's sidecar writes."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daprflow.protocol.envelopes import Stamp, adopt, is_cloud_event, synthesise, wrap
from daprflow.protocol.gojson import GoJsonError

STAMP = Stamp("id-1", "app1", "pubsub", "t", "2026-01-01T00:00:00Z")
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def payload(body: bytes, content_type: str) -> bytes:
    """Return the envelope's part up to ``datacontenttype``, as bytes."""
    return wrap(body, content_type, STAMP).partition(b',"datacontenttype"')[0]


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b'{"id": 1}', "application/json", b'{"data":{"id":1}'),
        (b'{"b":1,"a":[ 2 ]}', "application/json", b'{"data":{"a":[2],"b":1}'),
        (b"1.0", "application/json", b'{"data":1.0'),
        (b"12345678901234567890123", "application/json", b'{"data":12345678901234567890123'),
        (b'"<&>"', "application/json; charset=utf-8", b'{"data":"\\u003c\\u0026\\u003e"'),
        (b"null", "APPLICATION/JSON", b'{"data":null'),
        (b'{"a":1,"a":2}', "application/json", b'{"data":{"a":2}'),
        (b"{bad", "application/json", b'{"data":"{bad"'),
        (b"", "application/json", b'{"data":""'),
        (b"[" * 5000, "application/json", b'{"data":"' + b"[" * 5000 + b'"'),
        (b"hello", "text/plain", b'{"data":"hello"'),
        (b"hello", "", b'{"data":"hello"'),
        (b'{"a":1}', "application/vnd.x+json", b'{"data":"{\\"a\\":1}"'),
        (b"\xff", "text/plain", b'{"data":"\xef\xbf\xbd"'),
        ("\u2028".encode(), "text/plain", b'{"data":"\\u2028"'),
        (b"\x00\x01\xff", "application/octet-stream", b'{"data_base64":"AAH/"'),
        (b"", "application/octet-stream", b'{"data_base64":""'),
        (b"x", "application/cloudevents+protobuf", b'{"data_base64":"eA=="'),
    ],
)
def test_the_content_type_decides_the_payload(
    body: bytes, content_type: str, expected: bytes
) -> None:
    """JSON stays JSON with exact numbers, binary is base64, all else is text."""
    assert payload(body, content_type) == expected


def test_no_content_type_is_text() -> None:
    """``datacontenttype`` is what was sent, or ``text/plain``."""
    assert b'"datacontenttype":"text/plain"' in wrap(b"x", "", STAMP)
    assert b'"datacontenttype":"a/b; c=d"' in wrap(b"x", "a/b; c=d", STAMP)


@given(st.binary(max_size=200), st.sampled_from(["application/json", "text/plain", "x/y", ""]))
def test_any_body_makes_a_valid_envelope(body: bytes, content_type: str) -> None:
    """Whatever is published, the envelope is JSON with sorted keys."""
    event = msgspec.json.decode(wrap(body, content_type, STAMP))
    assert list(event) == sorted(event)


@pytest.mark.parametrize(
    ("metadata", "changed"),
    [
        ({"cloudevent.id": "x"}, {"id": "x"}),
        ({"CloudEvent.Type": "x"}, {"type": "x"}),
        ({"cloudevent.source": "x"}, {"source": "x"}),
        ({"cloudevent.subject": "x"}, {"subject": "x"}),
        ({"cloudevent.tracestate": "x"}, {"tracestate": "x"}),
        ({"cloudevent.traceid": "x"}, {"traceid": "x", "traceparent": "x"}),
        (
            {"cloudevent.traceparent": PARENT, "cloudevent.traceid": "x"},
            {"traceid": PARENT, "traceparent": PARENT},
        ),
        ({"cloudevent.topic": "x", "cloudevent.data": "x", "cloudevent.datacontenttype": "x"}, {}),
        ({"id": "x", "foo": "y"}, {}),
        ({"cloudevent.id": "", "cloudevent.subject": "", "cloudevent.type": ""}, {}),
        ({"cloudevent.source": ""}, {"source": "Dapr"}),
    ],
)
def test_metadata_overrides_attributes(metadata: dict[str, str], changed: dict[str, str]) -> None:
    """Seven attributes can be set, whatever the case of their names."""
    plain: dict[str, Any] = msgspec.json.decode(wrap(b"x", "", STAMP))
    assert msgspec.json.decode(wrap(b"x", "", STAMP, metadata)) == {**plain, **changed}


def adopted(body: str, stamp: Stamp = STAMP) -> dict[str, Any]:
    """Return a publisher's own event as the sidecar passes it on."""
    event: dict[str, Any] = msgspec.json.decode(adopt(body.encode(), stamp))
    return event


def test_an_event_of_the_publishers_own_is_filled_up() -> None:
    """What is missing is added, except ``id`` and ``datacontenttype``."""
    assert adopted('{"data":1}') == {
        "data": 1,
        "pubsubname": "pubsub",
        "source": "Dapr",
        "specversion": "1.0",
        "time": "2026-01-01T00:00:00Z",
        "topic": "t",
        "traceid": "",
        "traceparent": "",
        "tracestate": "",
        "type": "com.dapr.event.sent",
    }


def test_an_event_of_the_publishers_own_keeps_what_it_has() -> None:
    """Its attributes stay, except for topic and component."""
    own = (
        '{"id":"e1","source":"s","type":"t.y","ext":"x","topic":"no","pubsubname":"no","time":"T"}'
    )
    event = adopted(own)
    assert {
        k: event[k] for k in ("id", "source", "type", "ext", "topic", "pubsubname", "time")
    } == {
        "id": "e1",
        "source": "s",
        "type": "t.y",
        "ext": "x",
        "topic": "t",
        "pubsubname": "pubsub",
        "time": "T",
    }


def test_an_event_with_a_trace_id_keeps_it() -> None:
    """It gets no ``traceparent`` then; one without gets the publish call's over its own."""
    assert "traceparent" not in adopted('{"traceid":"mine"}')
    stamped = Stamp("i", "a", "p", "t", "T", traceparent=PARENT, tracestate="a=b")
    event = adopted('{"traceparent":"own"}', stamped)
    assert (event["traceid"], event["traceparent"], event["tracestate"]) == (PARENT, PARENT, "a=b")


def test_an_event_keeps_its_own_parent_only_by_a_trace_id() -> None:
    """Published without a ``traceparent`` header, an event without ``traceid`` loses its own."""
    assert adopted('{"traceparent":"own"}')["traceparent"] == ""
    assert adopted('{"traceid":"","traceparent":"own"}')["traceparent"] == "own"


@pytest.mark.row("S-42")
@pytest.mark.parametrize("value", ["7", "true", "[1]", '{"a":1}'])
def test_trace_fields_of_any_type_are_survived(value: str) -> None:
    """A number as trace id crashed a real runtime once."""
    assert adopted(f'{{"traceid":{value}}}')["traceid"] == msgspec.json.decode(value)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{zz", "invalid character 'z' looking for beginning of object key string"),
        (b"", "EOF"),
        (b"[1]", "cannot unmarshal array"),
        (b'"x"', "cannot unmarshal string"),
    ],
)
def test_a_body_that_is_no_event_is_refused_in_gos_words(body: bytes, reason: str) -> None:
    """A CloudEvent must be a JSON object."""
    with pytest.raises(GoJsonError, match=reason):
        adopt(body, STAMP)


def test_a_raw_message_is_wrapped_for_its_subscriber() -> None:
    """No time, no trace, the bytes in base64."""
    assert synthesise(b'{"id": 3}', "i", "pubsub", "raw") == (
        b'{"data_base64":"eyJpZCI6IDN9","datacontenttype":"application/octet-stream","id":"i",'
        b'"pubsubname":"pubsub","source":"Dapr","specversion":"1.0","topic":"raw",'
        b'"type":"com.dapr.event.sent"}'
    )


@pytest.mark.parametrize(
    ("content_type", "is_event"),
    [
        ("application/cloudevents+json", True),
        ("Application/CloudEvents+JSON; charset=utf-8", True),
        ("application/json", False),
        ("application/cloudevents-batch+json", False),
        ("", False),
    ],
)
def test_which_bodies_are_events_themselves(content_type: str, is_event: bool) -> None:  # noqa: FBT001 - a table's column
    """The media type decides, without its parameters."""
    assert is_cloud_event(content_type) is is_event


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"k": "v"}, {}),
        ({"traceid": "", "tracestate": ""}, {"traceid": "", "tracestate": ""}),
        ({"traceid": "t", "traceparent": "p"}, {"traceid": "p", "traceparent": "p"}),
    ],
)
def test_a_raw_message_may_have_a_trace_context(
    metadata: dict[str, str], expected: dict[str, str]
) -> None:
    """A trace context in the metadata of a raw message is in the event made up for it."""
    made = msgspec.json.decode(synthesise(b"x", "i", "pubsub", "raw", metadata))
    assert {name: value for name, value in made.items() if name.startswith("trace")} == expected
