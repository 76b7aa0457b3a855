"""Declarations of components and policies that mypy accepts in strict mode."""

from datetime import timedelta
from typing import assert_type

from daprflow import Actor, DaprFlow, Endpoint, Router, Topic
from daprflow.components import (
    ActorTarget,
    ApiRule,
    AppTarget,
    Caller,
    CircuitBreaker,
    Component,
    ComponentTarget,
    Declarations,
    DurablePubSub,
    KafkaPubSub,
    Otlp,
    Plain,
    Policies,
    PostgresState,
    RedisState,
    Retries,
    SecretRef,
    Timeout,
    Tracing,
    env_ref,
    secret,
)
from daprflow.testing import TestSidecar

app = DaprFlow("shop")
router = Router()
orders = Topic("pubsub", "orders", int)
price = Endpoint("pricing", "price", int, int)


class Cart(Actor[None]):
    """An actor."""


@app.invoke("GET", "/orders/{id}")
async def show(*, id: str) -> str:  # noqa: A002 - as in the path
    return id


assert_type(secret("vault", "redis-password"), SecretRef)
store = app.component(RedisState("statestore", redis_host="r:6379", redis_password=Plain("dev")))
assert_type(store, RedisState)
app.component(DurablePubSub("pubsub"), env=("dev", "test"))
router.component(
    KafkaPubSub(
        "pubsub",
        brokers=("a:9092", "b:9092"),
        auth_type="password",
        sasl_username=env_ref("KAFKA_USER"),
        sasl_password=secret("kubernetes", "kafka", "password"),
        session_timeout=timedelta(seconds=10),
        scopes=("shop",),
    ),
    env="prod",
)
app.component(PostgresState("orders", host="pg", password=env_ref("PASSWORD"), version="v1"))
app.component(Component("etcd", "state.etcd", metadata={"endpoints": "e:2379", "n": 3}))

quick = Timeout("quick", timedelta(seconds=2))
again = Retries("again", policy="exponential", max_retries=3, http_status_codes=(429, (500, 599)))
fuse = CircuitBreaker("fuse", trip="consecutiveFailures > 2")
app.resiliency(
    AppTarget(price, Policies(timeout=quick, retry=again, circuit_breaker=fuse)),
    AppTarget("billing", Policies(timeout=quick)),
    ComponentTarget(orders, inbound=Policies(retry=again)),
    ComponentTarget(store, outbound=Policies(timeout=quick)),
    ActorTarget(Cart, Policies(circuit_breaker=fuse), "id"),
    policies=[Retries("DaprBuiltInServiceRetries", max_retries=5)],
    env="prod",
)
app.access_policy(Caller("website", allow=[show]), Caller("admin"), default="deny")
app.sidecar_configuration(
    tracing=Tracing(sampling_rate=0.1, otlp=Otlp(endpoint="collector:4317")),
    api_allowed=[ApiRule("state"), ApiRule("publish", protocol="grpc")],
    features={"HotReload": False},
)
assert_type(app.declared("prod"), Declarations)
TestSidecar(app, env="prod")
