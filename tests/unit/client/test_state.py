"""State stores."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from daprflow.client import Client, Item
from daprflow.errors import EtagMismatch, NotFound, SidecarError
from tests.helpers.small_sidecar import SmallSidecar, error


class Cart(msgspec.Struct):
    """A value."""

    items: list[str] = []


class Basket(BaseModel):
    """A pydantic value."""

    items: list[str] = []


def with_item(cart: Cart | None) -> Cart:
    """Return the cart with one item more."""
    cart = cart or Cart()
    cart.items.append("x")
    return cart


async def test_a_missing_key_is_none(client: Client) -> None:
    """A key nobody wrote gives None, not an error."""
    assert await client.state("store").get("nothing", Cart) is None


async def test_a_value_comes_back_typed(client: Client) -> None:
    """What was set is decoded to the type that is asked for, with its ETag."""
    store = client.state("store")

    await store.set("cart:ann", Cart(["a"]))

    assert await store.get("cart:ann", Cart) == Item(Cart(["a"]), "1")


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ({"a": [1, None]}, b'{"a":[1,null]}'),
        (["ü"], '["ü"]'.encode()),
        (7, b"7"),
        (True, b"true"),
        ("text", b"text"),
        (b"\xff", b"\xff"),
    ],
)
async def test_any_value_is_kept_and_published(
    client: Client, sidecar: SmallSidecar, value: object, sent: bytes
) -> None:
    """A dict is as good as text and bytes, which alone the official client takes (D10)."""
    store = client.state("store")

    await store.set("k", value)
    await client.publish("p", "t", value)
    item = await store.get("k", type(value))

    assert item is not None
    assert item.value == value
    assert [body for _, path, body in sidecar.requests if "/publish/" in path] == [sent]


async def test_a_dict_is_saved_and_published(client: Client, sidecar: SmallSidecar) -> None:
    """The official client refuses both with "invalid type" (D10)."""
    order = {"id": "o-1", "lines": [{"sku": "a", "count": 2}, None]}

    await client.state("store").set("k", order)
    await client.publish("pubsub", "orders", order)

    assert await client.state("store").get("k", dict[str, object]) == Item(order, "1")
    assert msgspec.json.decode(sidecar.requests[1][2]) == order


async def test_pydantic_models_are_values_too(client: Client) -> None:
    """A pydantic model goes in and comes out."""
    store = client.state("store")

    await store.set("b", Basket(items=["a"]))
    item = await store.get("b", Basket)

    assert item is not None
    assert item.value == Basket(items=["a"])


async def test_bytes_come_back_as_bytes(client: Client) -> None:
    """Past a transport of its own, bytes are kept as base64 text in JSON, and decoded from it."""
    store = client.state("store")

    await store.set("b", b"\x00\xff")
    item = await store.get("b", bytes)

    assert item is not None
    assert item.value == b"\x00\xff"


async def test_the_expiry_is_a_time(client: Client, sidecar: SmallSidecar) -> None:
    """The runtime's ttlexpiretime header becomes an aware datetime."""
    sidecar.metadata = {"metadata.ttlexpiretime": "2026-11-21T08:00:51Z"}
    store = client.state("store")

    await store.set("k", 1)
    item = await store.get("k", int)

    assert item is not None
    assert item.expires == datetime(2026, 11, 21, 8, 0, 51, tzinfo=UTC)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(key=st.text(min_size=1).filter(lambda key: key.isprintable()))
async def test_any_key_round_trips(client: Client, key: str) -> None:
    """Whatever a key holds, get, set and delete mean the same one."""
    store = client.state("store")

    await store.set(key, key)
    item = await store.get(key, str)
    await store.delete(key)

    assert item is not None
    assert item.value == key
    assert await store.get(key, str) is None


@pytest.mark.parametrize("key", ["a/b", "a?b", "a#b", "a%2Fb", "..", ".", "a+b c", "ключ", "a//b/"])
async def test_hard_keys_stay_one_segment(client: Client, sidecar: SmallSidecar, key: str) -> None:
    """A key never changes the shape of the path."""
    await client.state("my store").get(key, int)

    path = sidecar.requests[0][1]
    assert path.startswith("/v1.0/state/my%20store/")
    assert path.count("/") == 4
    assert not path.endswith("/.")
    assert not path.endswith("/..")


async def test_an_empty_key_is_refused(client: Client, sidecar: SmallSidecar) -> None:
    """An empty key would address the store itself."""
    store = client.state("store")

    with pytest.raises(ValueError, match="state key is empty"):
        await store.get("", int)
    with pytest.raises(ValueError, match="state key is empty"):
        await store.set("", 1)
    with pytest.raises(ValueError, match="state key is empty"):
        await store.delete("")
    assert sidecar.requests == []


def test_an_empty_store_name_is_refused(client: Client) -> None:
    """A store needs the name of its component."""
    with pytest.raises(ValueError, match="state store's name is empty"):
        client.state("")


async def test_a_time_to_live_is_whole_seconds(client: Client, sidecar: SmallSidecar) -> None:
    """A ttl is rounded up, as 0 would mean for ever."""
    await client.state("store").set("k", 1, ttl=timedelta(milliseconds=1200))

    assert msgspec.json.decode(sidecar.requests[0][2]) == [
        {"key": "k", "value": 1, "metadata": {"ttlInSeconds": "2"}}
    ]


@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(seconds=-1)])
async def test_a_ttl_that_is_over_is_refused(client: Client, ttl: timedelta) -> None:
    """The runtime would keep such a value for ever."""
    with pytest.raises(ValueError, match="must be longer than 0"):
        await client.state("store").set("k", 1, ttl=ttl)


async def test_a_stale_etag_is_a_mismatch(client: Client) -> None:
    """Writing or deleting with an old ETag fails and changes nothing."""
    store = client.state("store")
    await store.set("k", 1)
    await store.set("k", 2)

    with pytest.raises(EtagMismatch) as caught:
        await store.set("k", 3, etag="1")
    with pytest.raises(EtagMismatch):
        await store.delete("k", etag="1")

    assert (caught.value.status, caught.value.code) == (409, "ERR_STATE_SAVE")
    assert await store.get("k", int) == Item(2, "2")


async def test_a_fresh_etag_is_accepted(client: Client) -> None:
    """Writing and deleting with the ETag of a read works."""
    store = client.state("store")
    await store.set("k", 1)

    await store.set("k", 2, etag="1")
    await store.delete("k", etag="2")

    assert await store.get("k", int) is None


async def test_update_creates_and_changes(client: Client) -> None:
    """The change gets None at first, then what is stored; its result is returned."""
    store = client.state("store")

    assert await store.update("cart", Cart, with_item) == Cart(["x"])
    assert await store.update("cart", Cart, with_item) == Cart(["x", "x"])


async def test_update_loses_no_other_write(client: Client, sidecar: SmallSidecar) -> None:
    """A write that comes in between is read and built upon, also where there was no value."""
    sidecar.before_write = [("cart", b'{"items":["a"]}'), ("cart", b'{"items":["a","b"]}')]

    cart = await client.state("store").update("cart", Cart, with_item)

    assert cart == Cart(["a", "b", "x"])
    assert await client.state("store").get("cart", Cart) == Item(cart, "3")


async def test_update_gives_up_in_the_end(client: Client, sidecar: SmallSidecar) -> None:
    """A race that is lost every time ends as EtagMismatch after as many attempts as were given."""
    sidecar.before_write = [("k", str(n).encode()) for n in range(5)]

    with pytest.raises(EtagMismatch):
        await client.state("store").update("k", int, lambda value: (value or 0) + 1, attempts=3)

    assert len(sidecar.before_write) == 2


async def test_update_needs_an_attempt(client: Client, sidecar: SmallSidecar) -> None:
    """Without one nothing is done, and the error says so."""
    with pytest.raises(ValueError, match="0 attempts; it needs at least 1"):
        await client.state("store").update("k", int, lambda value: value or 0, attempts=0)

    assert sidecar.requests == []


async def test_a_lost_race_is_silent(
    client: Client, sidecar: SmallSidecar, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing is printed, whatever logging libraries are installed (F57)."""
    sidecar.before_write = [("k", b"1"), ("k", b"2")]

    assert await client.state("store").update("k", int, lambda value: (value or 0) + 1) == 3

    assert capfd.readouterr() == ("", "")


async def test_update_passes_other_errors_on(client: Client, sidecar: SmallSidecar) -> None:
    """Only a lost race is repeated."""
    calls = []

    def change(value: int | None) -> int:
        calls.append(value)
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        await client.state("store").update("k", int, change)

    assert calls == [None]


async def test_a_value_of_another_type_is_named(client: Client, sidecar: SmallSidecar) -> None:
    """The error names key, store and type, and does not quote the value."""
    sidecar.put("k", b'"private"')

    with pytest.raises(msgspec.ValidationError) as caught:
        await client.state("store").get("k", Cart)

    assert str(caught.value).startswith("the value of key 'k' in state store 'store' is not 'Cart'")
    assert "private" not in str(caught.value)


@pytest.mark.parametrize("stored", [b"", b"{", b"\xff", b'"\xff"'])
async def test_a_value_that_is_no_json_is_named(
    client: Client, sidecar: SmallSidecar, stored: bytes
) -> None:
    """Other writers may have stored anything; it is one kind of error."""
    sidecar.put("k", stored)

    with pytest.raises(msgspec.ValidationError, match="the value of key 'k'"):
        await client.state("store").get("k", list[str])


@pytest.mark.parametrize("stored", [b"\xff", b'"\xff"'])
async def test_what_is_no_text_is_named(
    client: Client, sidecar: SmallSidecar, stored: bytes
) -> None:
    """Bytes that are no UTF-8 are no text."""
    sidecar.put("k", stored)

    with pytest.raises(msgspec.ValidationError, match=r"the value of key 'k' .* is not 'str'"):
        await client.state("store").get("k", str)


async def test_an_unknown_store_is_not_found(client: Client, sidecar: SmallSidecar) -> None:
    """The runtime says 400 for an unknown store; the code tells what it means."""
    sidecar.answers["/v1.0/state/s/k"] = error(
        400, "ERR_STATE_STORE_NOT_FOUND", "state store s is not found"
    )

    with pytest.raises(NotFound, match="state store s is not found"):
        await client.state("s").get("k", int)


@pytest.mark.row("FA-06")
async def test_a_plain_text_error_is_understood(client: Client, sidecar: SmallSidecar) -> None:
    """An answer that is not Dapr's JSON becomes the message as it stands."""
    answer = error(401, "", "")
    answer.body = b"invalid api token\n"
    answer.headers["content-length"] = str(len(answer.body))
    sidecar.answers["/v1.0/state/s/k"] = answer

    with pytest.raises(SidecarError, match="invalid api token") as caught:
        await client.state("s").get("k", int)

    assert (caught.value.code, caught.value.status) == ("", 401)
