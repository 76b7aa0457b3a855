"""Which component types the embedded sidecar has, and how each is made."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import cast

from daprflow.sidecar.components.base import Component, ComponentContext

Factory = Callable[[ComponentContext], Component]

_HOME = "daprflow.sidecar.components."


def lazily(module: str, name: str) -> Factory:
    """Return a factory that imports its module at the first use: most runs use few types."""

    def make(context: ComponentContext) -> Component:
        factory = cast("Factory", getattr(import_module(_HOME + module), name))
        return factory(context)

    return make


COMPONENTS: Mapping[str, Factory] = {
    "bindings.cron": lazily("binding_cron", "CronBinding"),
    "bindings.http": lazily("binding_http", "HttpBinding"),
    "bindings.localstorage": lazily("binding_localstorage", "LocalStorageBinding"),
    "configuration.redis": lazily("configuration_redis", "RedisConfiguration"),
    "conversation.echo": lazily("conversation_echo", "EchoConversation"),
    "crypto.dapr.localstorage": lazily("crypto_localstorage", "LocalStorageCrypto"),
    "lock.redis": lazily("lock_redis", "RedisLocks"),
    "configuration.daprflow": lazily("configuration_local", "LocalConfiguration"),
    "lock.daprflow": lazily("lock_local", "make_local_lock"),
    "pubsub.daprflow": lazily("pubsub_durable", "DurablePubSub"),
    "middleware.http.bearer": lazily("middleware_bearer", "BearerMiddleware"),
    "middleware.http.oauth2clientcredentials": lazily(
        "middleware_oauth2", "ClientCredentialsMiddleware"
    ),
    "middleware.http.ratelimit": lazily("middleware_ratelimit", "RateLimitMiddleware"),
    "middleware.http.routeralias": lazily("middleware_routes", "RouterAliasMiddleware"),
    "middleware.http.routerchecker": lazily("middleware_routes", "RouterCheckerMiddleware"),
    "middleware.http.uppercase": lazily("middleware_uppercase", "UppercaseMiddleware"),
    "pubsub.in-memory": lazily("pubsub_in_memory", "InMemoryPubSub"),
    "pubsub.redis": lazily("pubsub_redis", "RedisPubSub"),
    "secretstores.local.env": lazily("secret_env", "EnvironmentSecrets"),
    "secretstores.local.file": lazily("secret_file", "FileSecrets"),
    "state.in-memory": lazily("state_in_memory", "InMemoryState"),
    "state.postgres": lazily("state_postgresql", "PostgresState"),
    "state.postgresql": lazily("state_postgresql", "PostgresState"),
    "state.redis": lazily("state_redis", "RedisState"),
    "state.sqlite": lazily("state_sqlite", "SqliteState"),
    "state.sqlite3": lazily("state_sqlite", "SqliteState"),
}

_FIRST = frozenset({"", "v1"})
_VERSIONS: Mapping[str, frozenset[str]] = {
    "state.postgres": frozenset({"v2"}),
    "state.postgresql": frozenset({"v2"}),
}


def versions(type_name: str) -> frozenset[str]:
    """Return what ``version`` may be in a component of this type; no version means v1."""
    return _VERSIONS.get(type_name, _FIRST)


def supported(kind: str) -> tuple[str, ...]:
    """Return the types of one building block, all types where it has none."""
    of_kind = tuple(name for name in COMPONENTS if name.startswith(f"{kind}."))
    return of_kind or tuple(COMPONENTS)
