"""What the sidecar is to use: a file on a laptop, servers in a cluster."""

from datetime import timedelta

from daprflow import Router
from daprflow.components import (
    AppTarget,
    DurablePubSub,
    Policies,
    PostgresState,
    RedisPubSub,
    Retries,
    SqliteState,
    Timeout,
    secret,
)

from .contracts import duty

components = Router()

components.component(DurablePubSub("pubsub"), env="dev")
components.component(
    SqliteState("statestore", connection_string="parcels.db", actor_state_store=True), env="dev"
)

components.component(
    RedisPubSub(
        "pubsub",
        redis_host="redis.data.svc:6379",
        redis_password=secret("kubernetes", "redis", "password"),
    ),
    env="prod",
)
components.component(
    PostgresState(
        "statestore",
        connection_string=secret("kubernetes", "postgresql", "dsn"),
        actor_state_store=True,
    ),
    env="prod",
)

components.resiliency(
    AppTarget(
        duty,
        Policies(
            timeout=Timeout("quickly", timedelta(seconds=2)),
            retry=Retries("again", duration=timedelta(seconds=1), max_retries=3),
        ),
    ),
)
