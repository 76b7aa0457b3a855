"""Failures, delays and lost connections that a test asks for."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daprflow.addresses import Endpoint
from daprflow.app import DaprFlow
from daprflow.client import Client
from daprflow.errors import (
    ActorError,
    EtagMismatch,
    InvocationError,
    SidecarError,
    SidecarUnavailable,
)
from daprflow.protocol.deliveries import Status
from daprflow.testing import (
    Broker,
    ConfigurationStore,
    LockStore,
    OutputBinding,
    SecretStore,
    StateStore,
    TestSidecar,
)
from tests.helpers.small_shop import Counter, Order, orders, price, receipts

item = Endpoint("pricing", "GET /items/{id}", None, int)


def keeping(app: DaprFlow) -> None:
    """Have the app store every order."""

    @app.topic(orders)
    async def on_order(order: Order, *, client: Client) -> None:
        await client.state("statestore").set(order.id, order)


async def test_a_failing_state_store_is_daprs_own_error(app: DaprFlow) -> None:
    """The code and the text are those of a real sidecar whose component fails."""
    async with TestSidecar(app) as dapr:
        store = dapr.state("statestore")
        await store.set("a", 1)
        with dapr.fail(StateStore("statestore"), error="disk full") as fault:
            with pytest.raises(SidecarError, match="disk full") as reading:
                await store.get("a", int)
            with pytest.raises(SidecarError, match="disk full") as writing:
                await store.set("a", 2)
        assert reading.value.code == "ERR_STATE_GET"
        assert writing.value.code == "ERR_STATE_SAVE"
        assert fault.hits == 2
        assert await dapr.saved("statestore", int) == {"a": 1}


async def test_reads_and_writes_fail_apart(app: DaprFlow) -> None:
    """A fault of writes lets reads pass, and one of reads lets writes pass."""
    async with TestSidecar(app) as dapr:
        store = dapr.state("statestore")
        with dapr.fail(StateStore("statestore", on="write")):
            assert await store.get("a", int) is None
            with pytest.raises(SidecarError):
                await store.delete("a")
        with dapr.fail(StateStore("statestore", on="read")):
            await store.set("a", 1)
            with pytest.raises(SidecarError):
                await store.get("a", int)


async def test_a_conflict_can_be_asked_for(app: DaprFlow) -> None:
    """Status 409 of a state store is the ETag mismatch that another writer causes."""
    async with TestSidecar(app) as dapr:
        store = dapr.state("statestore")
        await store.set("a", 1)
        dapr.fail(StateStore("statestore", on="write"), status=409, times=1)
        with pytest.raises(EtagMismatch):
            await store.set("a", 2, etag="1")
        await store.set("a", 3)


async def test_a_failure_has_the_event_delivered_again(app: DaprFlow) -> None:
    """What fails so often is tried again as the clock moves, and passes then."""
    keeping(app)
    async with TestSidecar(app) as dapr:
        fault = dapr.fail(StateStore("statestore", on="write"), times=2)
        assert await dapr.publish(orders, Order("o1")) is Status.RETRY
        assert await dapr.saved("statestore") == {}
        await dapr.advance(timedelta(minutes=1))
        assert await dapr.saved("statestore", Order) == {"o1": Order("o1")}
        assert (fault.hits, fault.active) == (2, False)


async def test_publishing_fails_by_topic_and_by_broker(app: DaprFlow) -> None:
    """A topic as the target leaves the broker's other topics alone."""
    async with TestSidecar(app) as dapr:
        with dapr.fail(orders, error="no leader"):
            with pytest.raises(SidecarError, match="no leader") as refused:
                await dapr.client.publish(orders, Order("a"))
            await dapr.client.publish(receipts, Order("b"))
        assert refused.value.code == "ERR_PUBSUB_PUBLISH_MESSAGE"
        with dapr.fail(Broker("pubsub")), pytest.raises(SidecarError):
            await dapr.client.publish(receipts, Order("c"))
        assert dapr.published(receipts) == [Order("b")]


async def test_each_other_kind_of_component_can_fail(app: DaprFlow, tmp_path: Path) -> None:
    """Locks, secrets, configuration and output bindings answer with their own codes."""
    (tmp_path / "files.yaml").write_text(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: files}\n"
        "spec:\n  type: bindings.localstorage\n  version: v1\n"
        f"  metadata: [{{name: rootPath, value: {tmp_path}/files}}]\n",
        encoding="utf-8",
    )
    async with TestSidecar(app, configuration={"settings": {"a": 1}}) as dapr:
        dapr.fail(ConfigurationStore("settings"))
        with pytest.raises(SidecarError) as configuration:
            await dapr.client.configuration("settings").get("a", int)
        dapr.fail(LockStore("locks", on="lock"), error="no quorum")
        with pytest.raises(SidecarError, match="no quorum") as lock:
            await dapr.client.lock("locks", "one").__aenter__()
    async with TestSidecar(app, secrets={"vault": {"key": "x"}}, resources_path=tmp_path) as dapr:
        dapr.fail(SecretStore("vault"), error="sealed")
        with pytest.raises(SidecarError, match="sealed") as secret:
            await dapr.client.secret("vault", "key")
        dapr.fail(OutputBinding("files", "create"), error="read-only")
        with pytest.raises(SidecarError, match="read-only") as binding:
            await dapr.client.bind("files", "create", b"x")
        await dapr.client.bind("files", "list")
    codes = [each.value.code for each in (configuration, lock, secret, binding)]
    assert codes == [
        "ERR_CONFIGURATION_GET",
        "ERR_TRY_LOCK",
        "ERR_SECRET_GET",
        "ERR_INVOKE_OUTPUT_BINDING",
    ]


async def test_an_endpoint_nobody_fakes_can_fail(app: DaprFlow) -> None:
    """A method of another app answers with the status that the test names."""
    async with TestSidecar(app) as dapr:
        dapr.fail(price, status=503, error="closed", times=1)
        with pytest.raises(InvocationError, match="503"):
            await dapr.client.invoke(price, Order("a"))

        async def one(order: Order) -> int:
            return 1

        dapr.fake(price, one)
        assert await dapr.client.invoke(price, Order("a")) == 1


async def test_a_route_fails_whatever_its_parameters_are(app: DaprFlow) -> None:
    """A path with parameters is met by every call of it."""
    async with TestSidecar(app) as dapr:
        dapr.fail(item)
        with pytest.raises(InvocationError, match="500"):
            await dapr.client.invoke(item, id="7")


async def test_actors_fail_as_their_host_does(app: DaprFlow) -> None:
    """A failed call is an ActorError, and the actor's state is as it was."""
    app.actor(Counter)
    async with TestSidecar(app) as dapr:
        counter = dapr.actor(Counter, "a")
        assert await counter.add(1) == 1
        with dapr.fail(Counter, error="host lost"), pytest.raises(ActorError):
            await counter.add(1)
        assert await counter.add(1) == 2


async def test_a_delay_ends_with_the_clock(app: DaprFlow) -> None:
    """A late call waits on virtual time; the delivery that needs it is not waited for."""
    keeping(app)
    async with TestSidecar(app) as dapr:
        dapr.delay(StateStore("statestore", on="write"), timedelta(seconds=30))
        publishing = asyncio.create_task(dapr.client.publish(orders, Order("o1")))
        await publishing
        await dapr.advance(timedelta(seconds=29))
        assert await dapr.saved("statestore") == {}
        await dapr.advance(timedelta(seconds=1))
        assert await dapr.saved("statestore", Order) == {"o1": Order("o1")}


async def test_a_disconnected_app_reaches_nobody(app: DaprFlow) -> None:
    """Its calls raise SidecarUnavailable at once, and no event reaches it until it is back."""
    handled = []

    @app.topic(orders)
    async def on_order(order: Order) -> None:
        handled.append(order.id)

    @app.invoke
    async def keep(order: Order, *, client: Client) -> None:
        await client.state("statestore").set(order.id, order)

    async with TestSidecar(app) as dapr:
        async with dapr.disconnected():
            with pytest.raises(SidecarUnavailable, match="cut the connection"):
                await app.client.state("statestore").set("a", 1)
            await dapr.client.publish(orders, Order("o1"))
            await dapr.advance(timedelta(minutes=1))
            assert handled == []
        assert handled == ["o1"]
        await dapr.invoke(keep, Order("o2"))
        assert await dapr.saved("statestore", Order) == {"o2": Order("o2")}


async def test_a_connection_that_breaks_once_is_made_again(app: DaprFlow) -> None:
    """A read is repeated by the client; a write is not, because it may have happened."""
    async with TestSidecar(app) as dapr:
        await dapr.disconnect(times=1)
        assert await app.client.state("statestore").get("a", int) is None
        await dapr.disconnect(times=1)
        with pytest.raises(SidecarUnavailable, match="break"):
            await app.client.state("statestore").set("a", 1)


async def test_faults_that_cannot_be_are_refused(app: DaprFlow) -> None:
    """A status of a component, a success as a failure, or none at all is a mistake of the test."""
    dapr = TestSidecar(app)
    with pytest.raises(ValueError, match="has no status"):
        dapr.fail(orders, status=503)
    with pytest.raises(ValueError, match="status 204 is no failure"):
        dapr.fail(price, status=204)
    with pytest.raises(ValueError, match="is none"):
        dapr.fail(orders, times=0)
    with pytest.raises(ValueError, match="cannot come 1 s before"):
        dapr.delay(orders, timedelta(seconds=-1))
    with pytest.raises(TypeError, match="text alone"):
        dapr.fail(orders, error=KeyError("x"))


@pytest.mark.parametrize("target", ["orders", StateStore, Order, None])
def test_what_no_call_goes_to_is_refused(app: DaprFlow, target: Any) -> None:
    """A name, a class in place of a component, and anything else are told at once, with remedy."""
    dapr = TestSidecar(app)
    with pytest.raises(TypeError, match=r"StateStore\("):
        dapr.fail(target)
    with pytest.raises(TypeError, match=r"StateStore\("):
        dapr.delay(target, timedelta(seconds=1))


async def test_what_is_done_outside_is_waited_for(app: DaprFlow) -> None:
    """An event that the client published, and what that begins, is over once it is settled."""
    async with TestSidecar(app) as dapr:
        await dapr.client.publish(orders, Order("1"))
        await dapr.settle()
        assert dapr.published(orders) == [Order("1")]
