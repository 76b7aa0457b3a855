"""An event's data in every form it arrives in, to every type a handler may ask for."""

import base64
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypedDict
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daprflow import CloudEvent, DaprFlow
from daprflow.handlers.decoding import BodyDecoder, EventDecoder, Undecodable
from daprflow.handlers.handler import Delivery
from tests.helpers.app_calls import attributes, base64_event, event, running, without_data


class Order(msgspec.Struct):
    id: str
    total: int


@dataclass
class OrderData:
    id: str
    total: int


class OrderDict(TypedDict):
    id: str
    total: int


@attrs.define
class OrderAttrs:
    id: str
    total: int


class OrderModel(pydantic.BaseModel):
    id: str
    total: int


class Holder(msgspec.Struct):
    order: OrderModel
    others: list[OrderModel] = []


def delivery(body: bytes, *headers: tuple[bytes, bytes]) -> Delivery:
    """A delivered event."""
    return Delivery("topic", "pubsub/orders", body, raw_headers=headers)


@pytest.mark.parametrize(
    ("payload", "wanted"),
    [
        (Order, Order("7", 5)),
        (OrderData, OrderData("7", 5)),
        (OrderDict, {"id": "7", "total": 5}),
        (OrderAttrs, OrderAttrs("7", 5)),
        (OrderModel, OrderModel(id="7", total=5)),
        (dict[str, Any], {"id": "7", "total": 5}),
        (Any, {"id": "7", "total": 5}),
        (Order | None, Order("7", 5)),
        (bytes, b'{"id":"7","total":5}'),
        (str, '{"id":"7","total":5}'),
    ],
    ids=str,
)
def test_every_kind_of_payload_is_decoded(payload: Any, wanted: object) -> None:
    """Structs, dataclasses, TypedDicts, attrs, builtins, pydantic models and raw text."""
    body = event({"id": "7", "total": 5})
    assert EventDecoder(payload).data(delivery(body)) == wanted
    encoded = base64_event(b'{"id":"7","total":5}')
    assert EventDecoder(payload).data(delivery(encoded)) == wanted


@pytest.mark.parametrize(
    ("payload", "data", "wanted"),
    [
        (str, "10h", "10h"),
        (str, "2024-01-02", "2024-01-02"),
        (str, 'say "hi"\n', 'say "hi"\n'),
        (bytes, "text", b"text"),
        (int, 0, 0),
        (bool, False, False),
        (list[int], [1, 2], [1, 2]),
        (type(None), None, None),
        (Order | None, None, None),
        (datetime, "2024-01-02T00:00:00", datetime(2024, 1, 2)),  # noqa: DTZ001 - as sent
        (
            UUID,
            "5b1e4a4e-0000-4000-8000-000000000001",
            UUID(int=0x5B1E4A4E00004000_8000000000000001),
        ),
        (Decimal, "1.10", Decimal("1.10")),
    ],
    ids=str,
)
def test_values_keep_their_type(payload: Any, data: object, wanted: object) -> None:
    """The annotation decides, never the look of the text; falsy values are values."""
    found = EventDecoder(payload).data(delivery(event(data)))
    assert (found, type(found)) == (wanted, type(wanted))


def test_pydantic_models_are_decoded_where_they_are_nested() -> None:
    """A model inside a Struct or a list is validated by pydantic."""
    data = {"order": {"id": "7", "total": 5}, "others": [{"id": "8", "total": 6}]}
    found = EventDecoder(Holder).data(delivery(event(data)))
    assert found == Holder(OrderModel(id="7", total=5), [OrderModel(id="8", total=6)])


def test_pydantic_errors_name_the_place_and_no_value() -> None:
    """What pydantic quotes of the input stays out of the reason."""
    with pytest.raises(Undecodable) as caught:
        EventDecoder(Holder).data(delivery(event({"order": {"id": "7", "total": "hush"}})))
    assert "total" in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("payload", [Order, bytes, str])
def test_missing_data_is_refused(payload: type) -> None:
    """An event without data fits no type that needs some."""
    with pytest.raises(Undecodable, match="no 'data'"):
        EventDecoder(payload).data(delivery(without_data()))


def test_missing_data_is_none_where_none_fits() -> None:
    """An event without data is None to a handler that takes None."""
    assert EventDecoder(Order | None).data(delivery(without_data())) is None


@pytest.mark.parametrize("dash", [b"-", b"_"])
def test_binary_mode_is_read_by_the_same_path(dash: bytes) -> None:
    """Attributes in headers and raw data in the body make an event, with either spelling."""
    headers = [
        (b"ce" + dash + name, value)
        for name, value in [
            (b"id", b"1"),
            (b"source", b"s"),
            (b"type", b"t"),
            (b"specversion", b"1.0"),
            (b"tenant", b"a"),
        ]
    ]
    found = EventDecoder(Order).event(delivery(b'{"id":"7","total":5}', *headers))
    assert (found.id, found.data, found.extensions) == ("1", Order("7", 5), {"tenant": "a"})
    assert EventDecoder(bytes).data(delivery(b"\xff\x00", *headers)) == b"\xff\x00"


def test_incomplete_binary_mode_is_refused() -> None:
    """A binary event without an id is undecodable, and the header is named."""
    with pytest.raises(Undecodable, match="'ce-id'"):
        EventDecoder(bytes).data(delivery(b"x", (b"ce-specversion", b"1.0")))


def test_raw_payload_subscriptions_use_the_same_path() -> None:
    """The envelope a sidecar makes for raw payloads is decoded like any other."""
    body = base64_event(
        b'{"id":"7","total":5}', source="Dapr", datacontenttype="application/octet-stream"
    )
    assert EventDecoder(Order, raw=True).data(delivery(body)) == Order("7", 5)
    assert EventDecoder(bytes, raw=True).data(delivery(base64_event(b"\xff"))) == b"\xff"


def test_text_that_is_not_utf8_is_refused() -> None:
    """A handler of text is not given broken text."""
    with pytest.raises(Undecodable, match="UTF-8"):
        EventDecoder(str).data(delivery(base64_event(b"\xff")))


@pytest.mark.row("FA-15")
def test_an_event_with_broken_extensions_is_refused() -> None:
    """What makes an attribute unreadable makes the event undecodable, not the app fail."""
    body = event(1)[:-1] + b',"odd":"\\ud800"}'
    for read in (EventDecoder(int).event, EventDecoder(int).data):
        with pytest.raises(Undecodable, match="not JSON"):
            read(delivery(body))


async def test_extensions_reach_a_handler() -> None:
    """A handler of the whole event sees extension attributes and trace fields."""
    seen: list[CloudEvent[Order]] = []
    app = DaprFlow("shop")

    @app.topic("pubsub", "orders")
    async def on_order(received: CloudEvent[Order]) -> None:
        seen.append(received)

    async with running(app) as call:
        await call.deliver({"id": "7", "total": 5}, tenant="a", traceid=True)
    [found] = seen
    assert (found.data, found.extensions, found.traceid) == (Order("7", 5), {"tenant": "a"}, "true")


async def test_a_bare_envelope_takes_any_data() -> None:
    """``CloudEvent`` without a type argument gives plain JSON data."""
    seen: list[Any] = []
    app = DaprFlow("shop")

    @app.topic("pubsub", "orders")
    async def on_order(received: CloudEvent) -> None:  # type: ignore[type-arg]  # the point
        seen.append(received.data)

    async with running(app) as call:
        await call.deliver({"a": 1})
    assert seen == [{"a": 1}]


@pytest.mark.parametrize(
    ("payload", "body", "wanted"),
    [
        (bytes, b"\xff", b"\xff"),
        (bytes, b"", b""),
        (str, "é".encode(), "é"),
        (int, b"5", 5),
        (type(None), b"", None),
        (OrderModel, b'{"id":"7","total":5}', OrderModel(id="7", total=5)),
    ],
    ids=str,
)
def test_bodies_are_decoded_whole(payload: Any, body: bytes, wanted: object) -> None:
    """Bindings and invocations carry the payload as the body."""
    assert BodyDecoder(payload).decode(body) == wanted


@pytest.mark.row("FA-15")
@pytest.mark.parametrize(
    ("payload", "body", "reason"),
    [
        (Order, b"", "empty"),
        (Order, b"{", "not JSON"),
        (Order, b'{"id":"\xff"}', "UTF-8"),
        (Order, b"[" * 100_000, "Expected"),
        (Any, b"[" * 100_000, "nested"),
        (str, b"\xff", "UTF-8"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_bad_bodies_are_refused(payload: Any, body: bytes, reason: str) -> None:
    """Every way a body can be wrong is one kind of error."""
    with pytest.raises(Undecodable, match=reason):
        BodyDecoder(payload).decode(body)


def test_base64_helpers_agree() -> None:
    """The helper that builds binary events writes what the decoder reads."""
    assert msgspec.json.decode(base64_event(b"x"))["data_base64"] == base64.b64encode(b"x").decode()


EVENT_OF_ORDER = EventDecoder(Order)
EVENT_OF_ANYTHING = EventDecoder(Any)
EVENT_OF_TEXT = EventDecoder(str)

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
_names = st.sampled_from(["data", "data_base64", "time", "traceid", "traceparent", "topic", "x"])


@st.composite
def _json_texts(draw: st.DrawFn) -> bytes:
    """Envelopes with attributes of any type, cut off now and then."""
    changed = draw(st.dictionaries(_names | st.sampled_from(["id", "source"]), _values))
    body = msgspec.json.encode({**attributes(), **changed})
    return body[: draw(st.integers(0, len(body)))] if draw(st.booleans()) else body


@pytest.mark.row("FA-15")
@settings(deadline=None)  # a busy machine is no mistake of the decoder
@given(body=st.binary(max_size=64) | _json_texts())
def test_any_body_is_decoded_or_refused(body: bytes) -> None:
    """Whatever arrives, there is data or one kind of error."""
    for decoder in (EVENT_OF_ORDER, EVENT_OF_ANYTHING, EVENT_OF_TEXT):
        for read in (decoder.data, decoder.event):
            with suppress(Undecodable):
                read(delivery(body))
