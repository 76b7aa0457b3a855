"""Turns a publish request into the message that goes onto a broker."""

import logging
import time
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from daprflow.protocol.envelopes import Stamp, adopt, is_cloud_event, media_type, wrap
from daprflow.protocol.gojson import GoJsonError, normalise
from daprflow.protocol.http import CLOUDEVENTS_JSON, JSON
from daprflow.protocol.operations import BulkPublishEntry
from daprflow.protocol.schedules import ScheduleError, parse_duration
from daprflow.sidecar.clock import Clock
from daprflow.sidecar.components.base import Message
from daprflow.sidecar.identifiers import new_id

logger = logging.getLogger(__name__)

RAW_PAYLOAD = "rawPayload"
_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}
_string = msgspec.json.Decoder(str)


class BadMetadataError(ValueError):
    """Request metadata has a value that cannot be read."""


class BadEntryError(ValueError):
    """An entry of a bulk publish makes no sense."""


class BadEventError(ValueError):
    """The event of a bulk entry does not fit its content type."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The caller's trace context; empty where there is none."""

    traceparent: str = ""
    tracestate: str = ""


NO_CONTEXT = Trace()


@dataclass(frozen=True, slots=True)
class NewEntry:
    """One entry of a bulk publish with its payload.

    Attributes:
        metadata: of the entry alone; None where it has none.
    """

    id: str
    body: bytes
    content_type: str
    metadata: Mapping[str, str] | None = None


class Publisher:
    """Makes the messages that one app publishes."""

    def __init__(self, app_id: str, clock: Clock) -> None:
        self._app_id = app_id
        self._clock = clock
        self._second = -1
        self._text = ""

    def message(
        self,
        pubsub: str,
        topic: str,
        body: bytes,
        content_type: str,
        metadata: Mapping[str, str] | None,
        *,
        trace: Trace,
        keeps_ttl: bool,
        raw: bool,
    ) -> Message:
        """Return what goes onto the broker: an envelope, or the bytes where the payload is ``raw``.

        Raises:
            GoJsonError: the body should be a CloudEvent and is not JSON.
        """
        if raw:
            return Message(topic, body, metadata, content_type)
        expiration = self._expiration(metadata) if metadata and not keeps_ttl else ""
        stamp = Stamp(
            new_id(),
            self._app_id,
            pubsub,
            topic,
            self._now(),
            trace.traceparent,
            trace.tracestate,
            expiration,
        )
        if content_type != JSON and is_cloud_event(content_type):
            data = adopt(body, stamp)
        else:
            data = wrap(body, content_type, stamp, metadata)
        return Message(topic, data, metadata, CLOUDEVENTS_JSON)

    def _now(self) -> str:
        """Return the time as RFC 3339 with seconds; made once a second."""
        second = int(self._clock.now())
        if second != self._second:
            self._second = second
            self._text = rfc3339(second)
        return self._text

    def _expiration(self, metadata: Mapping[str, str]) -> str:
        ttl = ttl_seconds(metadata)
        if ttl is None:
            return ""
        due = datetime.fromtimestamp(self._clock.now(), UTC)
        try:
            return (due + timedelta(seconds=ttl)).strftime("%Y-%m-%dT%H:%M:%SZ")
        except OverflowError:
            return ""


def rfc3339(second: int) -> str:
    """Return a moment as RFC 3339 in local time, ``Z`` where that is UTC."""
    local = time.localtime(second)
    offset = local.tm_gmtoff // 60
    text = time.strftime("%Y-%m-%dT%H:%M:%S", local)
    if not offset:
        return text + "Z"
    hours, minutes = divmod(abs(offset), 60)
    return f"{text}{'+' if offset > 0 else '-'}{hours:02d}:{minutes:02d}"


def is_raw(metadata: Mapping[str, str]) -> bool:
    """Tell whether ``rawPayload``, in just these letters, is set.

    Raises:
        BadMetadataError: it is no boolean.
    """
    value = metadata.get(RAW_PAYLOAD, "")
    if not value:
        return False
    if value not in _BOOLEANS:
        raise BadMetadataError(f"rawPayload value must be a valid boolean: actual is '{value}'")
    return _BOOLEANS[value]


def ttl_seconds(metadata: Mapping[str, str]) -> float | None:
    """Return ``ttl`` (or ``ttlInSeconds``): seconds, or a duration such as ``1m``.

    None where it is absent, unreadable or a negative number; 0 means that it has expired already.
    """
    given = {key.lower(): value for key, value in metadata.items()}
    value = given.get("ttl", given.get("ttlinseconds", ""))
    try:
        seconds = int(value)
    except ValueError:
        pass
    else:
        return seconds if seconds >= 0 else None
    try:
        return max(parse_duration(value).total_seconds(), 0.0) if value else None
    except ScheduleError:
        return None


def entry_body(entry: BulkPublishEntry) -> bytes:
    """Return the payload of one entry of a bulk publish.

    Raises:
        BadEventError: the event does not fit the content type.
    """
    kind = media_type(entry.content_type)
    raw = bytes(entry.event)
    if kind in (JSON, CLOUDEVENTS_JSON):
        return normalise(raw)
    try:
        text = _string.decode(raw)
        if kind.startswith("text/") or kind == "application/xml":
            return text.encode()
        if kind == "application/octet-stream":
            return _bytes(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadEventError("error: mismatch between contentType and event") from error
    raise BadEventError("error: mismatch between contentType and event")


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError as error:
        raise BadEventError(
            "error: unable to decode base64 application/octect-stream data: "  # as Dapr spells it
            "illegal base64 data"
        ) from error


def read_entries(entries: Iterable[BulkPublishEntry]) -> Iterator[NewEntry]:
    """Give the entries of a body in JSON with their payloads.

    Raises:
        BadEventError: an event does not fit its content type.
    """
    for entry in entries:
        try:
            body = entry_body(entry)
        except GoJsonError as error:
            raise BadEventError(str(error)) from error
        yield NewEntry(entry.entry_id, body, entry.content_type, entry.metadata)


def checked(entries: Iterable[NewEntry]) -> Iterator[NewEntry]:
    """Give the entries whose ids make sense.

    Raises:
        BadEntryError: an id is missing or stands twice.
    """
    seen: set[str] = set()
    for entry in entries:
        if not entry.id or entry.id in seen:
            raise BadEntryError("entryId is duplicated or not present for entry")
        seen.add(entry.id)
        yield entry


def merged(request: Mapping[str, str], entry: Mapping[str, str] | None) -> Mapping[str, str] | None:
    """Return an entry's metadata over the request's; the request's counts only with it."""
    return dict(sorted({**request, **entry}.items())) if request and entry is not None else entry


def traced(metadata: Mapping[str, str], trace: Trace) -> Mapping[str, str]:
    """Return ``metadata`` with a trace context, in which even an empty one is there."""
    return {**metadata, "traceid": trace.traceparent, "tracestate": trace.tracestate}
