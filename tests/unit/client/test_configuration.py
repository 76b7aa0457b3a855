"""Configuration items: read, followed, kept at hand; with defaults while their store is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import date, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import pytest

from daprflow.client.configuration import Configuration
from daprflow.errors import NotFound, SidecarError
from daprflow.handlers.envelopes import ConfigItem
from tests.helpers.blocks import Blocks, blocks
from tests.helpers.timing import eventually

OFTEN = timedelta(milliseconds=5)


class Limits(msgspec.Struct, frozen=True):
    """A value."""

    daily: int


class Color(Enum):
    """A value that is a word."""

    BLUE = "blue"


@pytest.fixture
async def dapr(tmp_path: Path) -> AsyncIterator[Blocks]:
    """A sidecar with two stores, and a client of it."""
    async with blocks(tmp_path) as running:
        yield running


@pytest.fixture
def settings(dapr: Blocks) -> Configuration:
    """One store, as the client has it."""
    return dapr.client.configuration("settings")


async def test_a_typed_item(dapr: Blocks, settings: Configuration) -> None:
    """A value is decoded to what was asked for, and the version comes along."""
    await dapr.set("limits", '{"daily": 3}', "7")
    assert await settings.get("limits", Limits) == ConfigItem("limits", Limits(3), "7")


@pytest.mark.parametrize(
    ("text", "payload", "value"),
    [
        ("blue", str, "blue"),
        ('"blue"', str, '"blue"'),
        ("10", str, "10"),
        ("blue", bytes, b"blue"),
        ("10", int, 10),
        ("true", bool, True),
        ("1.5", float, 1.5),
        ("blue", Color, Color.BLUE),
        ('"blue"', Color, Color.BLUE),
        ("blue", str | None, "blue"),
        ("2025-01-31", date, date(2025, 1, 31)),
        ("[1, 2]", list[int], [1, 2]),
        ("blue", Any, "blue"),
        ("10", Any, 10),
    ],
)
async def test_texts_and_types(
    dapr: Blocks, settings: Configuration, text: str, payload: Any, value: object
) -> None:
    """Text is itself, everything else JSON, or what the text alone can mean."""
    await dapr.set("key", text)
    item = await settings.get("key", payload)
    assert item is not None
    assert item.value == value
    assert type(item.value) is type(value)


async def test_a_value_of_another_type(dapr: Blocks, settings: Configuration) -> None:
    """The error names key and type, and holds nothing of the value."""
    await dapr.set("limits", "a secret")
    with pytest.raises(ValueError, match="item 'limits' is not 'Limits'") as caught:
        await settings.get("limits", Limits, default=Limits(1))
    assert "secret" not in str(caught.value)


async def test_missing_items(settings: Configuration) -> None:
    """An item that is not there is None, or the default."""
    assert await settings.get("limits", Limits) is None
    assert await settings.get("limits", Limits, default=Limits(1)) == ConfigItem(
        "limits", Limits(1)
    )


async def test_many_items(dapr: Blocks, settings: Configuration) -> None:
    """Several items are read with one call; without keys all of them."""
    for number, key in enumerate(["a", "b/c", "d e&f=g"]):
        await dapr.set(key, str(number))
    found = await settings.get_many(["a", "d e&f=g", "none"], int)
    assert {key: item.value for key, item in found.items()} == {"a": 0, "d e&f=g": 2}
    assert set(await settings.get_many([], int)) == {"a", "b/c", "d e&f=g"}
    assert set(await settings.get_many("b/c", int)) == {"b/c"}


async def test_the_store_is_away(
    dapr: Blocks, settings: Configuration, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a sidecar a default counts, with a warning; without a default it is an error."""
    dapr.line.cut = True
    item = await settings.get("limits", Limits, default=Limits(1))
    assert item == ConfigItem("limits", Limits(1))
    assert "the default of configuration item 'limits' is used" in caplog.text
    with pytest.raises(SidecarError, match="the line is cut"):
        await settings.get("limits", Limits)


async def test_an_unknown_store(dapr: Blocks) -> None:
    """The sidecar's refusal is passed on."""
    with pytest.raises(SidecarError, match="configuration store zzz not found"):
        await dapr.client.configuration("zzz").get("a", str)


@pytest.mark.parametrize("names", [("",), ("settings", "")])
def test_a_store_without_a_name(dapr: Blocks, names: tuple[str, ...]) -> None:
    """An empty name is refused where it is given."""
    with pytest.raises(ValueError, match="configuration store's name is missing"):
        dapr.client.configuration(*names)


# ---- several stores


async def test_the_first_store_goes_first(dapr: Blocks) -> None:
    """An item comes from the first store that has it, each for itself."""
    both = dapr.client.configuration("overrides", "settings")
    await dapr.set("a", "1")
    await dapr.set("b", "2")
    await dapr.set("a", "10", store="overrides")
    found = await both.get_many(["a", "b"], int)
    assert {key: item.value for key, item in found.items()} == {"a": 10, "b": 2}
    assert {key: item.value for key, item in (await both.get_many([], int)).items()} == {
        "a": 10,
        "b": 2,
    }
    item = await both.get("b", int)
    assert item is not None
    assert item.value == 2


async def test_a_store_that_is_away_is_passed_over(
    dapr: Blocks, caplog: pytest.LogCaptureFixture
) -> None:
    """What another store has is used, with a warning; what none has may be in the one away."""
    both = dapr.client.configuration("zzz", "settings")
    await dapr.set("a", "1")
    item = await both.get("a", int)
    assert item is not None
    assert item.value == 1
    assert "configuration store 'zzz' is passed over" in caplog.text
    with pytest.raises(SidecarError, match="zzz"):
        await both.get("none", int)


# ---- changes


async def test_changes_without_an_app(dapr: Blocks, settings: Configuration) -> None:
    """A client without an app sees what there is, then each change, then the removal."""
    await dapr.set("a", "1")
    changes = settings.subscribe("a", int, every=OFTEN)
    async with aclosing(changes):
        assert (await anext(changes)).value == 1
        await dapr.set("a", "2", "v2")
        assert await anext(changes) == ConfigItem("a", 2, "v2")
        await dapr.store().remove("a")
        assert await anext(changes) == ConfigItem("a", None)
        await dapr.set("a", "3")
        assert (await anext(changes)).value == 3
    assert not any("subscribe" in target for target in dapr.line.sent)


async def test_changes_with_a_default(dapr: Blocks, settings: Configuration) -> None:
    """With a default a missing item has it, at first and after a removal."""
    changes = settings.subscribe(["a"], int, default=5, every=OFTEN)
    async with aclosing(changes):
        assert (await anext(changes)).value == 5
        await dapr.set("a", "1")
        assert (await anext(changes)).value == 1
        await dapr.store().remove("a")
        assert (await anext(changes)).value == 5


async def test_changes_of_every_item(dapr: Blocks, settings: Configuration) -> None:
    """Without keys, items that are new are seen, too."""
    await dapr.set("a", "1")
    changes = settings.subscribe([], int, every=OFTEN)
    async with aclosing(changes):
        assert (await anext(changes)).key == "a"
        await dapr.set("b", "2")
        assert await anext(changes) == ConfigItem("b", 2)


async def test_a_change_that_does_not_fit(
    dapr: Blocks, settings: Configuration, caplog: pytest.LogCaptureFixture
) -> None:
    """A value that is no payload is logged and left out."""
    await dapr.set("a", "1")
    changes = settings.subscribe("a", int, every=OFTEN)
    async with aclosing(changes):
        assert (await anext(changes)).value == 1
        await dapr.set("a", "a secret")
        following = asyncio.ensure_future(anext(changes))
        await eventually(lambda: "item 'a' is not 'int'" in caplog.text)
        await dapr.set("a", "2")
        assert (await following).value == 2
    assert "secret" not in caplog.text


async def test_a_slow_reader_gets_the_newest(dapr: Blocks, settings: Configuration) -> None:
    """What changed several times while nobody looked comes once."""
    async with settings.live("a", "b", every=OFTEN) as live:
        changes = live.changes()
        async with aclosing(changes):
            for number in range(1, 4):
                await dapr.set("a", str(number))
                await eventually(lambda wanted=number: live.get("a", int, default=0) == wanted)  # type: ignore[misc]
            key, item = await anext(changes)
            assert item is not None
            assert (key, item.value) == ("a", "3")


# ---- a local copy


async def test_a_live_copy(dapr: Blocks, settings: Configuration) -> None:
    """A copy answers without a call and follows its store."""
    await dapr.set("limits", '{"daily": 1}', "1")
    async with settings.live("limits", every=OFTEN) as live:
        sent = len(dapr.line.sent)
        assert live.get("limits", Limits) == Limits(1)
        assert live.item("limits", Limits) == ConfigItem("limits", Limits(1), "1")
        assert len(dapr.line.sent) == sent
        await dapr.set("limits", '{"daily": 2}')
        await eventually(lambda: live.get("limits", Limits) == Limits(2))
        await dapr.store().remove("limits")
        await eventually(lambda: live.item("limits", Limits) is None)
        assert live.get("limits", Limits, default=Limits(9)) == Limits(9)
        with pytest.raises(NotFound, match="'limits' is not in 'settings'"):
            live.get("limits", Limits)


async def test_a_live_copy_of_some_keys(settings: Configuration) -> None:
    """Asking for a key that is not kept is a mistake, not a missing item."""
    async with settings.live("a") as live:
        with pytest.raises(KeyError, match="not kept here"):
            live.get("b", int, default=1)


async def test_the_store_goes_away_and_comes_back(
    dapr: Blocks, settings: Configuration, caplog: pytest.LogCaptureFixture
) -> None:
    """While the store is away its last items count; one line says so, and one that it is back."""
    caplog.set_level("INFO")
    await dapr.set("a", "1")
    async with settings.live("a", every=OFTEN) as live:
        dapr.line.cut = True
        await eventually(lambda: live.stale)
        await dapr.set("a", "2")
        assert live.get("a", int) == 1
        dapr.line.cut = False
        await eventually(lambda: live.get("a", int) == 2)
        assert not live.stale
    assert caplog.text.count("cannot be read") == 1
    assert caplog.text.count("can be read again") == 1


async def test_the_store_is_away_at_first(dapr: Blocks, settings: Configuration) -> None:
    """A copy begins empty when the store is away, and fills when it is back."""
    await dapr.set("a", "2")
    dapr.line.cut = True
    async with settings.live("a", every=OFTEN) as live:
        assert live.stale
        assert live.get("a", int, default=1) == 1
        dapr.line.cut = False
        await eventually(lambda: live.get("a", int, default=1) == 2)


async def test_a_live_copy_of_several_stores(dapr: Blocks) -> None:
    """A copy shows the first store's item, and the next one's when that goes."""
    both = dapr.client.configuration("overrides", "settings")
    await dapr.set("a", "1")
    await dapr.set("a", "10", store="overrides")
    async with both.live("a", every=OFTEN) as live:
        assert live.get("a", int) == 10
        await dapr.store("overrides").remove("a")
        await eventually(lambda: live.get("a", int) == 1)


def test_polling_without_a_pause(settings: Configuration) -> None:
    """A pause of nothing would be a loop without end."""
    with pytest.raises(ValueError, match="'every'"):
        settings.live("a", every=timedelta(0))
