"""The CloudEvents envelope that a sidecar writes around what is published."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import msgspec

from daprflow.protocol.gojson import decode_go, encode_go
from daprflow.protocol.http import CLOUDEVENTS_JSON, JSON

EVENT_TYPE = "com.dapr.event.sent"
SPEC_VERSION = "1.0"
OCTET_STREAM = "application/octet-stream"
CLOUDEVENTS_PROTOBUF = "application/cloudevents+protobuf"
OVERRIDE = "cloudevent."

_BINARY = frozenset({OCTET_STREAM, CLOUDEVENTS_PROTOBUF})
_OVERRIDABLE = frozenset({"id", "source", "type", "subject", "traceid", "tracestate"})
_TRACE_FIELDS = frozenset({"traceid", "traceparent", "tracestate"})
_WHEN_EMPTY = {"id": "", "source": "Dapr", "subject": "", "type": EVENT_TYPE}


class Envelope(msgspec.Struct, omit_defaults=True):
    """A CloudEvent as a sidecar writes it; the fields stand in the order of the wire."""

    data: msgspec.Raw | str | msgspec.UnsetType = msgspec.UNSET
    data_base64: str | msgspec.UnsetType = msgspec.UNSET
    datacontenttype: str | msgspec.UnsetType = msgspec.UNSET
    expiration: str | msgspec.UnsetType = msgspec.UNSET
    id: str | msgspec.UnsetType = msgspec.UNSET
    pubsubname: str | msgspec.UnsetType = msgspec.UNSET
    source: str | msgspec.UnsetType = msgspec.UNSET
    specversion: str | msgspec.UnsetType = msgspec.UNSET
    subject: str | msgspec.UnsetType = msgspec.UNSET
    time: str | msgspec.UnsetType = msgspec.UNSET
    topic: str | msgspec.UnsetType = msgspec.UNSET
    traceid: str | msgspec.UnsetType = msgspec.UNSET
    traceparent: str | msgspec.UnsetType = msgspec.UNSET
    tracestate: str | msgspec.UnsetType = msgspec.UNSET
    type: str | msgspec.UnsetType = msgspec.UNSET


class Head(msgspec.Struct):
    """What a delivery needs to know of an event; publishers choose the types, so any is taken."""

    expiration: Any = None
    traceparent: Any = None
    traceid: Any = None


class Stamp(msgspec.Struct, frozen=True):
    """What the publisher's sidecar knows about a message, besides its body.

    Attributes:
        source: the publisher's app id.
        time: RFC 3339, seconds.
        traceparent: the caller's; empty where there is none.
        expiration: RFC 3339; empty where the message does not expire.
    """

    id: str
    source: str
    pubsub: str
    topic: str
    time: str
    traceparent: str = ""
    tracestate: str = ""
    expiration: str = ""


_any = msgspec.json.Decoder(float_hook=lambda text: msgspec.Raw(text.encode()))
_object = msgspec.json.Decoder(dict[str, Any], float_hook=lambda text: msgspec.Raw(text.encode()))
_sorted = msgspec.json.Encoder(order="deterministic")


def media_type(content_type: str) -> str:
    """Return the media type without parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def wrap(
    body: bytes, content_type: str, stamp: Stamp, metadata: Mapping[str, str] | None = None
) -> bytes:
    """Return the envelope of ``body`` as JSON: keys sorted, ``<>&`` escaped, as Go writes them.

    JSON bodies become ``data`` as they are (keys sorted, numbers exact); JSON that does not parse,
    and text, a string; binary ones ``data_base64``.

    Args:
        body: what was published.
        content_type: as the publisher sent it; empty counts as ``text/plain``.
        stamp: what the sidecar adds.
        metadata: ``cloudevent.*`` entries override attributes, whatever their case.
    """
    event = Envelope(
        datacontenttype=content_type or "text/plain",
        id=stamp.id,
        pubsubname=stamp.pubsub,
        source=stamp.source,
        specversion=SPEC_VERSION,
        time=stamp.time,
        topic=stamp.topic,
        traceid=stamp.traceparent,
        traceparent=stamp.traceparent,
        tracestate=stamp.tracestate,
        type=EVENT_TYPE,
    )
    kind = JSON if content_type == JSON else media_type(content_type)
    if kind == JSON:
        event.data = _json_or_text(body)
    elif kind in _BINARY:
        event.data_base64 = b64encode(body).decode()
    else:
        event.data = body.decode("utf-8", "replace")
    if stamp.expiration:
        event.expiration = stamp.expiration
    if metadata:
        _override(event, metadata)
    return encode_go(event)


def adopt(body: bytes, stamp: Stamp) -> bytes:
    """Return the publisher's own CloudEvent with what it lacks filled in.

    ``topic`` and ``pubsubname`` are always the sidecar's, and so is ``traceparent`` unless the
    event has a ``traceid``; a missing ``id`` stays missing.

    Raises:
        GoJsonError: the body is not a JSON object; the text is Go's.
    """
    event = decode_go(_object, body, "map[string]interface {}")
    event["topic"] = stamp.topic
    event["pubsubname"] = stamp.pubsub
    for name, value in (
        ("source", "Dapr"),
        ("type", EVENT_TYPE),
        ("specversion", SPEC_VERSION),
        ("time", stamp.time),
    ):
        if event.get(name) is None:
            event[name] = value
    if "traceid" not in event:
        event["traceid"] = event["traceparent"] = stamp.traceparent
    event.setdefault("tracestate", stamp.tracestate)
    if stamp.expiration:
        event["expiration"] = stamp.expiration
    return encode_go(msgspec.Raw(_sorted.encode(event)))


def synthesise(
    body: bytes, event_id: str, pubsub: str, topic: str, metadata: Mapping[str, str] | None = None
) -> bytes:
    """Return the envelope in which a raw message reaches a subscription with ``rawPayload``.

    Its trace context is that of the message's ``metadata``, where there is one.
    """
    event = Envelope(
        data_base64=b64encode(body).decode(),
        datacontenttype=OCTET_STREAM,
        id=event_id,
        pubsubname=pubsub,
        source="Dapr",
        specversion=SPEC_VERSION,
        topic=topic,
        type=EVENT_TYPE,
    )
    if metadata:
        for name in _TRACE_FIELDS & metadata.keys():
            setattr(event, name, metadata[name])
        if event.traceparent is not msgspec.UNSET:
            event.traceid = event.traceparent
    return encode_go(event)


def is_cloud_event(content_type: str) -> bool:
    """Whether a body with this content type is a CloudEvent itself."""
    return media_type(content_type) == CLOUDEVENTS_JSON


def _json_or_text(body: bytes) -> msgspec.Raw | str:
    try:
        return msgspec.Raw(_sorted.encode(_any.decode(body)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body.decode("utf-8", "replace")


def _override(event: Envelope, metadata: Mapping[str, str]) -> None:
    """Apply ``cloudevent.*`` entries; ``traceparent`` wins over ``traceid``."""
    parent = ""
    for key, value in metadata.items():
        name = key.lower()
        if not name.startswith(OVERRIDE):
            continue
        name = name.removeprefix(OVERRIDE)
        if name == "traceparent":
            parent = value
        elif name == "traceid":
            event.traceid = event.traceparent = value
        elif name in _OVERRIDABLE and (value or name not in _WHEN_EMPTY):
            setattr(event, name, value)
        elif _WHEN_EMPTY.get(name):
            setattr(event, name, _WHEN_EMPTY[name])
    if parent:
        event.traceid = event.traceparent = parent
