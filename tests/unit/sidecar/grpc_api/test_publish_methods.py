"""Publishing over gRPC: what gets onto the broker, and errors as a real runtime gave them."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest

from daprflow.protocol import messages as m
from daprflow.sidecar.components.base import Message
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar
from tests.helpers.policies import with_policies
from tests.helpers.topic_streams import stream, within

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BROKERS = {
    "pubsub": ("pubsub.in-memory", {}),
    "scoped": ("pubsub.in-memory", {"publishingScopes": "app1=open"}),
}
IMPATIENT = """
  policies: {timeouts: {short: 1s}}
  targets: {components: {pubsub: {outbound: {timeout: short}}}}
"""


class Seen:
    """Keeps what the brokers accepted."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def published(self, pubsub: str, message: Message, /) -> None:
        """Note a message."""
        self.messages.append(message)

    def delivered(self, pubsub: str, message: Message, verdict: Any, /) -> None:
        """Nobody subscribes."""

    @property
    def event(self) -> dict[str, Any]:
        """The only event that was published."""
        (message,) = self.messages
        found: dict[str, Any] = msgspec.json.decode(message.data)
        return found


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[GrpcSidecar]:
    """A sidecar with two brokers."""
    async with grpc_sidecar(tmp_path, BROKERS) as running:
        yield running


@pytest.fixture
def seen(sidecar: GrpcSidecar) -> Seen:
    """What gets onto the brokers."""
    sidecar.inner.runtime.pubsub.observer = seen = Seen()
    return seen


async def publish(
    sidecar: GrpcSidecar,
    data: bytes = b"1",
    content_type: str = "application/json",
    metadata: Mapping[str, str] | None = None,
    sent: tuple[tuple[str, str], ...] = (),
) -> None:
    """Publish one event."""
    request = m.PublishEventRequest(
        pubsub_name="pubsub",
        topic="t",
        data=data,
        data_content_type=content_type,
        metadata=metadata,
    )
    await sidecar.stub.PublishEvent(request, metadata=sent)


def many(*entries: m.BulkPublishRequestEntry, **fields: Any) -> m.BulkPublishRequest:
    """Return a bulk publish."""
    return m.BulkPublishRequest(
        **{"pubsub_name": "pubsub", "topic": "t", "entries": entries, **fields}
    )


def entry(entry_id: str, event: bytes = b"1", kind: str = "") -> m.BulkPublishRequestEntry:
    """Return an entry of one."""
    return m.BulkPublishRequestEntry(entry_id=entry_id, event=event, content_type=kind)


@pytest.mark.parametrize(
    ("data", "content_type", "expected"),
    [
        (b'{"b":1,"a":2}', "application/json", {"data": {"a": 2, "b": 1}}),
        (b"hi", "", {"data": "hi", "datacontenttype": "text/plain"}),
        (b"\x00\xff", "application/octet-stream", {"data_base64": "AP8="}),
        (b'{"id":"own"}', "application/cloudevents+json", {"id": "own", "source": "Dapr"}),
    ],
)
async def test_the_event_depends_on_the_content_type(
    sidecar: GrpcSidecar, seen: Seen, data: bytes, content_type: str, expected: Mapping[str, Any]
) -> None:
    """The bytes of a publish become the data of an event, as over HTTP."""
    await publish(sidecar, data, content_type)
    assert {name: seen.event[name] for name in expected} == expected


async def test_the_trace_context(sidecar: GrpcSidecar, seen: Seen) -> None:
    """The caller's ``traceparent`` is in the event; a ``tracestate`` gets lost over gRPC."""
    await publish(sidecar, sent=(("traceparent", PARENT), ("tracestate", "a=b")))
    found = [seen.event[name] for name in ("traceparent", "traceid", "tracestate")]
    assert found == [PARENT, PARENT, ""]


async def test_raw_payloads_carry_the_trace_context(sidecar: GrpcSidecar, seen: Seen) -> None:
    """A raw payload is published as it is; its trace context is in the metadata, even none."""
    await publish(sidecar, b"\x00", "", {"rawPayload": "true"})
    (message,) = seen.messages
    assert message.data == b"\x00"
    assert message.metadata == {"rawPayload": "true", "traceid": "", "tracestate": ""}


@pytest.mark.parametrize(
    ("fields", "code", "text"),
    [
        ({"pubsub_name": "zzz"}, "INVALID_ARGUMENT", "pubsub zzz is not found"),
        ({"pubsub_name": ""}, "INVALID_ARGUMENT", "pubsub name is empty"),
        ({"topic": ""}, "INVALID_ARGUMENT", "topic is empty in pubsub pubsub"),
        (
            {"pubsub_name": "scoped"},
            "PERMISSION_DENIED",
            "topic t is not allowed for app id app1",
        ),
        (
            {"metadata": {"rawPayload": "maybe"}},
            "INVALID_ARGUMENT",
            (
                "failed deserializing metadata. Error: rawPayload value must be a valid boolean: "
                "actual is 'maybe'"
            ),
        ),
        (
            {"data_content_type": "application/cloudevents+json", "data": b"x"},
            "INVALID_ARGUMENT",
            "cannot create cloudevent",
        ),
    ],
)
async def test_refused(
    sidecar: GrpcSidecar, seen: Seen, fields: Mapping[str, Any], code: str, text: str
) -> None:
    """A publish that makes no sense is refused with the code and the text of the real runtime."""
    request = m.PublishEventRequest(
        **{"pubsub_name": "pubsub", "topic": "t", "data": b"1", **fields}
    )
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await sidecar.stub.PublishEvent(request)
    assert (raised.value.code().name, raised.value.details()) == (code, text)
    assert seen.messages == []


async def test_several_at_once(sidecar: GrpcSidecar, seen: Seen) -> None:
    """Both forms publish the entries, each by its content type and with its metadata over ours."""
    both = m.BulkPublishRequestEntry(entry_id="b", event=b"x", metadata={"k": "own"})
    request = many(entry("a", b"{}", "application/json"), both, metadata={"k": "v", "l": "w"})
    for method in (sidecar.stub.BulkPublishEvent, sidecar.stub.BulkPublishEventAlpha1):
        seen.messages.clear()
        assert await method(request) == m.BulkPublishResponse()
        data = [msgspec.json.decode(message.data)["data"] for message in seen.messages]
        assert data == [{}, "x"]
        metadata = [message.metadata for message in seen.messages]
        assert metadata == [None, {"k": "own", "l": "w"}]


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (
            many(entry("a"), entry("a")),
            "INVALID_ARGUMENT",
            (
                "error marshaling events to bytes for topic t pubsub pubsub. error: entryId is "
                "duplicated or not present for entry"
            ),
        ),
        (
            many(entry("a", b"x", "application/cloudevents+json")),
            "INVALID_ARGUMENT",
            "cannot create cloudevent",
        ),
        (
            many(entry("a"), pubsub_name="scoped"),
            "PERMISSION_DENIED",
            "topic t is not allowed for app id app1",
        ),
    ],
)
async def test_several_refused(
    sidecar: GrpcSidecar, seen: Seen, request_: m.BulkPublishRequest, code: str, text: str
) -> None:
    """One entry that makes no sense refuses them all."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await sidecar.stub.BulkPublishEvent(request_)
    assert (raised.value.code().name, raised.value.details()) == (code, text)
    assert seen.messages == []


async def test_a_failure_of_the_broker(tmp_path: Path) -> None:
    """What the broker does not take is INTERNAL with its reason, and so is a part of several."""
    files = with_policies(tmp_path / "files", BROKERS, IMPATIENT)
    async with grpc_sidecar(tmp_path, {}, files=files) as sidecar:
        held = await stream(sidecar, "t")
        await publish(sidecar)
        await held.next()  # and as it is not acknowledged, the broker takes one more and no other
        one = m.PublishEventRequest(pubsub_name="pubsub", topic="t", data=b"2")
        for call in (
            sidecar.stub.PublishEvent(one),
            sidecar.stub.BulkPublishEvent(many(entry("a"), entry("b"))),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await within(sidecar, call)
            assert raised.value.code() is grpc.StatusCode.INTERNAL
            text = raised.value.details() or ""
            assert text.startswith("error when publishing to topic t in pubsub pubsub: ")
