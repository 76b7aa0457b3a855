"""Events on their way out: where they go, what travels beside them, and in how many requests."""

import math
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypedDict

import msgspec

from daprflow.addresses import Topic
from daprflow.client import failures, payload
from daprflow.client.caller import Caller
from daprflow.client.payload import Payload
from daprflow.errors import BulkPublishError, SidecarError
from daprflow.handlers.codecs import NO_CODECS, Codecs
from daprflow.protocol import operations
from daprflow.protocol.cloudevents import CloudEvent, write_envelope
from daprflow.protocol.fault import failed_entries
from daprflow.protocol.http import CLOUDEVENTS_JSON, JSON
from daprflow.protocol.operations import NO_METADATA, BulkPublishEntry

ROOM = 2048
"""Bytes of a request that its events may not take: brackets, and headers where they count."""

HOW = "takes a Topic and the data, or the names of a pub/sub component and a topic, and the data"


class PublishOptions(TypedDict, total=False):
    """What may be said of an event when it is published.

    Attributes:
        metadata: request metadata of the component or the runtime, such as ``partitionKey``.
        content_type: what the data is, where that differs from what its type says.
        ttl: how long the broker keeps the event, rounded up to whole seconds.
        raw: send the data without an envelope.
        id: the event's id; the runtime makes one otherwise.
        type: the event's type, ``com.dapr.event.sent`` otherwise.
        source: who sends it, the app's id otherwise.
        subject: what it is about.
    """

    metadata: Mapping[str, str]
    content_type: str | None
    ttl: timedelta | None
    raw: bool
    id: str | None
    type: str | None
    source: str | None
    subject: str | None


class Options(msgspec.Struct, frozen=True):
    """`PublishOptions`, complete."""

    metadata: Mapping[str, str] = {}
    content_type: str | None = None
    ttl: timedelta | None = None
    raw: bool = False
    id: str | None = None
    type: str | None = None
    source: str | None = None
    subject: str | None = None

    def request_metadata(self, topic: Mapping[str, str]) -> Mapping[str, str]:
        """Return all of it as the runtime takes it; what the call says beats the topic.

        Raises:
            ValueError: the options contradict each other.
        """
        if self is PLAIN:
            return topic
        found = {**topic, **self.metadata}
        if self.ttl is not None:
            found["ttlInSeconds"] = str(_seconds(self.ttl))
        if self.raw:
            found["rawPayload"] = "true"
        attributes = {"id": self.id, "type": self.type, "source": self.source}
        attributes["subject"] = self.subject
        for name, value in attributes.items():
            if value is not None:
                if self.raw:
                    raise ValueError(f"'{name}' belongs to the envelope, which 'raw' leaves out")
                found[f"cloudevent.{name}"] = value
        return found


PLAIN = Options()


class Target(msgspec.Struct, frozen=True):
    """Where events go."""

    pubsub: str
    topic: str
    handle: Topic[Any] | None = None

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the topic says of each of its events."""
        return NO_METADATA if self.handle is None else self.handle.metadata

    def keyed(self, metadata: Mapping[str, str], data: object) -> Mapping[str, str]:
        """Return ``metadata`` with the partition key that the topic gives ``data``."""
        key = None if self.handle is None else self.handle.key
        if key is None or "partitionKey" in metadata:
            return metadata
        value = data.data if isinstance(data, CloudEvent) else data
        return {**metadata, "partitionKey": key(value)}


def split(event: tuple[Any, ...], function: str) -> tuple[Target, Any]:
    """Return target and data of either form of a call.

    Raises:
        TypeError: it is neither.
    """
    match event:
        case (Topic() as topic, data):
            return Target(topic.pubsub, topic.name, topic), data
        case (str() as pubsub, str() as name, data):
            return Target(pubsub, name), data
    raise TypeError(f"{function} {HOW}")


def encode(data: object, content_type: str | None, codecs: Codecs = NO_CODECS) -> Payload:
    """Encode an event's data, or an event with its envelope."""
    if not isinstance(data, CloudEvent):
        return payload.event(data, content_type, codecs)
    inner = payload.encode(data.data, content_type or data.datacontenttype or None, codecs)
    return Payload(write_envelope(data, inner.body, inner.content_type), CLOUDEVENTS_JSON)


async def publish(caller: Caller, target: Target, data: object, options: Options) -> None:
    """Publish one event.

    Raises:
        SidecarError: the sidecar or the broker refused.
    """
    metadata = target.keyed(options.request_metadata(target.metadata), data)
    sent = encode(data, options.content_type, caller.codecs)
    request = operations.publish(
        target.pubsub, target.topic, sent.body, sent.content_type, metadata
    )
    await caller.call(request)


async def publish_many(
    caller: Caller, target: Target, events: Iterable[object], options: Options
) -> None:
    """Publish events in as few requests as fit.

    Raises:
        BulkPublishError: some were published and some not.
        SidecarError: none was published.
    """
    if options.id is not None:
        raise ValueError("'id' is one event's; publish each as a CloudEvent with an id of its own")
    metadata = options.request_metadata(target.metadata)
    entries = [
        _entry(
            index,
            encode(data, options.content_type, caller.codecs),
            target.keyed(metadata, data),
        )
        for index, data in enumerate(events)
    ]
    failed: dict[int, str] = {}
    cause: SidecarError | None = None
    done = 0
    for request in _requests(entries, caller.way.settings.max_request_size - ROOM):
        if cause is None:
            try:
                failed |= await _publish_bulk(caller, target, request, metadata)
            except SidecarError as error:
                if done == len(failed):
                    raise
                cause = error
        if cause is not None:
            failed |= {int(entry.entry_id): str(cause) for entry in request}
        done += len(request)
    if failed:
        raise BulkPublishError(
            f"{len(failed)} of {len(entries)} events were not published on "
            f"'{target.pubsub}/{target.topic}'; 'failed' has the reason by their position, the "
            f"first is: {next(iter(failed.values()))}",
            failed,
            code="ERR_PUBSUB_PUBLISH_MESSAGE" if cause is None else cause.code,
            status=500 if cause is None else cause.status,
        ) from cause


async def _publish_bulk(
    caller: Caller,
    target: Target,
    entries: Sequence[BulkPublishEntry],
    metadata: Mapping[str, str],
) -> dict[int, str]:
    """Publish what fits one request and return why entries failed, by position."""
    request = operations.publish_bulk(target.pubsub, target.topic, entries, metadata)
    response = await caller.exchange(request, caller.block_timeout)
    if failures.succeeded(response):
        return {}
    failed = failed_entries(response.body)
    if not failed:
        raise await caller.failure(request, response)
    return {int(entry.entry_id): entry.error for entry in failed}


def _entry(index: int, sent: Payload, metadata: Mapping[str, str]) -> BulkPublishEntry:
    """Return an entry; the runtime takes the request's metadata only with an entry's own."""
    kind = sent.content_type.partition(";")[0].strip().lower()
    if kind in {JSON, CLOUDEVENTS_JSON}:
        event = msgspec.Raw(sent.body)
    elif kind.startswith("text/") or kind == "application/xml":
        event = msgspec.Raw(msgspec.json.encode(sent.body.decode()))
    elif kind == payload.BYTES:
        event = msgspec.Raw(b'"' + b64encode(sent.body) + b'"')
    else:
        raise ValueError(
            f"event {index} has content type '{sent.content_type}', which a runtime takes for one "
            "event and not for many; use 'publish', or send it as application/octet-stream"
        )
    return BulkPublishEntry(str(index), event, sent.content_type, dict(metadata) or None)


def _requests(
    entries: Sequence[BulkPublishEntry], limit: int
) -> Iterator[Sequence[BulkPublishEntry]]:
    """Divide entries, in order, so that each part fits a request; a longer one goes alone."""
    part: list[BulkPublishEntry] = []
    size = 0
    for entry in entries:
        length = len(msgspec.json.encode(entry)) + 1
        if part and size + length > limit:
            yield part
            part, size = [], 0
        part.append(entry)
        size += length
    if part:
        yield part


def _seconds(ttl: timedelta) -> int:
    seconds = math.ceil(ttl.total_seconds())
    if seconds <= 0:  # the runtime would take it for "for ever"
        raise ValueError(f"an event's ttl is {ttl}; it must be longer than 0")
    return seconds
