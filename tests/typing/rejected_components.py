"""Misuses of components and policies in code; mypy refuses exactly the lines that say so."""

from datetime import timedelta

from daprflow import DaprFlow, Endpoint, Topic
from daprflow.components import (
    ActorTarget,
    AppTarget,
    Caller,
    CircuitBreaker,
    Component,
    ComponentTarget,
    Cron,
    KafkaPubSub,
    Plain,
    Policies,
    PostgresState,
    RedisPubSub,
    RedisState,
    Retries,
    SqliteState,
    Timeout,
    secret,
)

app = DaprFlow("shop")
quick = Timeout("quick", timedelta(seconds=2))
again = Retries("again")

RedisState("s", redis_host="r", redis_password="plain")  # refused: arg-type
RedisState("s", redis_host="r", redis_db="3")  # refused: arg-type
RedisState("s", redis_host=6379)  # refused: arg-type
RedisState("s")  # refused: call-arg
RedisState("s", "r:6379")  # refused: arg-type, call-arg
RedisState("s", redis_host="r", redis_hosts="r")  # refused: call-arg
RedisState("s", redis_host="r", dial_timeout=5)  # refused: arg-type
RedisPubSub("s", redis_host="r", actor_state_store=True)  # refused: call-arg
KafkaPubSub("s", brokers="b", auth_type="passwrd")  # refused: arg-type
KafkaPubSub("s", brokers=["b"], auth_type="none")  # refused: arg-type
PostgresState("s", connection_string="host=pg password=x")  # refused: arg-type
PostgresState("s", host="pg", version="v3")  # refused: arg-type
SqliteState("s", connection_string="x", scopes="shop")  # refused: arg-type
Component("s", type="state.x", metadata=["a"])  # refused: arg-type
Cron("s")  # refused: call-arg
Plain(3)  # refused: arg-type
secret("vault")  # refused: call-arg

app.component({"name": "s"})  # refused: type-var
app.component(SqliteState("s", connection_string="x"), env=["dev"])  # refused: arg-type
app.resiliency("pricing")  # refused: arg-type
app.resiliency(policies=[timedelta(seconds=2)])  # refused: list-item
AppTarget(Topic("p", "t", int), Policies())  # refused: arg-type
ComponentTarget(Endpoint("a", "m", None, None))  # refused: arg-type
ActorTarget(dict, Policies())  # refused: arg-type
Policies(timeout=again)  # refused: arg-type
Policies(retry=quick)  # refused: arg-type
Policies(quick)  # refused: call-arg
Timeout("quick", 2)  # refused: arg-type
Retries("x", policy="linear")  # refused: arg-type
CircuitBreaker("x", timeout=30)  # refused: arg-type
app.access_policy("website")  # refused: arg-type
app.access_policy(Caller("website"), default="maybe")  # refused: arg-type
Caller("website", allow=[7])  # refused: list-item
app.sidecar_configuration(tracing=1.0)  # refused: arg-type
