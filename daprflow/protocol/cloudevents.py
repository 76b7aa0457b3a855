"""CloudEvents as an app receives them: structured, binary, with data in any of its forms."""

import binascii
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")

REQUIRED = ("id", "source", "type", "specversion")
_BASE64 = "data_base64"
_KNOWN = frozenset(
    {
        *REQUIRED,
        "data",
        _BASE64,
        "time",
        "topic",
        "pubsubname",
        "subject",
        "datacontenttype",
        "dataschema",
        "traceid",
        "traceparent",
        "tracestate",
    }
)
_TRACEPARENT_LENGTH = 55


class CloudEvent(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """An event with its envelope.

    Attributes:
        id: of the event; ``source`` and ``id`` together name one event.
        source: who published it; the app's id where a sidecar made the envelope.
        type: what kind of event it is; ``com.dapr.event.sent`` where nobody said.
        data: the payload.
        specversion: of CloudEvents.
        time: when it was published; None where nobody said.
        topic: the topic it was published to; empty where the sidecar did not say.
        pubsubname: the component it came through.
        subject: what it is about, where somebody said.
        datacontenttype: of the payload as it was published.
        dataschema: where its schema is, where somebody said.
        traceid: the runtime's older name for ``traceparent``.
        traceparent: W3C trace context; None where there is none (a runtime without tracing sends
            empty strings and all-zero ids, which count as none).
        tracestate: what vendors add to the trace context.
        extensions: every attribute that is not listed here, as decoded JSON.

    Example:
        ```python
        @app.topic(orders)
        async def on_order(event: CloudEvent[Order]) -> None:
            print(event.id, event.type, event.data.total)
        ```
    """

    id: str
    source: str
    type: str
    data: T
    specversion: str = "1.0"
    time: datetime | None = None
    topic: str = ""
    pubsubname: str = ""
    subject: str | None = None
    datacontenttype: str = ""
    dataschema: str | None = None
    traceid: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    extensions: Mapping[str, Any] = {}


class Envelope(msgspec.Struct, Generic[T], frozen=True):
    """The least an event must have; the common case is decoded with this alone."""

    id: str
    source: str
    type: str
    specversion: str
    data: T


class LooseEnvelope(msgspec.Struct, frozen=True):
    """An envelope whose data may be missing, encoded, or of another type."""

    id: str
    source: str
    type: str
    specversion: str
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    data_base64: str | msgspec.UnsetType = msgspec.UNSET
    datacontenttype: Any = ""


class NotAnEvent(ValueError):  # noqa: N818 - named for what was received
    """A body is no CloudEvent; the text names the attribute, never a value."""


_loose = msgspec.json.Decoder(LooseEnvelope)
_attributes = msgspec.json.Decoder(dict[str, msgspec.Raw])
_time = msgspec.json.Decoder(datetime)


def read_envelope(body: bytes | msgspec.Raw) -> LooseEnvelope:
    """Decode a structured event without deciding on its data.

    Raises:
        NotAnEvent: it is not JSON, or lacks a required attribute, or has it of a wrong type.
    """
    if not body:
        raise NotAnEvent("the body is empty")
    try:
        return _loose.decode(body)
    except (msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
        raise NotAnEvent(reason_of(error)) from None
    except msgspec.DecodeError:
        raise NotAnEvent("the body is not JSON") from None


def decode_base64(value: str) -> bytes:
    """Decode the ``data_base64`` attribute.

    Raises:
        NotAnEvent: it is not base64.
    """
    try:
        return binascii.a2b_base64(value, strict_mode=True)
    except (binascii.Error, ValueError):
        raise NotAnEvent("attribute 'data_base64' is not base64") from None


def binary_attributes(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str] | None:
    """Return the attributes of a binary-mode event from ``ce-*`` or ``ce_*`` headers.

    None where the headers describe no event.

    Raises:
        NotAnEvent: some attributes are there, but a required one is missing.
    """
    found: dict[str, str] = {}
    for name, value in headers:
        if name[:3] in (b"ce-", b"ce_"):
            found[name[3:].decode("latin-1")] = value.decode("utf-8", "replace")
    if "specversion" not in found:
        return None
    for required in REQUIRED:
        if not found.get(required):
            raise NotAnEvent(f"header 'ce-{required}' is missing")
    return found


def structured_attributes(body: bytes | msgspec.Raw) -> dict[str, Any]:
    """Return every attribute of a structured event but its data."""
    return {
        name: msgspec.json.decode(raw)
        for name, raw in _attributes.decode(body).items()
        if name not in ("data", _BASE64)
    }


def cloud_event(attributes: Mapping[str, Any], data: T) -> CloudEvent[T]:
    """Build an event from its attributes; those of odd types become text or are left out."""
    get = attributes.get
    return CloudEvent(
        id=attributes["id"],
        source=attributes["source"],
        type=attributes["type"],
        specversion=attributes["specversion"],
        data=data,
        time=_as_time(get("time")),
        topic=_as_text(get("topic")) or "",
        pubsubname=_as_text(get("pubsubname")) or "",
        subject=_as_text(get("subject")),
        datacontenttype=_as_text(get("datacontenttype")) or "",
        dataschema=_as_text(get("dataschema")),
        traceid=_as_trace(get("traceid")),
        traceparent=_as_traceparent(get("traceparent")),
        tracestate=_as_text(get("tracestate")),
        extensions={name: value for name, value in attributes.items() if name not in _KNOWN},
    )


def write_envelope(event: CloudEvent[Any], body: bytes, content_type: str) -> bytes:
    """Return ``event`` as a structured CloudEvent whose data is ``body``.

    JSON stands there as it is, text as a string, anything else as base64.
    """
    kind = (event.datacontenttype or content_type).partition(";")[0].strip().lower()
    data: dict[str, Any]
    if kind == "application/json" or kind.endswith("+json"):
        data = {"data": msgspec.Raw(body)}
    elif kind.startswith("text/") or kind == "application/xml":
        data = {"data": body.decode()}
    else:
        data = {_BASE64: body}
    named = {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "specversion": event.specversion,
        "datacontenttype": event.datacontenttype or content_type,
        "time": event.time,
        "subject": event.subject,
        "dataschema": event.dataschema,
        "traceparent": event.traceparent,
        "tracestate": event.tracestate,
    }
    given = {name: value for name, value in named.items() if value is not None}
    return msgspec.json.encode({**event.extensions, **given, **data})


def reason_of(error: Exception) -> str:
    """Return what a decoding error says, without values of the payload."""
    if isinstance(error, UnicodeDecodeError):
        return "the text is not UTF-8"
    if isinstance(error, RecursionError):
        return "the JSON is nested too deeply"
    message = str(error)
    # These two quote what was received.
    if message.startswith(("Invalid enum value", "Invalid value")):
        _, mark, path = message.partition(" - at ")
        return "Invalid value" + mark + path
    if message.startswith("Object contains unknown field"):
        _, mark, path = message.partition(" - at ")
        return "Object contains an unknown field" + mark + path
    return message


def _as_text(value: Any) -> str | None:
    """Return an attribute as text; publishers send numbers and booleans, too."""
    if isinstance(value, str):
        return value or None
    if value is None or isinstance(value, dict | list):
        return None
    return msgspec.json.encode(value).decode()


def _as_time(value: Any) -> datetime | None:
    try:
        return _time.decode(msgspec.json.encode(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _as_trace(value: Any) -> str | None:
    found = _as_text(value)
    return None if found is None or not found.strip("0-") else found


def _as_traceparent(value: Any) -> str | None:
    """Return a traceparent that names a parent; a runtime without tracing sends zeros."""
    if not isinstance(value, str) or len(value) < _TRACEPARENT_LENGTH:
        return None
    _, trace, span, *_ = (*value.split("-"), "", "", "")
    return value if trace.strip("0") and span.strip("0") else None
