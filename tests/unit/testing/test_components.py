"""Components in tests: made on demand, given, or read from files."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from daprflow.addresses import Topic
from daprflow.app import DaprFlow
from daprflow.client import Client
from daprflow.errors import (
    DaprFlowError,
    NotFound,
    SecretNotFound,
)
from daprflow.testing import TestSidecar


class Order(msgspec.Struct):
    """A payload."""

    id: str
    total: int = 1


orders = Topic("pubsub", "orders", Order)


async def test_stores_and_brokers_exist_when_they_are_named(app: DaprFlow) -> None:
    """Whatever names an app uses, it gets them, and each is its own."""
    async with TestSidecar(app) as dapr:
        await dapr.state("one").set("k", 1)
        await dapr.state("one/two").set("k", 2)
        first, second = await dapr.state("one").get("k", int), await dapr.state("two").get("k", int)
        assert first is not None
        assert (first.value, second) == (1, None)

        await dapr.client.publish("elsewhere", "topic", "x")
        assert dapr.published(Topic("elsewhere", "topic", str)) == ["x"]


async def test_secrets_are_given_as_mappings(app: DaprFlow) -> None:
    """Providers find them at start; an unknown one, and an unknown store, are errors."""
    found = []

    class Db:
        """What a provider makes."""

    @app.provide
    async def db(client: Client) -> AsyncIterator[Db]:
        found.append(await client.secret("vault", "dsn"))
        yield Db()
        found.append("closed")

    async with TestSidecar(app, secrets={"vault": {"dsn": "x", "a:b": "y"}, "other": {}}) as dapr:
        assert found == ["x"]
        assert await dapr.client.secret("vault", "a:b") == "y"
        with pytest.raises(SecretNotFound):
            await dapr.client.secret("other", "dsn")
        with pytest.raises(NotFound):
            await dapr.client.secret("nowhere", "dsn")

    assert found == ["x", "closed"]


COMPONENT = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: {name}
spec:
  type: {type}
  version: v1
  metadata: []
"""


async def test_component_files_say_what_there_is(app: DaprFlow, tmp_path: Path) -> None:
    """With a resources folder nothing is made up: a name that is not there is an error."""
    (tmp_path / "store.yaml").write_text(
        COMPONENT.format(name="store", type="state.in-memory"), encoding="utf-8"
    )

    async with TestSidecar(app, resources_path=tmp_path) as dapr:
        await dapr.state("store").set("k", 1)
        with pytest.raises(NotFound):
            await dapr.state("statestore").set("k", 1)
        with pytest.raises(NotFound, match="ERR_PUBSUB_NOT_FOUND"):
            await dapr.client.publish("pubsub", "t", 1)


async def test_a_file_can_replace_a_cron(app: DaprFlow, tmp_path: Path) -> None:
    """A component of a cron's name is taken instead of the decorator's schedule."""
    cron = COMPONENT.format(name="sweep", type="bindings.cron")
    schedule = "metadata: [{name: schedule, value: '@every 1m'}]"
    (tmp_path / "cron.yaml").write_text(cron.replace("metadata: []", schedule), encoding="utf-8")
    ticks = []

    @app.cron("sweep", "@every 1h")
    async def sweep() -> None:
        ticks.append(1)

    async with TestSidecar(app, resources_path=tmp_path) as dapr:
        await dapr.advance(timedelta(minutes=2))

    assert len(ticks) == 2


async def test_bad_component_files_are_listed(app: DaprFlow, tmp_path: Path) -> None:
    """What is wrong with a file is said before anything starts."""
    (tmp_path / "bad.yaml").write_text("kind: [", encoding="utf-8")

    with pytest.raises(DaprFlowError, match=r"bad\.yaml"):
        await TestSidecar(app, resources_path=tmp_path).__aenter__()
