"""Events of a topic as gRPC apps and streaming subscriptions get them, and their verdicts."""

import binascii
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from daprflow.protocol import messages
from daprflow.protocol.deliveries import Status
from daprflow.protocol.envelopes import media_type
from daprflow.protocol.gojson import GoJsonError, normalise
from daprflow.protocol.http import CLOUDEVENTS_JSON, JSON
from daprflow.sidecar.app.postman import SUCCESS, Reading, TopicEntry, Verdict
from daprflow.sidecar.components.base import Message

_TRACE_FIELDS: Final = ("traceid", "traceparent", "tracestate")
_NOT_EXTENSIONS: Final = frozenset(
    {"id", "source", "datacontenttype", "type", "specversion", "data", "data_base64"}
)
_NULL: Final = b"null"
_VERDICTS: Mapping[int, Verdict] = {
    messages.TopicEventResponse.SUCCESS: SUCCESS,
    messages.TopicEventResponse.RETRY: Verdict(Status.RETRY, "the app answered RETRY"),
    messages.TopicEventResponse.DROP: Verdict(Status.DROP, "the app answered DROP"),
}

_attributes = msgspec.json.Decoder(dict[str, msgspec.Raw])
_any = msgspec.json.Decoder()
_string = msgspec.json.Decoder(str)


class BadEnvelope(Exception):  # noqa: N818 - named for the state of the event
    """An event cannot be told in protobuf; the text is the runtime's."""


def topic_event(
    pubsub: str, topic: str, message: Message, reading: Reading
) -> messages.TopicEventRequest:
    """Return one event.

    ``data`` is there for ``data_base64`` and for JSON, CloudEvents, text and XML; as in the real
    runtime an event of any other content type arrives without. Numbers in it are float64.

    Args:
        pubsub: name of the component.
        topic: what is subscribed to.
        message: as it came from the broker; its metadata may hold a trace context.
        reading: the event itself, and its path.

    Raises:
        BadEnvelope: ``data_base64`` is no base64, or text is no string.
    """
    event = _read(message, reading.body)
    kind = _text(event, "datacontenttype")
    data = _decoded(event)
    made = messages.TopicEventRequest(
        id=_text(event, "id"),
        source=_text(event, "source"),
        type=_text(event, "type"),
        spec_version=_text(event, "specversion"),
        data_content_type=kind,
        topic=topic,
        data=_data(event, kind) if data is None else data,
        pubsub_name=pubsub,
        path=reading.path or "",
    )
    _extend(made.extensions, event)
    return made


def verdict_of(status: int) -> Verdict:
    """Return what a status means; none is a success, and an unknown one means "again"."""
    unknown = Verdict(Status.RETRY, f"the app answered the unknown status {status}")
    return _VERDICTS.get(status, unknown)


def bulk_entry(entry: TopicEntry, *, raw: bool) -> messages.TopicEventBulkRequestEntry:
    """Return one event of a batch.

    As in the real runtime it has no content type, and loses what is in ``data_base64``.

    Args:
        entry: the event, with the batch's id for it.
        raw: whether it is passed on as the bytes it came in.

    Raises:
        BadEnvelope: text is no string.
    """
    message = entry.message
    made = messages.TopicEventBulkRequestEntry(entry_id=entry.id, metadata=message.metadata)
    if raw:
        made.bytes = message.data
        return made
    event = _read(None, entry.reading.body)
    kind = _text(event, "datacontenttype")
    inner = made.cloud_event
    inner.id = _text(event, "id")
    inner.source = _text(event, "source")
    inner.type = _text(event, "type")
    inner.spec_version = _text(event, "specversion")
    inner.data_content_type = kind
    inner.data = _data(event, kind)
    _extend(inner.extensions, event)
    return made


def _read(message: Message | None, body: bytes) -> dict[str, msgspec.Raw]:
    try:
        event = _attributes.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadEnvelope("the event is not a JSON object") from error
    if message is not None and message.metadata:
        _add_trace(event, message.metadata)
    return event


def _add_trace(event: dict[str, msgspec.Raw], metadata: Mapping[str, str]) -> None:
    """Fill in what the event lacks of a trace context; ``traceparent`` counts as the id, too."""
    for name in _TRACE_FIELDS:
        if name in metadata and name not in event:
            event[name] = msgspec.Raw(msgspec.json.encode(metadata[name]))
            if name == "traceparent":
                event["traceid"] = event[name]


def _text(event: Mapping[str, msgspec.Raw], name: str) -> str:
    """Return an attribute; one that is no string counts as none."""
    try:
        return _string.decode(event[name]) if name in event else ""
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""


def _decoded(event: Mapping[str, msgspec.Raw]) -> bytes | None:
    """Return what is in ``data_base64``, None where it is not there."""
    found = event.get("data_base64")
    if found is None or bytes(found) == _NULL:
        return None
    try:
        text = _string.decode(found).replace("\r", "").replace("\n", "")
        return binascii.a2b_base64(text, strict_mode=True)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _unexpected() from error
    except ValueError as error:
        raise BadEnvelope("data_base64 of the event is no base64") from error


def _data(event: Mapping[str, msgspec.Raw], content_type: str) -> bytes:
    found = event.get("data")
    if found is None or bytes(found) == _NULL:
        return b""
    kind = media_type(content_type)
    if kind.startswith("text/") or kind == "application/xml":
        try:
            return _string.decode(found).encode()
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise _unexpected() from error
    if kind not in (JSON, CLOUDEVENTS_JSON):
        return b""
    try:
        return normalise(found)
    except GoJsonError as error:
        raise BadEnvelope(str(error)) from error


def _unexpected() -> BadEnvelope:
    return BadEnvelope("unexpected data type encountered in envelope")


def _extend(extensions: messages.Struct, event: Mapping[str, msgspec.Raw]) -> None:
    """Put every attribute that has no field of its own into ``extensions``, also without any."""
    extensions.SetInParent()
    try:
        for name, raw in event.items():
            if name not in _NOT_EXTENSIONS:
                _put(extensions.fields[name], _any.decode(raw))
    except (msgspec.MsgspecError, UnicodeDecodeError, OverflowError) as error:
        raise BadEnvelope("an attribute of the event is no JSON that protobuf takes") from error


def _put(field: messages.Value, value: Any) -> None:
    if isinstance(value, str):
        field.string_value = value
    elif isinstance(value, bool):
        field.bool_value = value
    elif value is None:
        field.null_value = messages.NULL_VALUE
    elif isinstance(value, dict):
        field.struct_value.SetInParent()
        for name, item in value.items():
            _put(field.struct_value.fields[name], item)
    elif isinstance(value, list):
        field.list_value.SetInParent()
        for item in value:
            _put(field.list_value.values.add(), item)
    else:
        field.number_value = float(value)
