"""Calls of endpoints with verb, path and parameters."""

import gc
import weakref
from datetime import date, timedelta
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daprflow import Client, DaprFlow, Endpoint, Header, Path, Query
from daprflow.client.addressing import call_of, request
from daprflow.handlers.codecs import NO_CODECS
from daprflow.protocol.http import HttpRequest
from tests.helpers.app_calls import recording_client, running


class Order(msgspec.Struct):
    number: str
    total: int = 0


class Colour(Enum):
    RED = "red"


class Search(msgspec.Struct, rename="camel"):
    order_id: Annotated[str, Path("number")]
    page_size: Annotated[int | None, Query()] = None
    tenant: Annotated[str, Header("x-tenant")] = "none"
    extra: str = ""


get_order = Endpoint("orders", "GET /orders/{number}", None, Order)
search = Endpoint("orders", "POST /search/{number}", Search, None)
delete = Endpoint("orders", "DELETE /orders/{number}", None, None)


def own() -> Endpoint[None, str]:
    """The handle of a handler with parameters of every sort."""
    app = DaprFlow("shop")

    @app.invoke("GET", "/days/{day}")
    async def find(
        *,
        day: date,
        tag: Annotated[list[int], Query()],
        colour: Annotated[Colour | None, Query("c")] = None,
        big: Annotated[bool, Query()] = False,
        tenant_id: Annotated[str, Header()] = "",
        client: Client,
    ) -> str:
        return client.__class__.__name__

    return find


async def sent(endpoint: Endpoint[Any, Any], data: Any = None, **parameters: object) -> HttpRequest:
    """What the client asks its sidecar for."""
    client, transport = recording_client()
    async with client:
        await client.invoke(endpoint, data, **parameters)
    return transport.requests[-1]


async def test_a_call_has_the_endpoints_verb_and_path() -> None:
    """Values of the path are encoded, further ones go into the query, and no body is sent."""
    asked = await sent(delete, number="a b/ü".replace("/", ":"), force=True, only=["x", "y&z"])
    assert asked == HttpRequest(
        "DELETE",
        "/v1.0/invoke/orders/method/orders/a%20b%3A%C3%BC?force=true&only=x&only=y%26z",
    )


async def test_an_own_handle_knows_where_parameters_stand() -> None:
    """Names and places are the handler's, what is injected there is nobody's to give."""
    asked = request(
        call_of(own()),
        None,
        {"day": date(2026, 1, 2), "tag": [1, 2], "colour": Colour.RED, "tenant_id": "ann"},
        NO_CODECS,
    )
    assert asked == HttpRequest(
        "GET",
        "/v1.0/invoke/shop/method/days/2026-01-02?tag=1&tag=2&c=red",
        (("tenant-id", "ann"),),
    )


async def test_marked_fields_are_taken_out_of_the_payload() -> None:
    """What is marked goes beside the body, the rest is the body."""
    asked = await sent(search, Search("7", 5, "ann", "x"))
    assert asked == HttpRequest(
        "POST",
        "/v1.0/invoke/orders/method/search/7?page_size=5",
        (("content-type", "application/json"), ("x-tenant", "ann")),
        b'{"extra":"x"}',
    )
    unsaid = await sent(search, Search("7"))
    assert unsaid.target == "/v1.0/invoke/orders/method/search/7"


@pytest.mark.parametrize(
    ("endpoint", "given_values", "reason"),
    [
        (get_order, {}, "needs path parameter 'number'"),
        (own(), {"day": "x"}, "needs query parameter 'tag'"),
        (own(), {"tag": [1]}, "needs path parameter 'day'"),
        (
            own(),
            {"day": "x", "tag": 1, "client": 1},
            "has no parameter 'client'; it has 'day', 'tag'",
        ),
        (
            own(),
            {"day": "x", "tag": 1, "big": [True]},
            "query parameter 'big' takes one value, not several",
        ),
        (
            own(),
            {"day": "x", "tag": 1, "colour": Order("secret")},
            "query parameter 'c' takes text",
        ),
        (get_order, {"number": ["a"]}, "path parameter 'number' takes one value, not several"),
        (Endpoint("a", "price", Order, int), {"page": 1}, "has no parameter 'page'; it has none"),
        (Endpoint("a", "GET /{a}.x", None, int), {}, "is no parameter"),
    ],
)
async def test_wrong_parameters_are_refused_before_anything_is_sent(
    endpoint: Endpoint[Any, Any], given_values: dict[str, object], reason: str
) -> None:
    """A name that is unknown or missing, or a value that is no text, is a TypeError."""
    client, transport = recording_client()
    async with client:
        with pytest.raises(TypeError) as refused:
            await client.invoke(
                endpoint, Order("x") if "price" in repr(endpoint) else None, **given_values
            )
    assert reason in str(refused.value)
    assert "secret" not in str(refused.value)
    assert [each.method for each in transport.requests] == ["GET"]  # the wait for the sidecar


@pytest.mark.parametrize(
    "value", ["", ".", "..", "a/b", "a?b", "a#b", "a%41b", "100%", "a\nb", "\x7f"]
)
async def test_what_a_sidecar_would_change_does_not_go_into_a_path(value: str) -> None:
    """It decodes, checks and cleans paths; such a value would not arrive as it is."""
    with pytest.raises(ValueError, match=r"path parameter 'number' is empty, '\.' or '\.\.', or"):
        await sent(get_order, number=value)


@pytest.mark.row("FA-23", "S-15")
async def test_a_header_cannot_be_broken() -> None:
    """A line break in a value would begin another header."""
    with pytest.raises(ValueError, match="header 'x-tenant' cannot hold a line break"):
        await sent(search, Search("7", tenant="a\r\nb: c"))


def test_a_handle_that_nobody_has_is_forgotten() -> None:
    """What was worked out for an endpoint lives as long as it."""
    client, _ = recording_client()
    endpoint = Endpoint("a", "GET /x", None, int)
    client._caller.call_of(endpoint)
    gone = weakref.ref(endpoint)
    del endpoint
    gc.collect()
    assert gone() is None


segments = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="/?#%\x7f").filter(
        lambda char: char >= " "
    ),
    min_size=1,
).filter(lambda text: text not in {".", ".."})
headers = st.text(st.characters(codec="latin-1", min_codepoint=33, max_codepoint=126), min_size=1)


class Everything(msgspec.Struct):
    part: Annotated[str, Path()]
    number: Annotated[int, Path()]
    text: Annotated[str, Query()]
    ratio: Annotated[float, Query()]
    flag: Annotated[bool, Query("a flag")]
    many: Annotated[list[str], Query()]
    uuid: Annotated[UUID, Query()]
    day: Annotated[date, Query()]
    span: Annotated[timedelta, Query()]
    raw: Annotated[bytes, Query()]
    colour: Annotated[Colour, Query()]
    header: Annotated[str, Header()]
    body: list[float | str | None]


values = st.builds(
    Everything,
    part=segments,
    number=st.integers(-(2**60), 2**60),
    text=st.text(),
    ratio=st.floats(allow_nan=False),
    flag=st.booleans(),
    many=st.lists(st.text(), min_size=1),
    uuid=st.uuids(),
    day=st.dates(),
    span=st.timedeltas(timedelta(days=-1000), timedelta(days=1000)),
    raw=st.text().map(str.encode),
    colour=st.sampled_from(Colour),
    header=headers,
    body=st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.text() | st.none()),
)


@given(value=values)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
async def test_every_value_arrives_as_it_was_sent(value: Everything) -> None:
    """What the client encodes into path, query, headers and body, the handler is given."""
    app = DaprFlow("shop")
    seen: list[Everything] = []

    @app.invoke("POST", "/all/{part}/{number}")
    async def take(everything: Everything) -> None:
        seen.append(everything)

    asked = request(call_of(take), value, {}, NO_CODECS)
    path = asked.target.removeprefix("/v1.0/invoke/shop/method")
    async with running(app) as call:
        answer = await call.request(asked.method, path, asked.body, asked.headers)
    assert (answer.status, answer.body) == (204, b"")
    assert seen == [value]
