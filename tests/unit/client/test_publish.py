"""Publishing."""

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel, Field

from daprflow.addresses import Topic
from daprflow.client import Client
from daprflow.errors import NotFound, SidecarError
from tests.helpers.small_sidecar import SmallSidecar, error


class Order(msgspec.Struct):
    """A Struct payload."""

    id: str
    total: int


@dataclass
class Receipt:
    """A dataclass payload."""

    order_id: str


class Parcel(BaseModel):
    """A pydantic payload."""

    weight: int = Field(alias="weightGrams")


async def test_a_topic_handle_says_where_to(client: Client, sidecar: SmallSidecar) -> None:
    """A handle's names make the path, its payload the JSON body."""
    await client.publish(Topic("pubsub", "orders", Order), Order("o1", 5))

    assert sidecar.requests == [("POST", "/v1.0/publish/pubsub/orders", b'{"id":"o1","total":5}')]
    assert sidecar.headers[0]["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("data", "body", "content_type"),
    [
        (Receipt("o1"), b'{"order_id":"o1"}', "application/json"),
        (Parcel(weightGrams=3), b'{"weightGrams":3}', "application/json"),
        ([Parcel(weightGrams=3)], b'[{"weightGrams":3}]', "application/json"),
        ({"a": 1}, b'{"a":1}', "application/json"),
        (None, b"null", "application/json"),
        ("hé", "hé".encode(), "text/plain; charset=utf-8"),
        (b"\x00\xff", b"\x00\xff", "application/octet-stream"),
        (bytearray(b"x"), b"x", "application/octet-stream"),
    ],
)
async def test_the_content_type_follows_the_data(
    client: Client, sidecar: SmallSidecar, data: object, body: bytes, content_type: str
) -> None:
    """Bytes and text go as they are, everything else as JSON, and each says what it is."""
    await client.publish("pubsub", "orders", data)

    assert sidecar.requests[0][2] == body
    assert sidecar.headers[0]["content-type"] == content_type


async def test_a_given_content_type_is_believed(client: Client, sidecar: SmallSidecar) -> None:
    """Text that already is an envelope can be sent as one."""
    await client.publish("p", "t", '{"id":"1"}', content_type="application/cloudevents+json")

    assert sidecar.requests[0][2] == b'{"id":"1"}'
    assert sidecar.headers[0]["content-type"] == "application/cloudevents+json"


@pytest.mark.parametrize(
    ("topic", "path"),
    [
        ("a/b", "a%2Fb"),
        ("a b+c", "a%20b%2Bc"),
        ("?x#y%", "%3Fx%23y%25"),
        ("zażółć", "za%C5%BC%C3%B3%C5%82%C4%87"),
        ("..", "%2E%2E"),
        ("a//b/", "a%2F%2Fb%2F"),
    ],
)
async def test_names_are_escaped(
    client: Client, sidecar: SmallSidecar, topic: str, path: str
) -> None:
    """No character of a topic's name can change the path."""
    await client.publish("p", topic, 1)

    assert sidecar.requests[0][1] == f"/v1.0/publish/p/{path}"


async def test_metadata_becomes_query_parameters(client: Client, sidecar: SmallSidecar) -> None:
    """Request metadata travels in the query, escaped."""
    await client.publish("p", "t", 1, metadata={"ttlInSeconds": "5", "a&b": "c=d e"})

    assert sidecar.requests[0][1].partition("?")[2] == (
        "metadata.ttlInSeconds=5&metadata.a%26b=c%3Dd%20e"
    )


async def test_an_unknown_pubsub_is_not_found(client: Client, sidecar: SmallSidecar) -> None:
    """The runtime's error keeps its code, status and text."""
    sidecar.answers["/v1.0/publish/p/t"] = error(
        404, "ERR_PUBSUB_NOT_FOUND", "pubsub p is not found"
    )

    with pytest.raises(NotFound, match="pubsub p is not found") as caught:
        await client.publish("p", "t", 1)

    assert (caught.value.code, caught.value.status) == ("ERR_PUBSUB_NOT_FOUND", 404)


async def test_a_body_that_is_too_long_gets_a_hint(client: Client, sidecar: SmallSidecar) -> None:
    """The runtime says what is wrong and not what to do."""
    message = "error when publishing to topic t in pubsub p: stream too large"
    sidecar.answers["/v1.0/publish/p/t"] = error(500, "ERR_PUBSUB_PUBLISH_MESSAGE", message)

    with pytest.raises(SidecarError, match="start the sidecar with a larger --max-body-size"):
        await client.publish("p", "t", 1)


async def test_data_without_a_json_form_is_refused(client: Client, sidecar: SmallSidecar) -> None:
    """The error names the type, and nothing is sent."""
    with pytest.raises(TypeError, match="'SmallSidecar'"):
        await client.publish("p", "t", {"x": sidecar})

    assert sidecar.requests == []


@pytest.mark.parametrize("event", [(), ("p",), ("p", "t"), ("p", 1, 2), (Topic("p", "t", int),)])
async def test_a_wrong_call_says_how_it_is_meant(client: Client, event: tuple[Any, ...]) -> None:
    """Without a type checker, the error says which two forms there are."""
    with pytest.raises(TypeError, match="publish takes a Topic and the data, or the names"):
        await client.publish(*event)


@pytest.mark.parametrize("names", [("", "t"), ("p", "")])
async def test_an_empty_name_is_refused(
    client: Client, sidecar: SmallSidecar, names: tuple[str, str]
) -> None:
    """The sidecar would clean it out of the path and answer about something else."""
    with pytest.raises(ValueError, match="a name is empty"):
        await client.publish(*names, 1)

    assert sidecar.requests == []
