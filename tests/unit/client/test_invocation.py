"""Invoking methods of other apps."""

import msgspec
import pytest
from starlette.responses import Response

from daprflow.addresses import Endpoint
from daprflow.client import Client
from daprflow.errors import InvocationError
from tests.helpers.small_sidecar import SmallSidecar, error


class Order(msgspec.Struct):
    """A payload."""

    id: str


PATH = "/v1.0/invoke/pricing/method/price"


async def test_an_endpoint_is_called_and_answers_typed(
    client: Client, sidecar: SmallSidecar
) -> None:
    """The payload goes as JSON to the method's path, the answer is decoded."""
    sidecar.answers[PATH] = Response(b"7", media_type="application/json")

    assert await client.invoke(Endpoint("pricing", "price", Order, int), Order("o1")) == 7
    assert sidecar.requests == [("POST", PATH, b'{"id":"o1"}')]
    assert sidecar.headers[0]["content-type"] == "application/json"


async def test_no_payload_means_no_body(client: Client, sidecar: SmallSidecar) -> None:
    """An endpoint that takes nothing is called without a body and a content type."""
    sidecar.answers[PATH] = Response(b"7")
    endpoint: Endpoint[None, int] = Endpoint("pricing", "price", type(None), int)

    assert await client.invoke(endpoint) == 7
    assert await client.invoke(endpoint, None) == 7
    assert sidecar.requests == [("POST", PATH, b"")] * 2
    assert "content-type" not in sidecar.headers[0]


async def test_text_and_bytes_are_taken_as_they_are(client: Client, sidecar: SmallSidecar) -> None:
    """Only an answer that says it is JSON is decoded as JSON to text."""
    sidecar.answers[PATH] = Response('"hé"', media_type="text/plain")

    assert await client.invoke(Endpoint("pricing", "price", str, str), "x") == '"hé"'
    assert await client.invoke(Endpoint("pricing", "price", bytes, bytes), b"x") == '"hé"'.encode()

    sidecar.answers[PATH] = Response('"hé"', media_type="application/json")
    assert await client.invoke(Endpoint("pricing", "price", str, str), "x") == "hé"


async def test_an_answer_nobody_waits_for_is_ignored(client: Client, sidecar: SmallSidecar) -> None:
    """An endpoint that returns None does not look at the body."""
    sidecar.answers[PATH] = Response(b"whatever")
    endpoint: Endpoint[str, None] = Endpoint("pricing", "price", str, type(None))

    await client.invoke(endpoint, "x")

    assert sidecar.requests == [("POST", PATH, b"x")]


async def test_a_method_may_be_a_path(client: Client, sidecar: SmallSidecar) -> None:
    """Slashes of a method are kept, anything else is escaped."""
    await client.invoke(Endpoint("a b", "/v1/orders?x#y", str, bytes), "")

    assert sidecar.requests[0][1] == "/v1.0/invoke/a%20b/method/v1/orders%3Fx%23y"


@pytest.mark.parametrize("status", [302, 400, 404, 500, 503])
async def test_an_apps_error_keeps_status_and_body(
    client: Client, sidecar: SmallSidecar, status: int
) -> None:
    """What the app answered is there, and its text is not in the message."""
    sidecar.answers[PATH] = Response(b"private", status)

    with pytest.raises(InvocationError, match="method 'price' of app 'pricing'") as caught:
        await client.invoke(Endpoint("pricing", "price", Order, int), Order("o1"))

    assert (caught.value.status, caught.value.body, caught.value.code) == (status, b"private", "")
    assert "private" not in str(caught.value)


async def test_a_sidecars_own_error_has_its_code(client: Client, sidecar: SmallSidecar) -> None:
    """An app that cannot be reached is told apart by the code."""
    sidecar.answers[PATH] = error(500, "ERR_DIRECT_INVOKE", "failed to invoke, id: pricing")

    with pytest.raises(InvocationError, match="failed to invoke, id: pricing") as caught:
        await client.invoke(Endpoint("pricing", "price", Order, int), Order("o1"))

    assert caught.value.code == "ERR_DIRECT_INVOKE"


@pytest.mark.parametrize("body", [b"", b"{", b'"x"', b"\xff"])
async def test_an_answer_of_another_type_is_an_error(
    client: Client, sidecar: SmallSidecar, body: bytes
) -> None:
    """The error says what was expected and keeps what came."""
    sidecar.answers[PATH] = Response(body)

    with pytest.raises(InvocationError, match="is not 'int'") as caught:
        await client.invoke(Endpoint("pricing", "price", Order, int), Order("o1"))

    assert caught.value.body == body


async def test_text_that_is_no_utf_8_is_an_error(client: Client, sidecar: SmallSidecar) -> None:
    """Plain text is decoded as UTF-8 or refused."""
    sidecar.answers[PATH] = Response(b"\xff", media_type="text/plain")

    with pytest.raises(InvocationError) as caught:
        await client.invoke(Endpoint("pricing", "price", Order, str), Order("o1"))

    assert caught.value.body == b"\xff"
