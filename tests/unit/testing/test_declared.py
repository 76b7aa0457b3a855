"""What an app declares in its code, under a TestSidecar."""

import pytest

from daprflow import Client, DaprFlow, Endpoint, InvocationError, SidecarError, Topic
from daprflow.components import (
    AppTarget,
    Caller,
    CircuitBreaker,
    HashicorpVault,
    KafkaPubSub,
    Mtls,
    Policies,
    PostgresState,
    SqliteState,
    env_ref,
    secret,
)
from daprflow.testing import TestSidecar

orders = Topic("bus", "orders", int)


def shop() -> DaprFlow:
    """An app whose components are all on servers."""
    app = DaprFlow("shop")
    app.component(HashicorpVault("vault", vault_token=env_ref("TOKEN")))
    app.component(
        KafkaPubSub(
            "bus", brokers="kafka:9092", auth_type="none", allowed_topics=("orders", "receipts")
        )
    )
    app.component(
        PostgresState(
            "stock",
            connection_string=secret("vault", "dsn"),
            actor_state_store=True,
            key_prefix="none",
        )
    )

    @app.topic(orders)
    async def on_order(order: int, *, client: Client) -> None:
        await client.state("stock").set("last", order)

    return app


async def test_servers_are_stood_in_for_in_memory() -> None:
    """What a component is for stays: topics that may be used, prefixes of keys."""
    async with TestSidecar(shop()) as dapr:
        await dapr.publish(orders, 7)
        item = await dapr.state("stock").get("last", int)
        assert item is not None
        assert item.value == 7
        with pytest.raises(SidecarError):
            await dapr.client.publish(Topic("bus", "gossip", int), 1)


async def test_secrets_of_the_test_take_the_place_of_a_store() -> None:
    """A store that is declared and given is the given one."""
    async with TestSidecar(shop(), secrets={"vault": {"dsn": "x"}}) as dapr:
        assert await dapr.client.secret("vault", "dsn") == "x"


async def test_policies_count() -> None:
    """An access policy refuses a peer, a breaker opens, and mTLS is of no matter."""
    app, visitor = DaprFlow("shop"), DaprFlow("visitor")
    hello, closed = Endpoint("shop", "hello", None, str), Endpoint("shop", "closed", None, str)

    @app.invoke(name="hello")
    async def greet() -> str:
        return "hello"

    @app.invoke(name="closed")
    async def refuse() -> str:
        return "never"

    app.access_policy(Caller("visitor", allow=[greet]))
    app.sidecar_configuration(mtls=Mtls())
    fuse = CircuitBreaker("fuse", trip="consecutiveFailures > 1")
    visitor.resiliency(AppTarget(hello, Policies(circuit_breaker=fuse)))
    async with TestSidecar(visitor, peers=[app]) as dapr:
        assert await dapr.client.invoke(hello) == "hello"
        for _ in range(2):
            with pytest.raises(InvocationError, match="access control policy has denied access"):
                await dapr.client.invoke(closed)
        with pytest.raises(SidecarError, match="circuit breaker is open"):
            await dapr.client.invoke(closed)


async def test_a_named_environment_is_taken_as_it_is(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Then components keep things where they say."""
    folder = tmp_path_factory.mktemp("data")
    app = DaprFlow("shop")
    app.component(SqliteState("stock", connection_string=str(folder / "a.db")), env="dev")
    async with TestSidecar(app, env="dev") as dapr:
        await dapr.state("stock").set("a", 1)
    assert (folder / "a.db").exists()
    async with TestSidecar(app) as dapr:
        assert await dapr.state("stock").get("a", int) is None
