"""The test kit's configuration: there from the start, changed by the test, settled."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from daprflow import Client, ConfigItem, DaprFlow, LockTaken
from daprflow.testing import TestSidecar


class Limits(msgspec.Struct, frozen=True):
    """A value."""

    daily: int


@pytest.fixture
def seen() -> list[ConfigItem[Limits]]:
    """What the handler was given."""
    return []


@pytest.fixture
def app(seen: list[ConfigItem[Limits]]) -> DaprFlow:
    """An app with a configuration handler, and one that reads configuration."""
    app = DaprFlow("shop")

    @app.configuration("settings", "limits", default=Limits(1))
    async def on_limits(item: ConfigItem[Limits]) -> None:
        seen.append(item)

    @app.invoke
    async def color(*, client: Client) -> str:
        item = await client.configuration("looks").get("color", str, default="none")
        return item.value

    @app.invoke
    async def guarded(*, client: Client) -> str:
        async with client.lock("lockstore", "r", expiry=timedelta(seconds=10)):
            return "done"

    return app


async def test_items_are_there_from_the_start(
    app: DaprFlow, seen: list[ConfigItem[Limits]]
) -> None:
    """A handler has its first value when the test begins, and changes when the test says so."""
    async with TestSidecar(app, configuration={"settings": {"limits": Limits(2)}}) as dapr:
        assert seen == [ConfigItem("limits", Limits(2))]
        await dapr.configure("settings", "limits", Limits(3), version="v3")
        assert seen[1:] == [ConfigItem("limits", Limits(3), "v3")]
        await dapr.configure("settings", "limits", None)
        assert seen[2:] == [ConfigItem("limits", Limits(1))]


async def test_stores_are_made_when_they_are_named(
    app: DaprFlow, seen: list[ConfigItem[Limits]]
) -> None:
    """Without any configuration the app's stores are there, and empty."""
    async with TestSidecar(app) as dapr:
        assert [item.value for item in seen] == [Limits(1)]
        await dapr.configure("settings", "limits", Limits(5))
        assert seen[-1].value == Limits(5)


async def test_a_client_reads_what_the_test_sets(app: DaprFlow) -> None:
    """Text is kept as it is."""
    async with TestSidecar(app, configuration={"looks": {"color": "blue"}}) as dapr:
        assert await dapr.invoke(app.endpoints()[0]) == "blue"
        await dapr.configure("looks", "color", "red")
        assert await dapr.invoke(app.endpoints()[0]) == "red"


async def test_wrong_changes(app: DaprFlow) -> None:
    """A store that is not there, and a value that means nothing, are mistakes of the test."""
    async with TestSidecar(app, configuration={"looks": {"color": "blue"}}) as dapr:
        with pytest.raises(LookupError, match="no configuration store 'zzz'; there is"):
            await dapr.configure("zzz", "a", "b")
        with pytest.raises(ValueError, match="give None to remove it"):
            await dapr.configure("looks", "color", "")


async def test_locks_expire_by_the_virtual_clock(app: DaprFlow) -> None:
    """A lock whose holder is gone is free once the test has let its time pass."""
    async with TestSidecar(app) as dapr:
        lock = dapr.client.lock("lockstore", "r", expiry=timedelta(seconds=10))
        async with lock:
            with pytest.raises(LockTaken):
                await dapr.client.lock("lockstore", "r").__aenter__()
        abandoned = dapr.client.lock("lockstore", "r", expiry=timedelta(seconds=10))
        await abandoned._take_all()
        with pytest.raises(LockTaken):
            await dapr.client.lock("lockstore", "r").__aenter__()
        await dapr.advance(timedelta(seconds=10))
        assert await dapr.invoke(app.endpoints()[1]) == "done"


async def test_a_file_says_what_there_is(tmp_path: Path, app: DaprFlow) -> None:
    """With component files a store that they name is filled."""
    (tmp_path / "settings.yaml").write_text(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: settings}\n"
        "spec: {type: configuration.daprflow, version: v1, metadata: []}\n",
        encoding="utf-8",
    )
    items = {"settings": {"limits": Limits(4)}}
    async with TestSidecar(app, resources_path=tmp_path, configuration=items) as dapr:
        found = await dapr.client.configuration("settings").get("limits", Limits)
        assert found is not None
        assert found.value == Limits(4)
