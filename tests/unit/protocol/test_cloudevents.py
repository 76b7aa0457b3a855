"""CloudEvents as an app reads them."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from daprflow import CloudEvent
from daprflow.protocol import cloudevents
from daprflow.protocol.cloudevents import NotAnEvent
from tests.helpers.app_calls import attributes, event, without_data

SPAN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
NO_SPAN = "00-00000000000000000000000000000000-0000000000000000-00"


def read(**changed: Any) -> CloudEvent[None]:
    """An event made of what the sidecar writes, some of it changed."""
    body = without_data(**changed)
    return cloudevents.cloud_event(cloudevents.structured_attributes(body), None)


def test_every_attribute_of_the_sidecar_is_read() -> None:
    """The attributes a sidecar writes have fields of their own."""
    found = read(subject="s", dataschema="d", traceid="abc1")
    assert found.id == "5b1e4a4e-0000-4000-8000-000000000001"
    assert (found.source, found.type) == ("publisher", "com.dapr.event.sent")
    assert (found.pubsubname, found.topic) == ("pubsub", "orders")
    assert found.time == datetime(2026, 11, 21, 8, 11, 12, tzinfo=UTC)
    assert (found.subject, found.dataschema, found.traceid) == ("s", "d", "abc1")
    assert found.datacontenttype == "application/json"
    assert found.extensions == {}


def test_other_attributes_are_extensions() -> None:
    """Whatever has no field is an extension, as JSON says."""
    found = read(expiration="2030-01-01T00:00:00Z", tenant="a", level=3, flags=[True])
    assert found.extensions == {
        "expiration": "2030-01-01T00:00:00Z",
        "tenant": "a",
        "level": 3,
        "flags": [True],
    }


@pytest.mark.parametrize("value", ["", None])
def test_empty_trace_fields_are_absent(value: object) -> None:
    """A runtime without tracing writes empty strings, which mean none."""
    found = read(traceid=value, traceparent=value, tracestate=value)
    assert (found.traceid, found.traceparent, found.tracestate) == (None, None, None)


@pytest.mark.parametrize("value", [5, 0, 1.5, True, False, [], {}, "x"])
def test_odd_trace_fields_do_not_fail(value: object) -> None:
    """Trace ids that are numbers or booleans are read all the same."""
    found = read(traceid=value, traceparent=value, tracestate=value)
    assert found.traceparent is None
    assert found.traceid is None or isinstance(found.traceid, str)


def test_an_all_zero_traceparent_is_none() -> None:
    """Zero ids name no parent; real ones are kept."""
    assert read(traceparent=NO_SPAN, traceid=NO_SPAN).traceparent is None
    assert read(traceparent=NO_SPAN, traceid=NO_SPAN).traceid is None
    assert read(traceparent=SPAN).traceparent == SPAN


@pytest.mark.parametrize("value", ["yesterday", 12, None, {}])
def test_an_odd_time_is_no_time(value: object) -> None:
    """A time that cannot be read does not make the event undecodable."""
    assert read(time=value).time is None


def test_binary_attributes_come_from_headers() -> None:
    """Both spellings of binary mode are read, values as UTF-8."""
    headers = [
        (b"ce-id", b"1"),
        (b"ce_source", b"s"),
        (b"ce-type", "Grüße".encode()),
        (b"ce_specversion", b"1.0"),
        (b"ce-tenant", b"a"),
        (b"content-type", b"x"),
    ]
    assert cloudevents.binary_attributes(headers) == {
        "id": "1",
        "source": "s",
        "type": "Grüße",
        "specversion": "1.0",
        "tenant": "a",
    }


def test_headers_without_a_version_describe_no_event() -> None:
    """Metadata such as ``ce-x`` alone is not binary mode."""
    assert cloudevents.binary_attributes([(b"ce-id", b"1"), (b"host", b"x")]) is None


def test_binary_mode_needs_every_required_attribute() -> None:
    """A binary event without an id is refused, and the header is named."""
    with pytest.raises(NotAnEvent, match="'ce-id'"):
        cloudevents.binary_attributes([(b"ce-specversion", b"1.0")])


def test_an_envelope_keeps_its_data_as_it_came() -> None:
    """Reading an envelope decides nothing about the data."""
    assert bytes(cloudevents.read_envelope(event({"a": 1})).data or b"") == b'{"a":1}'
    assert cloudevents.read_envelope(without_data()).data is msgspec.UNSET


@pytest.mark.parametrize("text", ["*", "YQ", "YQ==\n", "é"])
def test_bad_base64_is_refused(text: str) -> None:
    """Base64 is read strictly."""
    with pytest.raises(NotAnEvent, match="data_base64"):
        cloudevents.decode_base64(text)


def test_reasons_hold_no_values() -> None:
    """What msgspec quotes of the input is left out of a reason."""

    class Strict(msgspec.Struct, forbid_unknown_fields=True, tag="right"):
        kind: str = ""

    for body in (b'{"type":"hush"}', b'{"type":"right","hush":1}'):
        with pytest.raises(msgspec.ValidationError) as caught:
            msgspec.json.decode(body, type=Strict)
        assert "hush" in str(caught.value)
        assert "hush" not in cloudevents.reason_of(caught.value)


def test_an_event_can_be_made_for_a_test() -> None:
    """Four attributes are enough to build an event by hand."""
    made = CloudEvent(id="1", source="s", type="t", data={"a": 1})
    assert made.specversion == attributes()["specversion"]
    assert (made.topic, made.time, made.extensions) == ("", None, {})
