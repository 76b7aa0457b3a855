"""The client and the engine's HTTP API understand each other."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daprflow.addresses import Topic
from daprflow.app import DaprFlow
from daprflow.errors import EtagMismatch, SidecarError
from daprflow.testing import TestSidecar

keys = st.text(min_size=1, max_size=20).filter(lambda key: "||" not in key)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(store=keys, key=keys, value=st.text())
async def test_any_store_and_key_round_trip(
    app: DaprFlow, store: str, key: str, value: str
) -> None:
    """Whatever names hold, a value comes back from where it was put."""
    async with TestSidecar(app) as dapr:
        values = dapr.state(store)
        await values.set(key, value)
        item = await values.get(key, str)
        assert item is not None
        assert item.value == value

        await values.delete(key, etag=item.etag)
        assert await values.get(key, str) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(topic=keys, text=st.text(), data=st.binary())
async def test_any_topic_and_payload_round_trip(
    app: DaprFlow, topic: str, text: str, data: bytes
) -> None:
    """Text and bytes are published as they are, on a topic of any name."""
    async with TestSidecar(app) as dapr:
        await dapr.client.publish("pubsub", f"t{topic}", text)
        await dapr.client.publish("pubsub", f"b{topic}", data)

        assert dapr.published(Topic("pubsub", f"t{topic}", str)) == [text]
        assert dapr.published(Topic("pubsub", f"b{topic}", bytes)) == [data]


async def test_the_reserved_separator_is_refused(app: DaprFlow) -> None:
    """The runtime keeps ``||`` for itself, and says so."""
    async with TestSidecar(app) as dapr:
        with pytest.raises(SidecarError, match="can't contain") as caught:
            await dapr.state("statestore").set("a||b", 1)

    assert (caught.value.status, caught.value.code) == (400, "ERR_MALFORMED_REQUEST")
    assert caught.value.reason == "DAPR_STATE_ILLEGAL_KEY"


async def test_a_lost_race_is_a_mismatch(app: DaprFlow) -> None:
    """ETags of the engine mean what the client takes them for."""
    async with TestSidecar(app) as dapr:
        store = dapr.state("statestore")
        await store.set("k", 1)
        first = await store.get("k", int)
        assert first is not None
        await store.set("k", 2, etag=first.etag)

        with pytest.raises(EtagMismatch):
            await store.set("k", 3, etag=first.etag)
        assert await store.update("k", int, lambda value: (value or 0) + 10) == 12


async def test_the_expiry_is_on_the_virtual_clock(app: DaprFlow) -> None:
    """A value knows until when it is kept."""
    async with TestSidecar(app) as dapr:
        store = dapr.state("statestore")
        await store.set("k", 1, ttl=timedelta(hours=1))
        item = await store.get("k", int)

        assert item is not None
        assert item.expires is not None
        assert abs(item.expires - dapr.now - timedelta(hours=1)) <= timedelta(seconds=1)
