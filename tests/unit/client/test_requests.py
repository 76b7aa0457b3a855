"""Raw calls of apps: any verb, headers, query and status."""

from datetime import timedelta

import msgspec
import pytest
from starlette.responses import Response

from daprflow.client import Client
from daprflow.errors import InvocationError
from daprflow.protocol.http import HttpRequest, HttpResponse
from tests.helpers.small_sidecar import SmallSidecar, error

PATH = "/v1.0/invoke/shop/method/orders/o%201"


async def test_verb_query_headers_and_body_arrive(client: Client, sidecar: SmallSidecar) -> None:
    """Everything is sent as it was said, escaped where a URL needs it."""
    await client.request(
        "shop",
        "/orders/o 1",
        {"total": 5},
        verb="put",
        query={"q": "a&b", "page": 2, "all": True},
        headers={"X-Tenant": "t"},
    )

    assert sidecar.requests == [("PUT", f"{PATH}?q=a%26b&page=2&all=true", b'{"total":5}')]
    assert sidecar.headers[0]["x-tenant"] == "t"
    assert sidecar.headers[0]["content-type"] == "application/json"


async def test_a_call_without_a_body_has_no_content_type(
    client: Client, sidecar: SmallSidecar
) -> None:
    """None is an empty body, and a query may repeat a name."""
    await client.request("shop", "orders", verb="GET", query=[("id", "1"), ("id", "2")])

    assert sidecar.requests[0][1:] == ("/v1.0/invoke/shop/method/orders?id=1&id=2", b"")
    assert "content-type" not in sidecar.headers[0]


async def test_the_answer_is_there_as_it_came(client: Client, sidecar: SmallSidecar) -> None:
    """Status, headers and body, and the body as text or as a type."""
    answer = Response(b'{"a":1}', 201, headers={"X-Id": "7"}, media_type="application/json")
    sidecar.answers[PATH] = answer

    response = await client.request("shop", "orders/o 1")

    assert (response.status, response.header("X-ID"), response.header("none")) == (201, "7", "")
    assert (response.text, response.json(dict[str, int])) == ('{"a":1}', {"a": 1})
    with pytest.raises(InvocationError, match="is not 'list"):
        response.json(list[str])


async def test_an_error_status_is_an_error_with_the_body(
    client: Client, sidecar: SmallSidecar
) -> None:
    """The app's own words are in ``body``, not in the text; with a flag it is an answer."""
    sidecar.answers[PATH] = Response(b"out of stock", 409)

    with pytest.raises(InvocationError, match="status 409") as caught:
        await client.request("shop", "orders/o 1")
    response = await client.request("shop", "orders/o 1", raise_for_status=False)

    assert (caught.value.status, caught.value.body) == (409, b"out of stock")
    assert "out of stock" not in str(caught.value)
    assert (response.status, response.text) == (409, "out of stock")


async def test_an_app_that_is_not_there_is_said(client: Client, sidecar: SmallSidecar) -> None:
    """The sidecar's own failure has a code, and a hint what to do."""
    sidecar.answers[PATH] = error(
        500, "ERR_DIRECT_INVOKE", "failed to invoke, id: shop, err: no host found with the given ID"
    )

    with pytest.raises(InvocationError, match="start that app with a sidecar") as caught:
        await client.request("shop", "orders/o 1")

    assert caught.value.code == "ERR_DIRECT_INVOKE"


async def test_a_query_in_the_method_is_refused(client: Client) -> None:
    """The runtime refuses it with a riddle; here the error names the argument."""
    with pytest.raises(ValueError, match="give the query as 'query'"):
        await client.request("shop", "orders?id=1")


async def test_bodies_stream_in_process_too(client: Client, sidecar: SmallSidecar) -> None:
    """The test kit's transport streams as the one over sockets does."""
    sidecar.answers[PATH] = Response(b"abc")

    async with client.stream("shop", "orders/o 1", {"x": 1}) as response:
        body = await response.read()

    assert body == b"abc"
    assert sidecar.requests[0][2] == msgspec.json.encode({"x": 1})
    assert sidecar.headers[0]["content-length"] == "7"


async def test_a_streamed_error_is_an_error(client: Client, sidecar: SmallSidecar) -> None:
    """Its body is read so far that the exception can hold it."""
    sidecar.answers[PATH] = Response(b"no", 503)

    with pytest.raises(InvocationError) as caught:
        async with client.stream("shop", "orders/o 1"):
            pass
    async with client.stream("shop", "orders/o 1", raise_for_status=False) as response:
        assert response.status == 503

    assert (caught.value.status, caught.value.body) == (503, b"no")


async def test_reading_has_a_limit(client: Client, sidecar: SmallSidecar) -> None:
    """Who reads all at once says how much that may be."""
    sidecar.answers[PATH] = Response(b"x" * 1001)

    async with client.stream("shop", "orders/o 1") as response:
        with pytest.raises(InvocationError, match="longer than 1000 bytes"):
            await response.read(1000)


async def test_a_transport_that_cannot_stream_says_so() -> None:
    """A transport of one's own needs no ``stream``; then only streaming is refused."""

    class Plain:
        address = "nowhere"

        async def send(self, request: HttpRequest, /) -> HttpResponse:
            return HttpResponse(204)

        async def close(self) -> None:
            """Hold nothing."""

    async with Client(transport=Plain()) as client:
        assert (await client.request("a", "m", timeout=timedelta(seconds=1))).status == 204
        with pytest.raises(TypeError, match="'Plain' cannot stream"):
            async with client.stream("a", "m"):
                pass
