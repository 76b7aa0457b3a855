"""What may be said of events when they are published, one or many."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import pytest
from starlette.responses import Response

from daprflow.addresses import Topic
from daprflow.client import Client
from daprflow.errors import BulkPublishError, NotFound, SidecarError
from daprflow.protocol.cloudevents import CloudEvent
from daprflow.settings import Settings
from daprflow.testing.transport import InProcessTransport
from tests.helpers.small_sidecar import SmallSidecar, error

BULK = "/v1.0-alpha1/publish/bulk/pubsub/orders"


class Order(msgspec.Struct):
    """A payload."""

    id: str
    total: int = 0


orders = Topic("pubsub", "orders", Order)
keyed = Topic(
    "pubsub", "orders", Order, metadata={"ttlInSeconds": "60"}, key=lambda order: order.id
)


def query(sidecar: SmallSidecar, at: int = 0) -> dict[str, str]:
    """Return the query parameters of a request."""
    return dict(parse_qsl(sidecar.requests[at][1].partition("?")[2]))


def entries(sidecar: SmallSidecar, at: int = 0) -> list[dict[str, Any]]:
    """Return the entries of a bulk publish."""
    found: list[dict[str, Any]] = msgspec.json.decode(sidecar.requests[at][2])
    return found


async def test_attributes_and_time_to_live_are_request_metadata(
    client: Client, sidecar: SmallSidecar
) -> None:
    """The runtime takes the envelope's attributes from ``cloudevent.*``, and whole seconds."""
    await client.publish(
        orders,
        Order("o1"),
        id="e1",
        type="order.placed",
        source="shop",
        subject="o1",
        ttl=timedelta(milliseconds=1500),
        metadata={"partitionKey": "a b"},
    )

    assert query(sidecar) == {
        "metadata.partitionKey": "a b",
        "metadata.ttlInSeconds": "2",
        "metadata.cloudevent.id": "e1",
        "metadata.cloudevent.type": "order.placed",
        "metadata.cloudevent.source": "shop",
        "metadata.cloudevent.subject": "o1",
    }


async def test_a_topic_says_what_holds_for_its_events(
    client: Client, sidecar: SmallSidecar
) -> None:
    """Its metadata and the key it takes from the data go along, and a call's own metadata wins."""
    await client.publish(keyed, Order("o1"))
    await client.publish(keyed, Order("o1"), metadata={"partitionKey": "x", "ttlInSeconds": "1"})

    assert query(sidecar, 0) == {"metadata.ttlInSeconds": "60", "metadata.partitionKey": "o1"}
    assert query(sidecar, 1) == {"metadata.ttlInSeconds": "1", "metadata.partitionKey": "x"}


async def test_raw_leaves_the_envelope_out(client: Client, sidecar: SmallSidecar) -> None:
    """``raw`` is the runtime's ``rawPayload``, and attributes beside it make no sense."""
    await client.publish(orders, Order("o1"), raw=True)

    assert query(sidecar) == {"metadata.rawPayload": "true"}
    with pytest.raises(ValueError, match="'subject' belongs to the envelope"):
        await client.publish(orders, Order("o1"), raw=True, subject="s")


async def test_a_time_to_live_must_be_longer_than_nothing(client: Client) -> None:
    """The runtime would take 0 for "for ever"."""
    with pytest.raises(ValueError, match="must be longer than 0"):
        await client.publish(orders, Order("o1"), ttl=timedelta(0))


async def test_an_unknown_option_is_refused(client: Client) -> None:
    """A misspelled option is not ignored."""
    with pytest.raises(TypeError, match="subjekt"):
        await client.publish(orders, Order("o1"), subjekt="s")  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("data", "content_type", "part"),
    [
        (Order("o1", 2), "application/json", {"data": {"id": "o1", "total": 2}}),
        ("hé", "text/plain; charset=utf-8", {"data": "hé"}),
        (b"\x00\xff", "application/octet-stream", {"data_base64": "AP8="}),
    ],
)
async def test_an_event_goes_with_its_own_envelope(
    client: Client, sidecar: SmallSidecar, data: object, content_type: str, part: dict[str, object]
) -> None:
    """Attributes and extensions that request metadata cannot say are sent as an envelope."""
    event = CloudEvent(
        id="e1", source="shop", type="t", data=data, subject="s", extensions={"tenant": "x"}
    )

    await client.publish("pubsub", "orders", event)

    assert sidecar.headers[0]["content-type"] == "application/cloudevents+json"
    assert msgspec.json.decode(sidecar.requests[0][2]) == {
        "id": "e1",
        "source": "shop",
        "type": "t",
        "specversion": "1.0",
        "subject": "s",
        "tenant": "x",
        "datacontenttype": content_type,
        **part,
    }


async def test_many_events_go_in_one_request(client: Client, sidecar: SmallSidecar) -> None:
    """Each entry says what it is and carries all metadata: the runtime merges no other."""
    both: list[Order | CloudEvent[Order]] = [
        Order("o1", 1),
        CloudEvent(id="e", source="s", type="t", data=Order("o2")),
    ]
    await client.publish_many(keyed, both, metadata={"a": "b"})
    await client.publish_many("pubsub", "orders", ["hé", b"\x00\xff", {"x": 1}])

    assert [path.partition("?")[0] for _, path, _ in sidecar.requests] == [BULK, BULK]
    first, second = entries(sidecar)
    assert first == {
        "entryId": "0",
        "event": {"id": "o1", "total": 1},
        "contentType": "application/json",
        "metadata": {"ttlInSeconds": "60", "a": "b", "partitionKey": "o1"},
    }
    assert second["contentType"] == "application/cloudevents+json"
    assert second["event"]["id"] == "e"
    assert second["metadata"]["partitionKey"] == "o2"
    assert [entry["event"] for entry in entries(sidecar, 1)] == ["hé", "AP8=", {"x": 1}]


async def test_no_events_are_no_request(client: Client, sidecar: SmallSidecar) -> None:
    """Nothing is asked for nothing."""
    await client.publish_many(orders, [])

    assert sidecar.requests == []


async def test_events_are_divided_below_the_limit_of_a_request(sidecar: SmallSidecar) -> None:
    """No request is longer than the sidecar takes, and the order stays."""
    settings = Settings(max_request_size=4096)
    async with Client(settings, transport=InProcessTransport(sidecar)) as client:
        await client.publish_many("pubsub", "orders", ["x" * 900 for _ in range(5)] + ["y" * 9000])

    assert [[entry["entryId"] for entry in entries(sidecar, at)] for at in range(4)] == [
        ["0", "1"],
        ["2", "3"],
        ["4"],
        ["5"],
    ]
    assert all(len(body) < 4096 for _, _, body in sidecar.requests[:3])


async def test_entries_that_failed_are_named(client: Client, sidecar: SmallSidecar) -> None:
    """The error has each failed event's position and reason; the others were published."""
    body = (
        b'{"failedEntries":[{"entryId":"1","error":"no room"}],'
        b'"errorCode":"ERR_PUBSUB_PUBLISH_MESSAGE"}'
    )
    sidecar.answers[BULK] = Response(body, 500, media_type="application/json")

    with pytest.raises(BulkPublishError, match=r"1 of 2 events were not published.*no room") as e:
        await client.publish_many(orders, [Order("o1"), Order("o2")])

    assert (e.value.failed, e.value.code) == ({1: "no room"}, "ERR_PUBSUB_PUBLISH_MESSAGE")


async def test_a_refusal_of_all_is_that_refusal(client: Client, sidecar: SmallSidecar) -> None:
    """Where nothing was published, the error is the one that publishing one would give."""
    sidecar.answers[BULK] = error(404, "ERR_PUBSUB_NOT_FOUND", "pubsub pubsub is not found")

    with pytest.raises(NotFound, match="is not found"):
        await client.publish_many(orders, [Order("o1")])


async def test_what_follows_a_refused_part_is_not_sent() -> None:
    """A later request that fails leaves its events and the rest unpublished, and says so."""

    class Filling(SmallSidecar):
        async def answer(self, request: Any) -> Response:
            response = await super().answer(request)
            return error(500, "ERR_X", "full") if len(self.requests) > 1 else response

    sidecar = Filling()
    settings = Settings(max_request_size=3000)
    async with Client(settings, transport=InProcessTransport(sidecar)) as client:
        with pytest.raises(BulkPublishError, match="2 of 3") as caught:
            await client.publish_many("pubsub", "orders", ["x" * 600 for _ in range(3)])

    assert sorted(caught.value.failed) == [1, 2]
    assert "full" in caught.value.failed[2]
    assert isinstance(caught.value.__cause__, SidecarError)
    assert len(sidecar.requests) == 2


async def test_what_cannot_be_many_is_refused_before_anything_is_sent(
    client: Client, sidecar: SmallSidecar
) -> None:
    """A runtime takes few content types in bulk, and one id cannot be every event's."""
    with pytest.raises(ValueError, match="event 0 has content type 'image/png'"):
        await client.publish_many("pubsub", "orders", [b"x"], content_type="image/png")
    with pytest.raises(ValueError, match="'id' is one event's"):
        await client.publish_many(orders, [Order("o1")], id="e1")
    assert sidecar.requests == []
